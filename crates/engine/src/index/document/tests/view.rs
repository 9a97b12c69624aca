//! Looks into a document: what patches have made of it is what a plain search finds in the text that it becomes.

use super::*;

/// What is found in a text.
fn plainly(text: &str, pointer: &Pointer) -> (Option<String>, Option<usize>) {
    let count = keys(text, pointer).map(|keys| match keys {
        Keys::Members(members) => members.len(),
        Keys::Items(count) => count,
    });
    (find(text, pointer).map(|found| text[found.range].to_owned()), count)
}

/// The positions of records, each of which was written as `{"id":…` or `{"k":…,"id":…`.
fn records_plainly(text: &str, pointer: &Pointer, member: &str, key: &str) -> Vec<usize> {
    let Some(found) = find(text, pointer).filter(|found| text[found.range.clone()].starts_with('[')) else {
        return Vec::new();
    };
    let items = Children::new(text.as_bytes(), found.range.start).map(|child| child.value);
    let has_key = |item: &std::ops::Range<usize>| {
        let item = &text[item.clone()];
        item.starts_with('{')
            && find(item, &Pointer::default().join(member)).is_some_and(|own| item[own.range] == *key)
    };
    (0..).zip(items).filter(|(_, item)| has_key(item)).map(|(at, _)| at).collect()
}

fn record(random: &mut fastrand::Rng) -> String {
    let id = random.u32(0..12);
    match random.u32(0..8) {
        0 => format!("{{\"k\":\"s{}\",\"id\":{id}}}", random.u32(0..3)),
        1 => format!("{{\"id\":\"{id}\",\"k\":{}}}", random.u32(0..3)),
        2 => "7".to_owned(),
        3 => format!("{{\"id\":{},\"id\":{id}}}", id + 1),
        4 => format!("{{\"id\":{id},\"fill\":\"{}\"}}", "x".repeat(random.usize(0..3000))),
        _ => format!("{{\"id\":{id},\"k\":\"s{}\",\"in\":{{\"id\":{id}}}}}", random.u32(0..3)),
    }
}

fn operation(random: &mut fastrand::Rng) -> Operation {
    let place = random.u32(0..14);
    let pointer = |way: &str| Pointer::parse(way).unwrap();
    let value: Arc<str> = record(random).into();
    match random.u32(0..9) {
        0 => Operation::Set { at: pointer(&format!("/list/{place}")), value },
        1 | 2 => Operation::Add { at: pointer(&format!("/list/{place}")), value },
        3 => Operation::Remove { at: pointer(&format!("/list/{place}")) },
        4 => Operation::Set {
            at: pointer(&format!("/list/{place}/id")),
            value: format!("{}", place / 2).into(),
        },
        5 => Operation::Append { at: pointer("/list"), values: vec![value] },
        6 => Operation::Move {
            from: pointer(&format!("/list/{place}")),
            at: pointer(&format!("/list/{}", random.u32(0..14))),
        },
        7 => Operation::Upsert {
            at: pointer("/list"),
            key: "id".to_owned(),
            records: vec![format!("{{\"id\":{place},\"k\":\"s1\"}}").into()],
            remove: vec![format!("{}", random.u32(0..12)).into()],
        },
        _ => Operation::Set { at: pointer("/list"), value: format!("[{value},{value}]").into() },
    }
}

