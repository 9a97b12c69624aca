//! A plain implementation: values in a tree, with members in their order.

use crate::index::document::{Operation, Pointer};
use crate::index::layout::without_mark;
use crate::index::tokens::{Token, Tokens};

#[derive(Clone, Debug)]
pub enum Json {
    Scalar(String),
    Array(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl PartialEq for Json {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Scalar(one), Self::Scalar(other)) => one == other,
            (Self::Array(one), Self::Array(other)) => one == other,
            (Self::Object(one), Self::Object(other)) => {
                one.len() == other.len() && one.iter().all(|member| other.contains(member))
            }
            _ => false,
        }
    }
}

impl Json {
    pub fn parse(text: &str) -> Self {
        let mut tokens = Tokens::new(without_mark(text).as_bytes());
        let first = tokens.next().unwrap();
        Self::from_token(first, &mut tokens)
    }

    fn from_token(token: Token<'_>, tokens: &mut Tokens<'_>) -> Self {
        match token {
            Token::Mark(b'[') => {
                let mut items = Vec::new();
                loop {
                    match tokens.next().unwrap() {
                        Token::Mark(b']') => return Self::Array(items),
                        Token::Mark(b',') => {}
                        first => items.push(Self::from_token(first, tokens)),
                    }
                }
            }
            Token::Mark(_) => {
                let mut members: Vec<(String, Self)> = Vec::new();
                loop {
                    match tokens.next().unwrap() {
                        Token::Mark(b'}') => return Self::Object(members),
                        Token::Mark(b',') => {}
                        Token::Text(name) => {
                            let name = unquoted(name);
                            assert_eq!(tokens.next(), Some(Token::Mark(b':')));
                            let first = tokens.next().unwrap();
                            let value = Self::from_token(first, tokens);
                            match members.iter_mut().find(|(other, _)| *other == name) {
                                Some(member) => member.1 = value,
                                None => members.push((name, value)),
                            }
                        }
                        other => panic!("{other:?}"),
                    }
                }
            }
            Token::Text(text) => Self::Scalar(serde_json::Value::from(unquoted(text)).to_string()),
            Token::Number(literal) | Token::Word(literal) => {
                Self::Scalar(String::from_utf8_lossy(literal).into_owned())
            }
        }
    }

    /// As `JSON.stringify` has it; `None`: on one line.
    pub fn print(&self, indent: Option<&str>) -> String {
        let mut out = String::new();
        self.print_to(indent, 0, &mut out);
        out
    }

    fn print_to(&self, indent: Option<&str>, depth: usize, out: &mut String) {
        let line = |depth: usize, out: &mut String| {
            if let Some(indent) = indent {
                out.push('\n');
                out.push_str(&indent.repeat(depth));
            }
        };
        let (open, close, parts): (_, _, Vec<(Option<&str>, &Self)>) = match self {
            Self::Scalar(literal) => return out.push_str(literal),
            Self::Array(items) => ('[', ']', items.iter().map(|item| (None, item)).collect()),
            Self::Object(members) => {
                ('{', '}', members.iter().map(|(name, value)| (Some(&**name), value)).collect())
            }
        };
        out.push(open);
        for (at, (name, value)) in parts.iter().enumerate() {
            if at > 0 {
                out.push(',');
            }
            line(depth + 1, out);
            if let Some(name) = name {
                out.push_str(&serde_json::Value::from(*name).to_string());
                out.push_str(if indent.is_some() { ": " } else { ":" });
            }
            value.print_to(indent, depth + 1, out);
        }
        if !parts.is_empty() {
            line(depth, out);
        }
        out.push(close);
    }

    fn child(&mut self, token: &str) -> Option<&mut Self> {
        match self {
            Self::Scalar(_) => None,
            Self::Array(items) => items.get_mut(token.parse::<usize>().ok()?),
            Self::Object(members) => {
                members.iter_mut().find(|(name, _)| name == token).map(|(_, value)| value)
            }
        }
    }

    pub fn at(&mut self, pointer: &Pointer) -> Option<&mut Self> {
        pointer.iter().try_fold(self, |value, token| value.child(&token))
    }

    /// The container of the last step, if it is one.
    fn holder(&mut self, pointer: &Pointer) -> Option<(&mut Self, String)> {
        let last = pointer.last()?.into_owned();
        let holder =
            self.at(&pointer.up_to(pointer.len() - 1)).filter(|holder| !matches!(holder, Self::Scalar(_)))?;
        Some((holder, last))
    }

    fn set(&mut self, pointer: &Pointer, value: Self, insert: bool) -> Option<()> {
        if pointer.is_empty() {
            *self = value;
            return Some(());
        }
        let (holder, last) = self.holder(pointer)?;
        let is_object = matches!(holder, Self::Object(_));
        if let Some(child) = holder.child(&last).filter(|_| !insert || is_object) {
            *child = value;
            return Some(());
        }
        match holder {
            Self::Object(members) => members.push((last, value)),
            Self::Array(items) => {
                let at = if last == "-" { items.len() } else { last.parse().ok()? };
                if at > items.len() {
                    return None;
                }
                items.insert(at, value);
            }
            Self::Scalar(_) => return None,
        }
        Some(())
    }

