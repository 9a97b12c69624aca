use super::*;

fn record() -> Record {
    let mark = Mark { inode: 7, size: 11, hash: Some(u128::MAX - 5) };
    let old = OldMark { inode: 6, size: 10, modified: -1, changed: 1_700_000_000_123_456_789, hash: Some(9) };
    let staged = |name: &str| OsString::from(format!(".{name}.abcdEFGH1234.atomic-txn"));
    let op = |name: &str| Op {
        dir: "a/b".into(),
        name: name.into(),
        staged: Some((staged(name), mark)),
        is_index: false,

        old: Some(old),
    };
    let link = Mark { hash: None, ..mark };
    let ops = vec![
        Op { is_index: true, ..op("index.json") },
        Op { staged: Some((staged("moved"), link)), old: None, ..op("moved") },
        Op { staged: None, dir: PathBuf::new(), old: Some(OldMark { hash: None, ..old }), ..op("gone") },
    ];
    Record { txid: 42, home: (1, u64::MAX), ops }
}

#[test]
fn a_record_is_read_as_it_was_written() {
    let bytes = record().encode().unwrap();
    assert_eq!(Record::payload_length(&bytes), Some(bytes.len() - HEAD_LENGTH));
    assert_eq!(Record::decode(&bytes), Content::Whole(record()));
    let longer = [&bytes[..], &[7; 100]].concat();
    assert_eq!(Record::decode(&longer), Content::Whole(record()), "what an older record has left");
}

#[test]
fn a_record_with_any_byte_changed_does_not_count() {
    let bytes = record().encode().unwrap();
    for at in 8..bytes.len() {
        let mut torn = bytes.clone();
        torn[at] ^= 1;
        assert_eq!(Record::decode(&torn), Content::None, "byte {at}");
    }
    for length in 0..bytes.len() {
        let mut torn = bytes.clone();
        torn[length..].fill(0);
        let count_nothing = [Content::None, Content::Foreign];
        assert!(torn == bytes || count_nothing.contains(&Record::decode(&torn)), "{length} bytes");
    }
    assert_eq!(Record::decode(&[0; 4096]), Content::None, "never written");
}

#[test]
fn a_record_takes_up_to_16_mib_for_its_operations() {
    let op = |dir: usize| {
        let dir = "d".repeat(dir).into();
        Op { dir, name: "a".into(), staged: None, is_index: false, old: None }
    };
    let length = |record: &Record| record.encode().map(|bytes| bytes.len() - HEAD_LENGTH);
    let record = |ops| Record { txid: 1, home: (1, 2), ops };
    let one = length(&record(vec![op(0)])).unwrap();
    let others = (16 << 20) / (4000 + one) - 1;
    let last = (16 << 20) - others * (4000 + one) - one;
    let mut record = record([vec![op(4000); others], vec![op(last)]].concat());
    assert_eq!(length(&record), Some(16 << 20));
    record.ops[0].name = "ab".into();
    assert_eq!(length(&record), None);
}

#[test]
fn another_version_is_told_from_a_torn_record() {
    let mut bytes = record().encode().unwrap();
    bytes[7] = b'2';
    assert_eq!(Record::decode(&bytes), Content::Foreign);
    let mut block = State::default().encode();
    block[7] = b'2';
    assert_eq!(State::decode(&block), Content::Foreign);
}

#[test]
fn a_record_that_leads_out_of_its_root_is_not_ours() {
    for (dir, name) in [("..", "a"), ("/etc", "a"), ("a/../..", "a"), ("a", ".."), ("a", "b/c"), ("a", "")] {
        let mut record = record();
        record.ops[0].dir = dir.into();
        record.ops[0].name = name.into();
        assert_eq!(Record::decode(&record.encode().unwrap()), Content::Foreign, "{dir} {name}");
    }
    let mut record = record();
    record.ops[0].staged.as_mut().unwrap().0 = "passwd".into();
    assert_eq!(Record::decode(&record.encode().unwrap()), Content::Foreign, "not a staged file");
}

#[test]
fn a_state_is_read_as_it_was_written_and_counts_for_nothing_when_torn() {
    let state = State { finished: 3, applied: 4, root: *b"aZ09" };
    let block = state.encode();
    assert_eq!(State::decode(&block), Content::Whole(state));
    for at in (8..28).chain(32..STATE_LENGTH) {
        let mut torn = block;
        torn[at] ^= 1;
        assert_eq!(State::decode(&torn), Content::None, "byte {at}");
    }
    assert_eq!(State::decode(&[0; 512]), Content::None);
}

/// The tables of `docs/transactions.md`, which programs in other languages go by.
#[test]
fn record_and_state_are_laid_out_as_documented() {
    let u64s = |numbers: &[u64]| numbers.iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<_>>();
    let text = |text: &str| [&u16::try_from(text.len()).unwrap().to_le_bytes(), text.as_bytes()].concat();
    let hash = |hash: u128| hash.to_le_bytes().to_vec();
    let (none, new) = (vec![0; 16], [u64s(&[7, 11]), hash(u128::MAX - 5)].concat());
    // A nanosecond before 1970, and one time after it.
    let times = u64s(&[u64::MAX, 999_999_999, 1_700_000_000, 123_456_789]);
    let old = [u64s(&[6, 10]), times].concat();
    let staged = |name: &str| text(&format!(".{name}.abcdEFGH1234.atomic-txn"));
    let ops = [
        vec![2 | 4 | 8],
        [text("a/b"), text("index.json"), staged("index.json"), new, old.clone(), hash(9)].concat(),
        vec![16],
        [text("a/b"), text("moved"), staged("moved"), u64s(&[7, 11]), none.clone(), vec![0; 64]].concat(),
        vec![1 | 4],
        [text(""), text("gone"), text(""), vec![0; 32], old, none].concat(),
    ]
    .concat();
    let length = u32::try_from(ops.len()).unwrap();
    let numbers = u64s(&[42, 1, u64::MAX]);
    let head = [&b"ATOMTXN1"[..], &length.to_le_bytes(), &3_u32.to_le_bytes(), &numbers].concat();
    let sum = xxhash_rust::xxh3::xxh3_128(&[&head[..], &ops].concat());
    assert_eq!(head.len(), 40);
    assert_eq!(record().encode().unwrap(), [head, hash(sum), ops].concat());

    let state = [&b"ATOMTXS1"[..], &u64s(&[3, 4]), b"aZ09", &[0; 4]].concat();
    let sum = u64s(&[xxhash_rust::xxh3::xxh3_64(&state)]);
    let block = State { finished: 3, applied: 4, root: *b"aZ09" }.encode();
    assert_eq!(block[..], [state, sum].concat());
}
