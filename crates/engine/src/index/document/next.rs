//! Makes the next text: of the ranges that are still there, byte for byte, and of what is new, laid out as its neighbours are. The
//! tables get their places in it on the way.

use std::mem;
use std::sync::Arc;

use crate::index::document::Document;
use crate::index::document::entry::{Entry, NEW, State};
use crate::index::document::node::{Change, Kind, Node, Value};
use crate::index::document::out::Out;
use crate::index::document::value::Style;
use crate::process::copy_text;

/// A container with fewer entries, and with none that is larger in it, is taken apart again when it is needed.
const MANY: usize = 64;

/// A container of which the next text is being made.
struct Frame {
    node: Node,
    /// The entry that is next.
    at: usize,
    /// How many entries are in the next text; they are the first ones of the node.
    count: usize,
    /// Where entries are in the next text, if some are gone.
    kept: Vec<Option<u32>>,
    changes: Vec<Change>,
    /// What is to be copied before the next bytes: from here in the source, and there in the next text, to the end of the last entry.
    pending: Option<(usize, usize)>,
    /// Where the entry before ends in the source.
    last: Option<usize>,
    gaps: Gaps,
    /// Where the container begins in the next text.
    open: usize,
    /// Where the entry begins there whose value is being made.
    start: usize,
}

/// What is between the entries of a container.
struct Gaps {
    /// After the opening bracket.
    head: Vec<u8>,
    /// Between two entries, with the comma.
    between: Vec<u8>,
    /// Between a name and its value.
    colon: Vec<u8>,
    /// Before the closing bracket.
    tail: Vec<u8>,
    /// Of what is in the entries.
    style: Style,
}

impl Gaps {
    /// As the entries in the text have it, or else as a container at a place of this style.
    fn of(node: &Node, text: &str, place: &Style) -> Self {
        let bytes = node.bytes(text);
        if let (Kind::Root, Some(value)) = (node.kind, node.entries.first()) {
            let (head, tail) = (&bytes[..value.start as usize], &bytes[value.end as usize..]);
            let style = place.clone();
            return Self {
                head: head.into(),
                between: Vec::new(),
                colon: Vec::new(),
                tail: tail.into(),
                style,
            };
        }
        let mut style = place.deeper();
        // Those that were added have no place in the text.
        let mut old =
            node.entries.iter().zip(0..).filter(|(entry, _)| entry.start != NEW && node.source.is_none());
        let Some((first, at)) = old.next() else {
            let (head, tail) = (style.line(), place.line());
            return Self { between: [b",", &*head].concat(), head, colon: style.colon().into(), tail, style };
        };
        let head = bytes[node.open + 1..first.start as usize].to_vec();
        match head.iter().rposition(|byte| matches!(byte, b'\n' | b'\r')) {
            Some(line_end) => style.prefix = String::from_utf8_lossy(&head[line_end + 1..]).into_owned(),
            None => style.indent = None,
        }
        let between = match old.next() {
            Some((second, _)) => bytes[first.end as usize..second.start as usize].to_vec(),
            None => [b",", &*head].concat(),
        };
        let colon = node.key(text, at).map_or_else(Vec::new, |key| {
            let end = first.start as usize + key.len();
            bytes[end..node.value_start(text, at)].to_vec()
        });
        let last = node.entries.iter().rfind(|entry| entry.start != NEW);
        let tail = last.map_or_else(Vec::new, |last| bytes[last.end as usize..node.close].to_vec());
        Self { head, between, colon, tail, style }
    }
}

impl Frame {
    fn new(node: Node, text: &str, place: &Style, out: &mut Out) -> Self {
        let gaps = Gaps::of(&node, text, place);
        let kept = if node.has_gone() { vec![None; node.entries.len()] } else { Vec::new() };
        let open = out.len();
        match node.kind {
            Kind::Object => out.push(b'{'),
            Kind::Array => out.push(b'['),
            Kind::Root => {}
        }
        let changes = Vec::new();
        Self { node, at: 0, count: 0, kept, changes, pending: None, last: None, gaps, open, start: 0 }
    }

    /// Goes on to the next container that is taken apart, or to the end.
    fn go_on(&mut self, text: &str, out: &mut Out) -> Option<usize> {
        while let Some(entry) = self.node.entries.get(self.at).copied() {
            let is_new = entry.start == NEW;
            match entry.state() {
                State::Gone => {
                    self.flush(text, out);
                    if !is_new {
                        self.last = Some(entry.end as usize);
                    }
                    self.at += 1;
                }
                State::Kept | State::Hidden if self.node.source.is_none() => self.keep(entry, out),
                state => {
                    self.flush(text, out);
                    self.separate(entry, text, out);
                    self.start = out.len();
                    self.write_key(entry, text, out);
                    let State::Changed(change) = state else {
                        let value = self.node.value_start(text, self.at)..entry.end as usize;
                        self.gaps.style.lay_out(&self.node.bytes(text)[value], out);
                        self.end_entry(out.len(), None);
                        continue;
                    };
                    match &self.node.changes[change].value {
                        Value::Node(inner) => return Some(*inner),
                        Value::Text(value) => self.gaps.style.lay_out(value.as_bytes(), out),
                    }
                    self.end_entry(out.len(), None);
                }
            }
        }
        None
    }

