//! JSON pointers (RFC 6901): where in a text a value is.

use std::borrow::Cow;
use std::fmt;

/// A way from the root of a text to a value: the names of members, and the positions of items. It is kept as it is written, as a pointer of a patch is
/// gone along once or twice: a string for each step costs more than that.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pointer {
    text: String,
}

/// Why a text is no pointer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    text: String,
    reason: &'static str,
}

impl Pointer {
    /// How many steps one that is parsed may have. Each step goes over all that the container has which it leads into, so the time is their
    /// number times the size of the text.
    pub const MOST_STEPS: usize = 1000;

    /// To all of a text.
    pub const fn root() -> Self {
        Self { text: String::new() }
    }

    /// Of its text: `""` is the root, `/a/0` the first item of the member `a`. In names, `~1` is `/` and `~0` is `~`.
    ///
    /// # Errors
    /// [`Invalid`], if it is not empty and does not begin with `/`, or a `~` has no `0` or `1` behind it, or it has more steps than
    /// [`Pointer::MOST_STEPS`].
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let invalid = |reason| Err(Invalid { text: text.to_owned(), reason });
        if !text.is_empty() && !text.starts_with('/') {
            return invalid("it does not begin with \"/\"");
        }
        let (mut steps, mut is_escaped, mut is_wrong) = (0, false, false);
        for byte in text.bytes() {
            steps += usize::from(byte == b'/');
            is_wrong |= is_escaped && byte != b'0' && byte != b'1';
            is_escaped = byte == b'~';
        }
        if steps > Self::MOST_STEPS {
            return invalid("it has more than 1000 steps");
        }
        if is_wrong || is_escaped {
            return invalid("a \"~\" is written \"~0\" in it");
        }
        Ok(Self { text: text.to_owned() })
    }

    /// The steps of the way.
    pub fn iter(&self) -> impl Iterator<Item = Cow<'_, str>> {
        let mut rest = self.text.get(1..);
        std::iter::from_fn(move || {
            let text = rest?;
            let end = text.bytes().position(|byte| byte == b'/');
            rest = end.map(|end| &text[end + 1..]);
            Some(unescape(end.map_or(text, |end| &text[..end])))
        })
    }

    /// The last step; `None`: it is the root.
    pub fn last(&self) -> Option<Cow<'_, str>> {
        self.text.rfind('/').map(|start| unescape(&self.text[start + 1..]))
    }

    /// How many steps it has.
    pub fn len(&self) -> usize {
        self.text.bytes().filter(|byte| *byte == b'/').count()
    }

    /// Whether it is the root.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Whether it leads to `other`, or to something inside that.
    pub fn is_within(&self, other: &Self) -> bool {
        let rest = self.text.strip_prefix(&other.text);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// The first `length` steps of the way.
    pub fn up_to(&self, length: usize) -> Self {
        Self { text: self.text[..self.end_of(length)].to_owned() }
    }

    /// The way from what the first `length` steps lead to.
    pub fn after(&self, length: usize) -> Self {
        Self { text: self.text[self.end_of(length)..].to_owned() }
    }

    /// Where the first `length` steps end in the text.
    fn end_of(&self, length: usize) -> usize {
        self.text.match_indices('/').nth(length).map_or(self.text.len(), |(at, _)| at)
    }

    /// One step further.
    pub fn join(&self, token: &str) -> Self {
        Self { text: format!("{}/{}", self.text, token.replace('~', "~0").replace('/', "~1")) }
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?} is no JSON pointer: {}", self.text, self.reason)
    }
}

impl std::error::Error for Invalid {}

/// The name, or the digits, that a step is written for.
fn unescape(step: &str) -> Cow<'_, str> {
    match step.contains('~') {
        true => step.replace("~1", "/").replace("~0", "~").into(),
        false => step.into(),
    }
}

/// The position of an item that a token stands for: digits, without a zero before others.
pub fn position(token: &str) -> Option<usize> {
    let is_plain =
        token.bytes().all(|byte| byte.is_ascii_digit()) && (token == "0" || !token.starts_with('0'));
    if is_plain { token.parse().ok() } else { None }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_pointer_is_its_tokens() {
        for (text, tokens) in [
            ("", &[][..]),
            ("/", &[""]),
            ("/a//0", &["a", "", "0"]),
            ("/a~1b/m~0n/~01", &["a/b", "m~n", "~1"]),
            ("/é 😀", &["é 😀"]),
            ("/~01/~1~0", &["~1", "/~"]),
        ] {
            let pointer = Pointer::parse(text).unwrap();
            assert_eq!(pointer.iter().collect::<Vec<_>>(), tokens, "{text}");
            assert_eq!((pointer.len(), pointer.is_empty()), (tokens.len(), tokens.is_empty()), "{text}");
            assert_eq!(pointer.last().as_deref(), tokens.last().copied(), "{text}");
            let joined = tokens.iter().fold(Pointer::root(), |way, token| way.join(token));
            assert_eq!((&joined, pointer.to_string().as_str()), (&pointer, text));
            for length in 0..=tokens.len() {
                let (way, rest) = (pointer.up_to(length), pointer.after(length));
                assert_eq!(way.iter().chain(rest.iter()).collect::<Vec<_>>(), tokens, "{text} {length}");
                assert_eq!(way.len(), length);
                assert!(pointer.is_within(&way) && (length == tokens.len() || !way.is_within(&pointer)));
            }
        }
    }

    #[test]
    fn a_way_is_inside_of_another_by_whole_steps() {
        let is_within = |one, other| Pointer::parse(one).unwrap().is_within(&Pointer::parse(other).unwrap());
        assert!(
            is_within("/a/b", "/a") && is_within("/a", "/a") && is_within("/a", "") && is_within("/", "")
        );
        assert!(!is_within("/ab", "/a") && !is_within("/a~1b", "/a") && !is_within("", "/"));
    }

    #[test]
    fn what_is_no_pointer_is_refused() {
        for text in ["a", " /a", "/~", "/a~2", "/~é", "#/a"] {
            let message = Pointer::parse(text).unwrap_err().to_string();
            assert!(message.starts_with(&format!("{text:?} is no JSON pointer: ")), "{message}");
        }
    }

    #[test]
    fn a_pointer_has_a_thousand_steps_at_most() {
        let most = "/a".repeat(Pointer::MOST_STEPS);
        assert_eq!(Pointer::parse(&most).unwrap().len(), Pointer::MOST_STEPS);
        let message = Pointer::parse(&(most + "/")).unwrap_err().to_string();
        assert!(message.ends_with(&format!("it has more than {} steps", Pointer::MOST_STEPS)), "{message}");
    }

    #[test]
    fn a_position_has_one_spelling() {
        for (token, expected) in [("0", Some(0)), ("10", Some(10)), ("01", None), ("-1", None), ("+1", None)]
        {
            assert_eq!(position(token), expected, "{token}");
        }
        for token in ["", "-", "1e0", "99999999999999999999999", "１"] {
            assert_eq!(position(token), None, "{token}");
        }
    }
}
