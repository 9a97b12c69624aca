//! JSON pointers (RFC 6901): where in a text a value is.

use std::fmt;
use std::ops::Deref;

/// A way from the root of a text to a value: the names of members, and the positions of items.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pointer {
    tokens: Vec<String>,
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
        Self { tokens: Vec::new() }
    }

    /// Of its text: `""` is the root, `/a/0` the first item of the member `a`. In names, `~1` is `/` and `~0` is `~`.
    ///
    /// # Errors
    /// [`Invalid`], if it is not empty and does not begin with `/`, or a `~` has no `0` or `1` behind it, or it has more steps than
    /// [`Pointer::MOST_STEPS`].
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let invalid = |reason| Invalid { text: text.to_owned(), reason };
        if text.is_empty() {
            return Ok(Self::default());
        }
        let rest = text.strip_prefix('/').ok_or_else(|| invalid("it does not begin with \"/\""))?;
        if rest.split('/').nth(Self::MOST_STEPS).is_some() {
            return Err(invalid("it has more than 1000 steps"));
        }
        let tokens = rest.split('/').map(unescape).collect::<Option<_>>();
        tokens.map(|tokens| Self { tokens }).ok_or_else(|| invalid("a \"~\" is written \"~0\" in it"))
    }

    /// Whether it leads to `other`, or to something inside that.
    pub fn is_within(&self, other: &Self) -> bool {
        self.tokens.starts_with(&other.tokens)
    }

    /// The first `length` steps of the way.
    pub fn up_to(&self, length: usize) -> Self {
        Self { tokens: self.tokens[..length].to_vec() }
    }

    /// The way from what the first `length` steps lead to.
    pub fn after(&self, length: usize) -> Self {
        Self { tokens: self.tokens[length..].to_vec() }
    }

    /// One step further.
    pub fn join(&self, token: impl Into<String>) -> Self {
        let mut tokens = self.tokens.clone();
        tokens.push(token.into());
        Self { tokens }
    }
}

impl Deref for Pointer {
    type Target = [String];

    fn deref(&self) -> &[String] {
        &self.tokens
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.tokens
            .iter()
            .try_for_each(|token| write!(formatter, "/{}", token.replace('~', "~0").replace('/', "~1")))
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?} is no JSON pointer: {}", self.text, self.reason)
    }
}

impl std::error::Error for Invalid {}

fn unescape(token: &str) -> Option<String> {
    let mut parts = token.split('~');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (escaped, rest) = part.split_at_checked(1)?;
        plain.push(match escaped {
            "0" => '~',
            "1" => '/',
            _ => return None,
        });
        plain.push_str(rest);
    }
    Some(plain)
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
        ] {
            let pointer = Pointer::parse(text).unwrap();
            assert_eq!(&*pointer, tokens, "{text}");
            assert_eq!(pointer.to_string(), text);
        }
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