    /// An entry stays as it is in the source. Those that follow each other are copied together.
    fn keep(&mut self, entry: Entry, out: &mut Out) {
        let start = entry.start as usize;
        let (from, to) = *self.pending.get_or_insert_with(|| {
            let from = match (self.count > 0, self.last) {
                (true, Some(last)) => last,
                (true, None) => {
                    out.extend_from_slice(&self.gaps.between);
                    start
                }
                (false, _) => {
                    out.extend_from_slice(&self.gaps.head);
                    start
                }
            };
            (from, out.len())
        });
        let end = entry.end as usize;
        self.last = Some(end);
        self.start = to + start - from;
        self.end_entry(to + end - from, None);
    }

    /// Copies what is to be copied.
    fn flush(&mut self, text: &str, out: &mut Out) {
        if let (Some((from, _)), Some(last)) = (self.pending.take(), self.last) {
            out.extend_from_slice(&self.node.bytes(text)[from..last]);
        }
    }

    /// Writes what is before an entry that is not as it was.
    fn separate(&self, entry: Entry, text: &str, out: &mut Out) {
        let is_old = entry.start != NEW && self.node.source.is_none();
        out.extend_from_slice(match self.last {
            _ if self.count == 0 => &self.gaps.head,
            Some(last) if is_old => &self.node.bytes(text)[last..entry.start as usize],
            _ => &self.gaps.between,
        });
    }

    fn write_key(&mut self, entry: Entry, text: &str, out: &mut Out) {
        if entry.start != NEW {
            self.last = Some(entry.end as usize);
        }
        if entry.start != NEW && self.node.source.is_none() {
            let start = self.node.value_start(text, self.at);
            out.extend_from_slice(&self.node.bytes(text)[entry.start as usize..start]);
        } else if let Some(key) = self.node.key(text, self.at) {
            out.extend_from_slice(key);
            out.extend_from_slice(&self.gaps.colon);
        }
    }

    /// The entry ends at `end` in the next text; `inner` is its value there, if it stays taken apart.
    fn end_entry(&mut self, end: usize, inner: Option<usize>) {
        let change = inner.map(|inner| {
            self.changes.push(Change { key: None, value: Value::Node(inner) });
            self.changes.len() - 1
        });
        self.node.entries[self.count] = self.node.entries[self.at].moved(self.start..end, change);
        if let Some(kept) = self.kept.get_mut(self.at) {
            *kept = Some(self.count as u32);
        }
        self.count += 1;
        self.at += 1;
    }

    /// The end of the container. Returns it, if it stays taken apart.
    fn finish(mut self, text: &str, out: &mut Out) -> Option<Node> {
        self.flush(text, out);
        if self.count > 0 {
            out.extend_from_slice(&self.gaps.tail);
        } else if self.last.is_none() && self.node.source.is_none() {
            // It was empty, and is.
            out.extend_from_slice(&self.node.bytes(text)[self.node.open + 1..self.node.close]);
        }
        self.node.close = out.len();
        match self.node.kind {
            Kind::Object => out.push(b'}'),
            Kind::Array => out.push(b']'),
            Kind::Root => {}
        }
        let is_old = self.node.source.is_none();
        self.node.open = self.open;
        self.node.settle(self.count, self.changes, &self.kept);
        (is_old && (self.count >= MANY || !self.node.changes.is_empty() || self.node.kind == Kind::Root))
            .then_some(self.node)
    }
}

impl Document {
    /// With all changes in the text, and the text before.
    ///
    /// # Errors
    /// The document, which may be without its changes: there is no memory for another text.
    pub fn advance(self) -> Result<(Self, String), Box<Self>> {
        if self.journal.is_empty() {
            return match copy_text(&self.text) {
                Ok(text) => Ok((self, text)),
                Err(_) => Err(Box::new(self)),
            };
        }
        let added: usize = self.nodes.iter().map(Node::added).sum();
        let Some(mut out) = Out::with_room(self.text.len() + added + added / 2) else {
            return Err(Box::new(self));
        };
        let Self { text, layout, mut nodes, brings_numbers, .. } = self;
        let style = Style {
            indent: layout.indent.as_deref().map(Arc::from),
            line_end: layout.line_end,
            prefix: String::new(),
        };
        let mut take = |at: usize| mem::replace(&mut nodes[at], Node::root(0..0, 0));
        let mut next = vec![Node::root(0..0, 0)];
        let mut frames = vec![Frame::new(take(0), &text, &style, &mut out)];
        while let Some(mut frame) = frames.pop() {
            if let Some(inner) = frame.go_on(&text, &mut out) {
                let inner = Frame::new(take(inner), &text, &frame.gaps.style, &mut out);
                frames.extend([frame, inner]);
                continue;
            }
            let done = frame.finish(&text, &mut out);
            match frames.last_mut() {
                Some(holder) => {
                    let inner = done.map(|inner| {
                        next.push(inner);
                        next.len() - 1
                    });
                    holder.end_entry(out.len(), inner);
                }
                None => next.extend(done),
            }
        }
        let Some(made) = out.into_bytes() else {
            return Err(Box::new(Self { brings_numbers, ..Self::new(text) }));
        };
        // The last one is the root, and no other node knows where it is.
        next.swap_remove(0);
        let made = into_string(made);
        Ok(if made.len() < NEW as usize {
            (Self { text: made, layout, nodes: next, journal: Vec::new(), brings_numbers }, text)
        } else {
            (Self { brings_numbers, ..Self::new(made) }, text)
        })
    }
}

/// Of parts of texts.
fn into_string(made: Vec<u8>) -> String {
    String::from_utf8(made).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}