#[test]
fn what_a_view_finds_is_what_the_next_text_says() {
    for seed in 0..40 {
        let mut random = fastrand::Rng::with_seed(seed);
        let records: Vec<_> = (0..random.usize(0..40)).map(|_| record(&mut random)).collect();
        let text = format!("{{\"n\":1,\"list\":[{}],\"o\":{{\"a\":{{}},\"a\":[1]}}}}", records.join(","));
        let mut document = Document::new(text);
        for _ in 0..20 {
            let patch: Vec<_> = (0..random.usize(0..4)).map(|_| operation(&mut random)).collect();
            // Some of them fail, and leave nothing.
            drop(document.apply(&patch, Numbers::Strict));
            let (text, tables) = document.advance().unwrap().0.into_parts();
            // Half of the looks are into a document that has its changes still to be made in the text.
            document = Document::with_tables(text.clone(), tables);
            let more: Vec<_> = (0..random.usize(0..3)).map(|_| operation(&mut random)).collect();
            drop(document.apply(&more, Numbers::Strict));
            let mut changed = Document::new(text);
            drop(changed.apply(&more, Numbers::Strict));
            let says = changed.advance().unwrap().0.into_parts().0;
            for way in
                ["", "/n", "/list", "/list/3", "/list/13/id", "/list/0/in", "/o/a", "/o/a/0", "/list/-", "/x"]
            {
                let pointer = Pointer::parse(way).unwrap();
                let (value, count) = plainly(&says, &pointer);
                let seen = document.value_at(&pointer).unwrap();
                assert_eq!(
                    seen.as_deref().map(model::Json::parse),
                    value.as_deref().map(model::Json::parse),
                    "{seed} {way}"
                );
                assert_eq!(document.count_at(&pointer).unwrap(), count, "{seed} {way}");
            }
            for (member, key) in
                [("id", "3"), ("id", "\"3\""), ("k", "\"s1\""), ("k", "1"), ("none", "1"), ("id", "true")]
            {
                let list = Pointer::parse("/list").unwrap();
                let expected =
                    if key == "true" { Vec::new() } else { records_plainly(&says, &list, member, key) };
                let found = document.records_at(&list, member, key, Numbers::Strict).unwrap();
                let positions: Vec<_> = found.iter().map(|(at, _)| *at).collect();
                assert_eq!(positions, expected, "{seed} {member} {key} {says}");
                for (at, text) in &found {
                    let at = Pointer::parse(&format!("/list/{at}")).unwrap();
                    assert_eq!(document.value_at(&at).unwrap().as_ref(), Some(text));
                }
            }
            assert_eq!(
                document.records_at(&Pointer::parse("/o").unwrap(), "a", "1", Numbers::Strict).unwrap(),
                []
            );
        }
    }
}

// Where each went through those before it, this would take hours.
#[test]
fn many_records_with_one_key_are_learnt_one_by_one() {
    let items: Vec<_> = (0..200_000).map(|_| r#"{"id":1}"#).collect();
    let mut document = Document::new(format!("[{}]", items.join(",")));
    let found = document.records_at(&Pointer::default(), "id", "1", Numbers::Strict).unwrap();
    assert_eq!((found.len(), found[199_999].0), (200_000, 199_999));
}

#[test]
fn a_table_lives_through_records_that_come_between_others() {
    let items: Vec<_> = (0..1000).map(|at| format!("{{\"id\":{at},\"k\":\"a\"}}")).collect();
    let mut document = Document::new(format!("[{}]", items.join(",")));
    let list = Pointer::default();
    document.records_at(&list, "id", "1", Numbers::Strict).unwrap();
    document.records_at(&list, "k", "\"b\"", Numbers::Strict).unwrap();
    for round in 0..50 {
        let add = Operation::Add {
            at: list.join("17"),
            value: format!("{{\"id\":\"{round}\",\"k\":\"b\"}}").into(),
        };
        document.apply(&[add], Numbers::Strict).unwrap();
        document = document.advance().unwrap().0;
        assert!(document.nodes.iter().any(|node| node.keyed.len() == 2), "both are known");
    }
    let positions = |found: Vec<(usize, Arc<str>)>| found.into_iter().map(|(at, _)| at).collect::<Vec<_>>();
    assert_eq!(positions(document.records_at(&list, "id", "20", Numbers::Strict).unwrap()), [70]);
    assert_eq!(positions(document.records_at(&list, "id", "\"0\"", Numbers::Strict).unwrap()), [66]);
    assert_eq!(
        positions(document.records_at(&list, "k", "\"b\"", Numbers::Strict).unwrap()),
        (17..67).collect::<Vec<_>>()
    );
}
