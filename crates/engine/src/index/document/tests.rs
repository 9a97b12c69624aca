//! Documents against a plain implementation.

mod hostile;
mod model;
mod view;

use std::sync::Arc;

use fastrand::Rng;

use super::*;
use crate::index::json::check_index;
use crate::index::options::Numbers;
use model::Json;

const NAMES: [&str; 9] = ["a", "b", "slug", "", "a/b", "m~n", "é😀", "q\"\\\n", "list"];

fn name(random: &mut Rng) -> String {
    match random.u8(..3) {
        0 => random.choice(NAMES).unwrap().to_owned(),
        _ => format!("k{}", random.u8(..40)),
    }
}

fn scalar(random: &mut Rng) -> String {
    let choices =
        ["0", "1", "-7", "12", "true", "null", r#""""#, r#""s1""#, r#""s2""#, r#""a\"]}\\""#, r#""é\n""#];
    random.choice(choices).unwrap().to_owned()
}

fn value(random: &mut Rng, depth: usize) -> Json {
    let kind = if depth == 0 { 0 } else { random.u8(..6) };
    // Some have so many that they get tables, and some so many that these are kept.
    let count = if depth > 1 && random.u8(..4) == 0 { random.usize(10..90) } else { random.usize(..5) };
    match kind {
        0 | 1 => Json::Scalar(scalar(random)),
        2 | 3 => {
            let is_records = random.bool();
            let items =
                (0..count).map(|_| if is_records { record(random) } else { value(random, depth - 1) });
            Json::Array(items.collect())
        }
        _ => {
            let mut members: Vec<(String, Json)> = Vec::new();
            for _ in 0..count {
                let name = name(random);
                if members.iter().all(|(other, _)| *other != name) {
                    members.push((name, value(random, depth.min(2) - 1)));
                }
            }
            Json::Object(members)
        }
    }
}

fn record(random: &mut Rng) -> Json {
    let slug = match random.u8(..4) {
        0 => random.u8(..30).to_string(),
        _ => format!("\"s{}\"", random.u8(..60)),
    };
    let mut members = vec![("slug".to_owned(), Json::Scalar(slug)), ("n".to_owned(), value(random, 1))];
    if random.bool() {
        members.reverse();
    }
    Json::Object(members)
}

fn root(random: &mut Rng) -> Json {
    loop {
        let root = value(random, 3);
        // Nothing tells how an empty one would be laid out.
        if root.is_container() && root.print(None).len() > 2 {
            return root;
        }
    }
}

/// A way that leads somewhere, as a rule.
fn pointer(random: &mut Rng, root: &Json) -> Pointer {
    let mut pointer = Pointer::default();
    let mut at = root;
    loop {
        let is_last = random.u8(..5) == 0;
        match at {
            Json::Array(items) if !items.is_empty() && !is_last => {
                let position = random.usize(..items.len());
                pointer = pointer.join(&position.to_string());
                at = &items[position];
            }
            Json::Object(members) if !members.is_empty() && !is_last => {
                let (name, value) = &members[random.usize(..members.len())];
                pointer = pointer.join(name);
                at = value;
            }
            Json::Array(items) if random.bool() => {
                let tokens =
                    ["-".to_owned(), items.len().to_string(), (items.len() + 1).to_string(), "x".into()];
                return pointer.join(&random.choice(tokens).unwrap());
            }
            Json::Object(_) if random.bool() => return pointer.join(&name(random)),
            Json::Scalar(_) if random.u8(..20) == 0 => return pointer.join("0"),
            _ => return pointer,
        }
    }
}

fn arc(json: &Json, random: &mut Rng) -> Arc<str> {
    json.print(random.bool().then_some(" ")).into()
}

fn operation(random: &mut Rng, root: &Json) -> Operation {
    let at = pointer(random, root);
    let depth = random.usize(..3);
    let new = value(random, depth);
    let value = arc(&new, random);
    match random.u8(..13) {
        0 | 1 => Operation::Set { at, value },
        2 | 3 => Operation::Add { at, value },
        4 => Operation::Replace { at, value },
        5 | 6 => Operation::Remove { at },
        7 | 8 => {
            let records = (0..random.usize(..4)).map(|_| record(random)).collect::<Vec<_>>();
            let records = records.iter().map(|record| arc(record, random)).collect();
            let remove = (0..random.usize(..3)).map(|_| format!("\"s{}\"", random.u8(..60)).into()).collect();
            Operation::Upsert { at, key: "slug".into(), records, remove }
        }
        9 => Operation::Increment { at, by: random.i32(-9..99).to_string().into() },
        10 => Operation::Append { at, values: vec![value.clone(), value] },
        11 => {
            let from = pointer(random, root);
            if random.bool() { Operation::Move { from, at } } else { Operation::Copy { from, at } }
        }
        _ if random.bool() => Operation::Merge { patch: value },
        _ => {
            let old = root.clone().at(&at).cloned().filter(|_| random.u8(..4) > 0);
            Operation::Test { at, value: old.map_or(value, |old| arc(&old, random)) }
        }
    }
}

/// The document after patches of the same kind, against the model.
fn rounds(random: &mut Rng, indent: Option<&str>, text_of: impl Fn(&Json) -> String) -> usize {
    let mut model = root(random);
    let mut document = Document::new(text_of(&model));
    let mut applied = 0;
    for _ in 0..random.usize(1..6) {
        for _ in 0..random.usize(1..6) {
            let mut next = model.clone();
            let mut patch = Vec::new();
            let mut is_fit = true;
            for _ in 0..random.usize(1..4) {
                let operation = operation(random, &next);
                is_fit &= next.apply(&operation).is_some();
                patch.push(operation);
                if !is_fit {
                    break;
                }
            }
            is_fit &= next.is_container();
            let told = document.apply(&patch, Numbers::Strict);
            assert_eq!(told.is_ok(), is_fit, "{told:?} {patch:?}\n{}", model.print(None));
            if is_fit {
                model = next;
                applied += 1;
            }
            assert_eq!(Json::parse(&document.value_of(0, 0).unwrap()), model, "{patch:?}");
        }
        let stored = document.text().to_owned();
        if random.u8(..4) == 0 {
            document.reset();
            model = Json::parse(&stored);
            assert_eq!(Json::parse(&document.value_of(0, 0).unwrap()), model);
        }
        let (next, before) = document.advance().unwrap();
        document = next;
        assert_eq!(before, stored);
        assert!(check_index(document.text().as_bytes().to_vec()).is_ok(), "{}", document.text());
        match indent {
            Some(_) => assert_eq!(document.text(), text_of(&model), "{stored}"),
            None => assert_eq!(Json::parse(document.text()), model),
        }
    }
    applied
}

#[test]
fn a_text_laid_out_by_stringify_stays_one() {
    let mut random = Rng::with_seed(1);
    let mut applied = 0;
    for _ in 0..30 {
        let indent = random.choice(["  ", "\t", "          "]).unwrap();
        applied += rounds(&mut random, Some(indent), |model| model.print(Some(indent)));
        // Compact ones are such as well.
        applied += rounds(&mut random, Some(""), |model| model.print(None));
    }
    assert!(applied > 150, "{applied}");
}

#[test]
fn a_text_laid_out_in_any_way_says_what_the_plain_implementation_says() {
    let mut random = Rng::with_seed(2);
    for seed in 0..60 {
        rounds(&mut random, None, |model| crumpled(&model.print(Some(" ")), seed));
    }
}

/// The same text with other white space between its tokens, and other spellings of names.
fn crumpled(text: &str, seed: u64) -> String {
    let mut random = Rng::with_seed(seed);
    let mut out = String::from("\u{feff}");
    let mut is_inside = false;
    let mut rest = text.chars().peekable();
    while let Some(next) = rest.next() {
        if !is_inside && matches!(next, ' ' | '\n') {
            continue;
        }
        if !is_inside && random.u8(..4) == 0 && !next.is_ascii_alphanumeric() && next != '-' {
            out.push_str(random.choice(["\r\n", " ", "\t\n  ", "\n"]).unwrap());
        }
        match next {
            '\\' if is_inside => {
                out.push('\\');
                out.extend(rest.next());
                continue;
            }
            '"' => is_inside = !is_inside,
            's' if is_inside && random.bool() => {
                out.push_str("\\u0073");
                continue;
            }
            _ => {}
        }
        out.push(next);
    }
    out + "\r\n"
}
