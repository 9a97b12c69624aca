//! Texts and patches that are not what one expects.

use super::*;

fn at(pointer: &str) -> Pointer {
    Pointer::parse(pointer).unwrap()
}

fn set(pointer: &str, value: &str) -> Operation {
    Operation::Set { at: at(pointer), value: value.into() }
}

fn remove(pointer: &str) -> Operation {
    Operation::Remove { at: at(pointer) }
}

fn upsert(pointer: &str, key: &str, records: &[&str], remove: &[&str]) -> Operation {
    let arcs = |texts: &[&str]| texts.iter().map(|text| Arc::from(*text)).collect();
    Operation::Upsert { at: at(pointer), key: key.into(), records: arcs(records), remove: arcs(remove) }
}

fn patched(text: &str, patch: &[Operation]) -> Result<String, String> {
    let mut document = Document::new(check_index(text.into()).unwrap());
    document.apply(patch, Numbers::Strict).map_err(|fault| fault.to_string())?;
    let (next, before) = document.advance().unwrap();
    assert_eq!(before, text);
    Ok(check_index(next.into_parts().0.into()).unwrap())
}

fn becomes(text: &str, patch: &[Operation], expected: &str) {
    assert_eq!(patched(text, patch).as_deref(), Ok(expected), "{text} {patch:?}");
}

#[test]
fn what_is_not_touched_stays_byte_for_byte() {
    let text = "\u{feff}\r\n{ \"big\": 1161888007138312192 ,\r\n\t\"o\" :{\"x\":1e400},\"l\": [ 1.0,\r\n 2 ],\r\n  \"\\u0061\"  : 1.50 }\r\n\r\n";
    becomes(text, &[set("/o/x", "2")], &text.replace("1e400", "2"));
    becomes(text, &[set("/l/1", "[true]")], &text.replace("2 ]", "[true] ]"));
    becomes(text, &[remove("/a")], &text.replace(",\r\n  \"\\u0061\"  : 1.50", ""));
    becomes(text, &[remove("/big")], &text.replace("\"big\": 1161888007138312192 ,\r\n\t", ""));
    becomes(text, &[set("/a", "3")], &text.replace("1.50", "3"));
    becomes(text, &[remove("/l/0"), remove("/l/0")], &text.replace("[ 1.0,\r\n 2 ]", "[]"));
    // A patch that says nothing new.
    becomes(text, &[Operation::Test { at: at("/l"), value: "[1,2]".into() }], text);
    becomes("[ ]", &[Operation::Append { at: at(""), values: vec![] }], "[ ]");
}

#[test]
fn what_is_new_is_laid_out_as_its_neighbours_are() {
    becomes(
        "{\n    \"a\": {}\n}\n",
        &[set("/a/b", "[1,{}]")],
        "{\n    \"a\": {\n        \"b\": [\n            1,\n            {}\n        ]\n    }\n}\n",
    );
    becomes(
        "{\r\n\t\"a\": [1, 2]\r\n}",
        &[set("/a/-", "{\"b\":3}"), set("/c", "[3]")],
        "{\r\n\t\"a\": [1, 2, {\"b\":3}],\r\n\t\"c\": [\r\n\t\t3\r\n\t]\r\n}",
    );
    becomes("{\"a\": 1, \"b\": 2}", &[set("/c", "3")], "{\"a\": 1, \"b\": 2, \"c\": 3}");
    becomes("[1,2]", &[Operation::Add { at: at("/0"), value: "{ \"a\" : 0 }".into() }], "[{\"a\":0},1,2]");
    becomes("{}", &[set("/a", "1")], "{\n  \"a\": 1\n}");
    becomes("{\n\"a\": 1\n}", &[set("", "[1]")], "[\n1\n]");
}