    fn remove(&mut self, pointer: &Pointer) -> Option<Self> {
        let (holder, last) = self.holder(pointer)?;
        holder.child(&last)?;
        match holder {
            Self::Object(members) => {
                let at = members.iter().position(|(name, _)| *name == last)?;
                Some(members.remove(at).1)
            }
            Self::Array(items) => Some(items.remove(last.parse().ok()?)),
            Self::Scalar(_) => None,
        }
    }

    fn key(&self, name: &str) -> Option<String> {
        let Self::Object(members) = self else { return None };
        let (_, value) = members.iter().find(|(other, _)| other == name)?;
        match value {
            Self::Scalar(literal)
                if literal.starts_with(['"', '-'])
                    || literal.starts_with(|first: char| first.is_ascii_digit()) =>
            {
                Some(literal.clone())
            }
            _ => None,
        }
    }

    fn merge(&mut self, patch: &Self) {
        let Self::Object(changes) = patch else {
            *self = patch.clone();
            return;
        };
        if !matches!(self, Self::Object(_)) {
            *self = Self::Object(Vec::new());
        }
        let Self::Object(members) = self else { return };
        for (name, change) in changes {
            let at = members.iter().position(|(other, _)| other == name);
            match (at, change) {
                (Some(at), Self::Scalar(literal)) if literal == "null" => drop(members.remove(at)),
                (None, Self::Scalar(literal)) if literal == "null" => {}
                (Some(at), change) => members[at].1.merge(change),
                (None, change) => {
                    let mut value = Self::Scalar("null".into());
                    value.merge(change);
                    members.push((name.clone(), value));
                }
            }
        }
    }

    /// `None`: it cannot be applied.
    pub fn apply(&mut self, operation: &Operation) -> Option<()> {
        match operation {
            Operation::Set { at, value } => self.set(at, Self::parse(value), false),
            Operation::Add { at, value } => self.set(at, Self::parse(value), true),
            Operation::Replace { at, value } => self.at(at).map(|old| *old = Self::parse(value)),
            Operation::Remove { at } => self.remove(at).map(drop),
            Operation::Test { at, value } => self.at(at).filter(|old| **old == Self::parse(value)).map(drop),
            Operation::Copy { from, at } => {
                let value = self.at(from)?.clone();
                self.set(at, value, true)
            }
            Operation::Move { from, at } => {
                self.at(from)?;
                if at == from {
                    return Some(());
                }
                if at.is_within(from) {
                    return None;
                }
                let value = self.remove(from)?;
                self.set(at, value, true)
            }
            Operation::Increment { at, by } => {
                let is_item = self.is_item(at)?;
                let old = match self.at(at) {
                    Some(Self::Scalar(literal)) => literal.parse::<i64>().ok()?,
                    Some(_) => return None,
                    None if is_item => return None,
                    None => 0,
                };
                let sum = old + by.parse::<i64>().unwrap();
                self.set(at, Self::Scalar(sum.to_string()), false)
            }
            Operation::Append { at, values } => {
                let is_item = self.is_item(at)?;
                let values = values.iter().map(|value| Self::parse(value));
                match self.at(at) {
                    Some(Self::Array(items)) => items.extend(values),
                    Some(_) => return None,
                    None if is_item => return None,
                    None => return self.set(at, Self::Array(values.collect()), false),
                }
                Some(())
            }
            Operation::Upsert { at, key, records, remove } => {
                match self.at(at)? {
                    Self::Scalar(_) => return None,
                    Self::Array(items) => {
                        items.retain(|item| {
                            !item.key(key).is_some_and(|key| remove.iter().any(|other| **other == *key))
                        });
                        for record in records.iter().map(|record| Self::parse(record)) {
                            match items.iter_mut().find(|item| item.key(key) == record.key(key)) {
                                Some(item) => *item = record,
                                None => items.push(record),
                            }
                        }
                    }
                    Self::Object(members) => {
                        let name = |key: &str| key.trim_matches('"').to_owned();
                        members.retain(|(other, _)| !remove.iter().any(|key| *other == name(key)));
                        for record in records.iter().map(|record| Self::parse(record)) {
                            let name = name(&record.key(key)?);
                            match members.iter_mut().find(|(other, _)| *other == name) {
                                Some(member) => member.1 = record,
                                None => members.push((name, record)),
                            }
                        }
                    }
                }
                Some(())
            }
            Operation::Merge { patch } => {
                self.merge(&Self::parse(patch));
                Some(())
            }
        }
    }

    fn is_item(&mut self, pointer: &Pointer) -> Option<bool> {
        if pointer.is_empty() {
            return Some(false);
        }
        self.holder(pointer).map(|(holder, _)| matches!(holder, Self::Array(_)))
    }

    pub fn is_container(&self) -> bool {
        !matches!(self, Self::Scalar(_))
    }
}

fn unquoted(name: &[u8]) -> String {
    serde_json::from_str(&format!("\"{}\"", String::from_utf8_lossy(name))).unwrap()
}
