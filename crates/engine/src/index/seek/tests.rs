use super::*;
use crate::index::document::find;
use crate::index::json::check_index;

/// Gives out a few bytes at a time.
struct Slowly<'t>(&'t [u8], fastrand::Rng);

impl Read for Slowly<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.1.usize(1..100_000).min(self.0.len()).min(into.len());
        into[..count].copy_from_slice(&self.0[..count]);
        self.0 = &self.0[count..];
        Ok(count)
    }
}

/// What is sought is what is found by the other way, or unclear. `true`: it is not.
fn compare(bytes: &[u8], pointer: &str) -> bool {
    let pointer = Pointer::parse(pointer).unwrap();
    let size = bytes.len() as u64;
    let sought = seek(&mut Slowly(bytes, fastrand::Rng::with_seed(size)), size, &pointer).unwrap();
    let told = || String::from_utf8_lossy(&bytes[..bytes.len().min(300)]).into_owned();
    let expected = check_index(bytes.to_vec())
        .map(|text| find(&text, &pointer).map(|found| text[found.range].to_owned()));
    match (sought, expected) {
        (Sought::Unclear, _) => return false,
        (Sought::Found(found), Ok(Some(expected))) => assert_eq!(found, expected, "{pointer} in {}", told()),
        (Sought::Nothing, Ok(None)) => {}
        (sought, expected) => panic!("{sought:?} and not {expected:?}: {pointer} in {}", told()),
    }
    true
}

const POINTERS: [&str; 12] =
    ["/a", "/a/0", "/a/1/b", "/b/a", "/b", "/0", "/1", "/a/a/a", "/", "/a/b/1", "/é", "/-"];

#[test]
fn what_is_plain_is_found_with_what_is_hard_about_it() {
    for text in [
        r#"{"a": 1}"#,
        r#" {"a" : [ 1 , {"b" : "x\"]}" } ] , "b": {"a": null}} "#,
        r#"{"a": {"b": 1}, "b": 2, "a": [0, {"b": [3]}]}"#,
        r#"{"a": [0, {"b": [3]}], "\u0061": 1}"#,
        r#"{"a":{"a":{"a":1},"a":{"a":2,"a":{}}}}"#,
        r#"[[], [{}], "\\", "\\\"", -0.5e+7, true, false, null]"#,
        "\u{feff}{\"é\": \"ü😀\\ud83d\\ude00\", \"\": 3, \"-\": [[[]]]}\r\n\t",
        r#"{"b":"\/\b\f\n\r\t\ud800","a":[]}"#,
    ] {
        for pointer in POINTERS {
            assert!(compare(text.as_bytes(), pointer), "{text}");
        }
    }
}

#[test]
fn what_is_no_json_is_unclear() {
    for text in [
        "",
        " ",
        "{",
        "}",
        "[1",
        "{\"a\":1",
        "{\"a\":1,}",
        "[1,]",
        "{\"a\" 1}",
        "{a:1}",
        "{\"a\":1}}",
        "{} {}",
        "[1 2]",
        "{\"a\":01}",
        "[1.]",
        "[.5]",
        "[-]",
        "[1e]",
        "[+1]",
        "[tru]",
        "[truee]",
        "[nul",
        "[\"a",
        "[\"\\x\"]",
        "[\"\\u12g4\"]",
        "[\"a\nb\"]",
        "[\"\t\"]",
        "[1\u{c}]",
        "{\"a\":1]",
        "[1}",
        "[\"a\"b]",
        "[a\"b\"]",
        "[\\\"]",
        "{\"a\":\\\"}",
        "[,1]",
        "{,}",
        "[1,,2]",
        "{\"a\":1,\"b\"}",
        "{\"a\":,}",
        "[\"\\\"]",
        "{\"a\"::1}",
        "[:]",
        "nulll",
        "[--1]",
        "[1-]",
        "[\u{a0}1]",
        "{1:2}",
        "[\"\\u12",
        "[\"\\",
        "{\"a\":\"\u{1}\"}",
        "[1]x",
        "\"a\"x",
        "{\"a\":1 \"b\":2}",
    ] {
        assert!(check_index(text.into()).is_err(), "{text}");
        for pointer in POINTERS {
            assert!(!compare(text.as_bytes(), pointer), "{text}");
        }
    }
    for bytes in [&b"[\"\xff\"]"[..], b"[\"\xc3\"]", b"{\"a\":1}\0", b"[\"\xed\xa0\x80\"]"] {
        assert!(!compare(bytes, "/a"));
    }
}