#[test]
fn equal_names_count_once() {
    let text = r#"{"a":1,"b":2,"\u0061":3,"o":{"x":1},"o":{"y":2}}"#;
    becomes(text, &[set("/a", "4")], &text.replace('3', "4"));
    becomes(text, &[remove("/a")], r#"{"b":2,"o":{"x":1},"o":{"y":2}}"#);
    becomes(text, &[set("/o/z", "3")], &text.replace("\"y\":2", "\"y\":2,\"z\":3"));
    assert!(patched(text, &[remove("/o/x")]).is_err());
    becomes(text, &[remove("/a"), set("/a", "5")], r#"{"b":2,"o":{"x":1},"o":{"y":2},"a":5}"#);
    // So many that there is a table.
    let many =
        format!("{{{}}}", (0..50).map(|at| format!("\"k{}\":{at}", at % 25)).collect::<Vec<_>>().join(","));
    becomes(&many, &[set("/k3", "true")], &many.replace(":28,", ":true,"));
    becomes(&many, &[remove("/k3")], &many.replace("\"k3\":3,", "").replace("\"k3\":28,", ""));
    let mut document = Document::new(many.clone());
    assert!(document.apply(&[remove("/k3"), remove("/k3")], Numbers::Strict).is_err());
    document.apply(&[set("/k3", "1")], Numbers::Strict).unwrap();
    let (mut next, _) = document.advance().unwrap();
    next.apply(&[remove("/k3")], Numbers::Strict).unwrap();
    assert_eq!(next.advance().unwrap().0.text(), many.replace("\"k3\":3,", "").replace("\"k3\":28,", ""));
}

#[test]
fn names_may_be_anything() {
    becomes(
        r#"{"":{"":0},"/":1,"~":2}"#,
        &[set("//", "9"), set("/~1", "8"), set("/~0", "7")],
        r#"{"":{"":9},"/":8,"~":7}"#,
    );
    becomes("{}", &[set("/\u{1}\"\\é", "1")], "{\n  \"\\u0001\\\"\\\\é\": 1\n}");
    becomes(r#"{"\ud800":1}"#, &[set("/\u{fffd}", "2")], "{\"\\ud800\":1,\"\u{fffd}\":2}");
    becomes(r#"{"__proto__":1}"#, &[set("/__proto__", "2")], r#"{"__proto__":2}"#);
    becomes(r#"["\ud83d"]"#, &[set("/-", r#""\ud83d""#)], r#"["\ud83d","\ud83d"]"#);
}

#[test]
fn a_patch_that_fails_says_where_and_leaves_nothing() {
    let text = r#"{"posts":{"hello":{"n":"x"}},"list":[1,2],"big":9007199254740993}"#;
    for (failing, expected) in [
        (set("/posts/bye/n", "1"), "'/posts/bye/n' leads nowhere: '/posts' is an object without 'bye'"),
        (set("/posts/hello/n/x", "1"), "'/posts/hello/n/x' leads nowhere: '/posts/hello/n' is a string"),
        (set("/list/5", "1"), "'/list/5' leads nowhere: '/list' is an array without '5'"),
        (set("/list/01", "1"), "'/list/01' leads nowhere: '/list' is an array without '01'"),
        (remove("/list/-"), "'/list/-' leads nowhere: '/list' is an array without '-'"),
        (remove("/x"), "'/x' leads nowhere: the index is an object without 'x'"),
        (remove(""), "'' would be nothing: an index is an object or an array"),
        (set("", "1"), "'' would be a number: an index is an object or an array"),
        (
            Operation::Increment { at: at("/posts/hello/n"), by: "1".into() },
            "'/posts/hello/n' cannot be incremented: it is a string",
        ),
        (
            Operation::Increment { at: at("/big"), by: "1".into() },
            "'/big' cannot be incremented: the sum would lose digits; { numbers: 'exact' } keeps those of whole numbers, up to 38",
        ),
        (
            Operation::Append { at: at("/posts"), values: vec![] },
            "'/posts' cannot be appended to: it is an object",
        ),
        (
            Operation::Test { at: at("/list"), value: "[2,1]".into() },
            "'/list' has another value than the patch is made for",
        ),
        (
            Operation::Move { from: at("/posts"), at: at("/posts/hello/p") },
            "'/posts/hello/p' is inside of '/posts', which is to be moved there",
        ),
        (
            set("/list/0", "[1"),
            "'/list/0' is to be given something that is no JSON: EOF while parsing a list at line 1 column 2",
        ),
        (upsert("/list/0", "slug", &[], &[]), "'/list/0' cannot have records: it is a number"),
        (
            upsert("/list", "slug", &["{\"slug\":null}"], &[]),
            "'/list' cannot have a record without a key: 'slug' is to be a string or a number",
        ),
    ] {
        let mut document = Document::new(text.into());
        let first = [
            set("/posts/hello/new", "1"),
            remove("/list/0"),
            set("/list/-", "3"),
            Operation::Add { at: at("/list/0"), value: "0".into() },
        ];
        document.apply(&first[..1], Numbers::Strict).unwrap();
        let patch: Vec<_> = first[1..].iter().cloned().chain([failing]).collect();
        assert_eq!(document.apply(&patch, Numbers::Strict).unwrap_err().to_string(), expected);
        assert_eq!(
            document.advance().unwrap().0.text(),
            text.replace("\"x\"", "\"x\",\"new\":1"),
            "{expected}"
        );
    }
}

#[test]
fn depth_costs_no_stack() {
    let depth = 30_000;
    let deep = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let text = format!("{{\"a\":{deep},\"b\":1}}");
    let mut document = Document::new(text.clone());
    let inner = at(&"/0".repeat(300)).join("-");
    let way = inner.iter().fold(at("/a"), |way, token| way.join(&token));
    let patch = [
        Operation::Test { at: at("/a"), value: deep.clone().into() },
        Operation::Copy { from: at("/a"), at: at("/c") },
        set(&way.to_string(), "2"),
        Operation::Merge { patch: format!("{}1{}", "{\"m\":".repeat(300), "}".repeat(300)).into() },
    ];
    document.apply(&patch, Numbers::Strict).unwrap();
    let next = document.advance().unwrap().0.into_parts().0;
    assert_eq!(next.len(), text.len() + 2 + 5 + deep.len() + ",\"m\":".len() + "{\"m\":}".len() * 299 + 1);
    assert!(next.contains("],2]"));
}

#[test]
fn records_are_told_by_their_keys() {
    let text = r#"[{"slug":"a","n":1},{"slug":1},7,{"slug":"b"},{"slug":"a"},{"slug":null}]"#;
    becomes(
        text,
        &[upsert("", "slug", &[r#"{"slug":"b","n":2}"#], &[])],
        &text.replace(r#"{"slug":"b"}"#, r#"{"slug":"b","n":2}"#),
    );
    becomes(text, &[upsert("", "slug", &[r#"{"slug":"a"}"#], &[])], &text.replace(",\"n\":1", ""));
    becomes(
        text,
        &[upsert("", "slug", &[], &["\"a\"", "\"1\"", "\"c\""])],
        r#"[{"slug":1},7,{"slug":"b"},{"slug":null}]"#,
    );
    becomes(
        text,
        &[upsert("", "slug", &[r#"{"slug":1.0,"n":3}"#], &["1e0"])],
        &(text.replace("{\"slug\":1},", "").replace("null}]", "null},{\"slug\":1.0,\"n\":3}]")),
    );
    // Each key once, so that the table tells: spelled otherwise, and after changes by pointer to what has the key.
    let text = r#"[{"slug":"a"},{"slug":"b"},{"slug":"c"}]"#;
    for change in [
        set("/1/slug", r#""d""#),
        set("/1", r#"{"slug":"d"}"#),
        Operation::Merge { patch: r#"[{"slug":"a"},{"slug":"d"},{"slug":"c"}]"#.into() },
    ] {
        let patch = [
            upsert("", "slug", &[], &["\"z\""]),
            change,
            upsert("", "slug", &[r#"{"slug":"\u0064","n":4}"#, r#"{"slug":"b","n":5}"#], &["\"c\""]),
        ];
        becomes(text, &patch, r#"[{"slug":"a"},{"slug":"\u0064","n":4},{"slug":"b","n":5}]"#);
    }
    let patch = [
        upsert("", "slug", &[r#"{"slug":"d"}"#], &["\"a\""]),
        Operation::Add { at: at("/0"), value: r#"{"slug":"a"}"#.into() },
        upsert("", "slug", &[r#"{"slug":"a","n":1}"#, r#"{"slug":"c","n":2}"#], &["\"b\""]),
    ];
    becomes(text, &patch, r#"[{"slug":"a","n":1},{"slug":"c","n":2},{"slug":"d"}]"#);
    becomes(
        r#"{"a":{"id":"a"},"7":0}"#,
        &[upsert("", "id", &[r#"{"id":7}"#, r#"{"id":"b"}"#], &["\"a\""])],
        r#"{"7":{"id":7},"b":{"id":"b"}}"#,
    );
}

#[test]
fn tables_live_through_patches_and_are_small() {
    let text =
        format!("[{}]", (0..20_000).map(|at| format!("{{\"id\":{at}}}")).collect::<Vec<_>>().join(","));
    let mut document = Document::new(text);
    document.expand_records(&at(""), "id", Numbers::Strict);
    for round in 0..3 {
        let record = format!("{{\"id\":{},\"n\":{round}}}", 19_000 + round);
        let patch = [upsert("", "id", &[&record], &[&round.to_string()])];
        let nodes = document.nodes.len();
        document.apply(&patch, Numbers::Strict).unwrap();
        assert_eq!(document.nodes.len(), nodes, "nothing is taken apart again");
        document = document.advance().unwrap().0;
        assert!(document.nodes.iter().any(|node| !node.keyed.is_empty()));
        let per_key = (document.size() - document.text().len()) / 20_000;
        assert!(per_key <= 40, "{per_key}");
    }
    assert_eq!(find(document.text(), &at("/0/id")).map(|found| &document.text()[found.range]), Some("3"));
    document.drop_tables();
    assert!(document.size() < document.text().len() + 1000);
}

#[test]
fn records_are_found_after_a_patch_that_failed() {
    let fails = |document: &mut Document, steps: &[Operation]| {
        let patch = [steps, &[remove("/nowhere")]].concat();
        assert!(document.apply(&patch, Numbers::Strict).is_err());
    };
    for count in 1..120 {
        let records: Vec<_> = (0..count).map(|at| format!("{{\"id\":{at}}}")).collect();
        let text = format!("[{}]", records.join(","));
        let new: Vec<_> = (count..count + 20).map(|at| format!("{{\"id\":{at}}}")).collect();
        let new: Vec<_> = new.iter().map(String::as_str).collect();
        for is_known in [true, false] {
            let mut document = Document::new(text.clone());
            if is_known {
                document.expand_records(&at(""), "id", Numbers::Strict);
            }
            fails(&mut document, &[upsert("", "id", &new, &["0"])]);
            fails(&mut document, &[set("/0/id", "\"z\""), upsert("", "id", &new, &[])]);
            fails(&mut document, &[remove("/0"), upsert("", "id", &new[..1], &[])]);
            let patch = [upsert("", "id", &[r#"{"id":0,"n":1}"#], &[])];
            document.apply(&patch, Numbers::Strict).unwrap();
            let expected = text.replacen("{\"id\":0}", "{\"id\":0,\"n\":1}", 1);
            assert_eq!(document.advance().unwrap().0.text(), expected);
        }
    }
}

#[test]
fn a_record_whose_key_changes_again_and_again_is_found() {
    let mut document = Document::new(r#"[{"id":"a"}]"#.into());
    document.expand_records(&at(""), "id", Numbers::Strict);
    for round in 0..1000 {
        document.apply(&[set("/0/id", &round.to_string())], Numbers::Strict).unwrap();
    }
    document.apply(&[upsert("", "id", &[r#"{"id":999,"n":1}"#], &[])], Numbers::Strict).unwrap();
    assert!(document.nodes.iter().flat_map(|node| &node.keyed).all(|keyed| keyed.len() < 200));
    assert_eq!(document.advance().unwrap().0.text(), r#"[{"id":999,"n":1}]"#);
}

#[test]
fn a_key_of_more_digits_than_a_double_has_is_none_if_they_are_to_be_kept() {
    let text = r#"[{"id":9007199254740993},{"id":9007199254740992}]"#;
    let after = |numbers| {
        let mut document = Document::new(text.into());
        document.expand_records(&at(""), "id", Numbers::Lossy);
        document.apply(&[upsert("", "id", &[r#"{"id":9007199254740992,"n":1}"#], &[])], numbers).unwrap();
        document.advance().unwrap().0.text().to_owned()
    };
    assert_eq!(after(Numbers::Exact), text.replace("992}", "992,\"n\":1}"));
    assert_eq!(after(Numbers::Lossy), text.replace("993}", "992,\"n\":1}"));
}
