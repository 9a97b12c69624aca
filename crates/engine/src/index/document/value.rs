//! The text of a value: as it is now, with all changes, and as it is laid out at its place.

use std::sync::Arc;

use crate::index::document::Document;
use crate::index::document::node::Kind;
use crate::index::document::out::Out;
use crate::index::tokens::{Token, Tokens};
use crate::process::try_room;

/// How what is new is laid out at its place.
#[derive(Clone, Debug)]
pub(super) struct Style {
    /// What a level is indented by, beyond `prefix`; `None`: all is on one line, without white space.
    pub indent: Option<Arc<str>>,
    pub line_end: &'static str,
    /// What the line begins with on which the value begins.
    pub prefix: String,
}

impl Style {
    /// For what is a level deeper.
    pub fn deeper(&self) -> Self {
        let mut deeper = self.clone();
        deeper.prefix.push_str(self.indent.as_deref().unwrap_or_default());
        deeper
    }

    /// Ends a line, and begins the next one.
    pub fn end_line(&self, depth: usize, out: &mut Out) {
        let Some(indent) = &self.indent else { return };
        out.extend_from_slice(self.line_end.as_bytes());
        out.extend_from_slice(self.prefix.as_bytes());
        (0..depth).for_each(|_| out.extend_from_slice(indent.as_bytes()));
    }

    /// The end of a line, and the beginning of the next one.
    pub fn line(&self) -> Vec<u8> {
        let mut line = Out::default();
        self.end_line(0, &mut line);
        line.into_bytes().unwrap_or_default()
    }

    pub fn colon(&self) -> &'static [u8] {
        if self.indent.is_some() { b": " } else { b":" }
    }

    /// Writes a value as `JSON.stringify` does.
    pub fn lay_out(&self, value: &[u8], out: &mut Out) {
        let (mut depth, mut is_first) = (0, false);
        for token in Tokens::new(value) {
            if is_first && !matches!(token, Token::Mark(b'}' | b']')) {
                self.end_line(depth, out);
            }
            match token {
                Token::Mark(mark @ (b'{' | b'[')) => {
                    out.push(mark);
                    depth += 1;
                }
                Token::Mark(mark @ (b'}' | b']')) => {
                    depth = depth.saturating_sub(1);
                    if !is_first {
                        self.end_line(depth, out);
                    }
                    out.push(mark);
                }
                Token::Mark(b',') => {
                    out.push(b',');
                    self.end_line(depth, out);
                }
                Token::Mark(_) => out.extend_from_slice(self.colon()),
                Token::Text(inside) => {
                    out.push(b'"');
                    out.extend_from_slice(inside);
                    out.push(b'"');
                }
                Token::Number(literal) | Token::Word(literal) => out.extend_from_slice(literal),
            }
            is_first = matches!(token, Token::Mark(b'{' | b'['));
        }
    }
}

impl Document {
    /// The text of an entry's value as it is now, however it is laid out. `None`: there is no memory for it.
    pub(super) fn value_of(&self, node: usize, at: usize) -> Option<Arc<str>> {
        let mut out = Out::default();
        // An entry, or the end of a container.
        let mut rest = vec![Part::Value(node, at)];
        while let Some(part) = rest.pop() {
            match part {
                Part::Value(node, at) => match self.piece(node, at) {
                    Ok(piece) => out.extend_from_slice(piece),
                    Err(inner) => {
                        out.push(if self.nodes[inner].kind == Kind::Object { b'{' } else { b'[' });
                        rest.push(Part::Inside(inner, 0, true));
                    }
                },
                Part::Inside(node, at, is_first) => {
                    let holder = &self.nodes[node];
                    let Some(entry) = holder.entries.get(at) else {
                        out.push(if holder.kind == Kind::Object { b'}' } else { b']' });
                        continue;
                    };
                    rest.push(Part::Inside(node, at + 1, is_first && !entry.counts()));
                    if entry.counts() {
                        if !is_first {
                            out.push(b',');
                        }
                        if let Some(key) = holder.key(&self.text, at) {
                            out.extend_from_slice(key);
                            out.push(b':');
                        }
                        rest.push(Part::Value(node, at));
                    }
                }
            }
        }
        shared(&String::from_utf8_lossy(&out.into_bytes()?))
    }
}

/// A copy to be shared. `None`: there is no memory for it.
pub(super) fn shared(text: &str) -> Option<Arc<str>> {
    // What is made to be shared cannot be refused. What has had room a moment ago has it, unless another thread was faster.
    drop(try_room::<u8>(text.len())?);
    Some(text.into())
}

enum Part {
    /// The value of an entry.
    Value(usize, usize),
    /// A container from an entry on, which may be the first one that counts.
    Inside(usize, usize, bool),
}