#[test]
fn any_text_made_of_pieces_is_seen_as_the_other_way_sees_it() {
    const PIECES: [&str; 30] = [
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "\\",
        "\"a\"",
        "\"b\"",
        "1",
        "-0",
        "2.5e3",
        "true",
        "null",
        " ",
        "\n",
        "\t",
        "\\\"",
        "\\u0041",
        "\"a\":",
        "{\"a\":",
        "[1,",
        "},",
        "é",
        "\u{1}",
        "0",
        "\"\\u0061\":",
        "\"\"",
        "x",
    ];
    let mut random = fastrand::Rng::with_seed(7);
    let mut clear = 0;
    for _ in 0..40_000 {
        let count = random.usize(1..14);
        let text: String = (0..count).map(|_| PIECES[random.usize(..PIECES.len())]).collect();
        clear += usize::from(compare(text.as_bytes(), POINTERS[random.usize(..POINTERS.len())]));
    }
    // JSON with one byte changed, in many places of blocks.
    for _ in 0..40_000 {
        let mut text = " ".repeat(random.usize(..70)) + &value(&mut random, 4);
        if random.bool() {
            let piece = PIECES[random.usize(..PIECES.len())];
            let at = (0..=random.usize(..=text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap();
            text.insert_str(at, piece);
        }
        clear += usize::from(compare(text.as_bytes(), POINTERS[random.usize(..POINTERS.len())]));
    }
    assert!(clear > 15_000, "{clear}");
}

fn value(random: &mut fastrand::Rng, depth: usize) -> String {
    let white = |random: &mut fastrand::Rng| [" ", "", "\n  ", ""][random.usize(..4)];
    match random.usize(..if depth > 0 { 8 } else { 4 }) {
        0 => "12.5".to_owned(),
        1 => ["true", "null", "\"\"", "-1e9"][random.usize(..4)].to_owned(),
        2 | 3 => format!(
            "\"{}\"",
            ["a]", "\\\"", "\\\\", "é, {", "\\u00e9"][random.usize(..5)].repeat(random.usize(..9))
        ),
        4 | 5 => {
            let items: Vec<_> = (0..random.usize(..4)).map(|_| value(random, depth - 1)).collect();
            format!("[{}{}]", items.join(","), white(random))
        }
        _ => {
            let member = |random: &mut fastrand::Rng| {
                let name = ["a", "b", "\\u0061", "", "0"][random.usize(..5)];
                format!("{}\"{name}\"{}:{}", white(random), white(random), value(random, depth - 1))
            };
            let members: Vec<_> = (0..random.usize(..5)).map(|_| member(random)).collect();
            format!("{{{}}}", members.join(","))
        }
    }
}

#[test]
fn texts_of_many_windows_are_found_in_and_their_last_byte_counts() {
    let item = |at: usize| format!("{{\"id\": {at}, \"é\": \"{}\"}}", "ü\\\"".repeat(at % 50));
    let items: Vec<_> = (0..10_000).map(item).collect();
    let text = format!("{{\"a\": [{}], \"b\": {{\"a\": 1}}}}", items.join(", "));
    assert!(text.len() > 4 * PIECE);
    for pointer in ["/a/0", "/a/9999/id", "/a/6789", "/a/2500/é", "/a", "/b", "/b/a", "/x", "/a/10000"] {
        assert!(compare(text.as_bytes(), pointer), "{pointer}");
        for (broken, _) in [(text.trim_end_matches('}'), ()), (&*format!("{text}]"), ())] {
            assert!(!compare(broken.as_bytes(), pointer));
        }
    }
    // What is longer than what is known ahead takes the other way, or is found.
    for long in [format!("[{}]", "1".repeat(10_000)), format!("{{\"{}\": 1}}", "n".repeat(10_000))] {
        compare((long.clone() + &" ".repeat(2 * PIECE)).as_bytes(), "/0");
        compare((" ".repeat(PIECE) + &long + &" ".repeat(PIECE)).as_bytes(), "/0");
    }
    let deep = format!("{{\"a\":{}{}, \"b\": 2}}", "[".repeat(1_000_000), "]".repeat(1_000_000));
    assert!(compare(deep.as_bytes(), "/b") && compare(deep.as_bytes(), "/a/0/0"));
}
