//! The tokens of a text that is known to be JSON.

/// A token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Token<'t> {
    /// One of `{}[],:`.
    Mark(u8),
    /// What is between a string's quotes.
    Text(&'t [u8]),
    /// A number's literal.
    Number(&'t [u8]),
    /// `true`, `false`, `null`.
    Word(&'t [u8]),
}

/// Goes through the tokens of a text, or of the end of one that begins between two tokens.
#[derive(Clone, Debug)]
pub struct Tokens<'t> {
    text: &'t [u8],
    at: usize,
}

impl<'t> Tokens<'t> {
    /// The tokens of `text`.
    pub fn new(text: &'t [u8]) -> Self {
        Self { text, at: 0 }
    }

    /// How far it has come, in bytes.
    pub fn offset(&self) -> usize {
        self.at
    }

    fn skip(&mut self, while_in: impl Fn(u8) -> bool) -> &'t [u8] {
        let rest = &self.text[self.at..];
        let length = rest.iter().position(|byte| !while_in(*byte)).unwrap_or(rest.len());
        self.at += length;
        &rest[..length]
    }

    fn string(&mut self) -> &'t [u8] {
        self.at += 1;
        let start = self.at;
        loop {
            self.skip(|byte| byte != b'"' && byte != b'\\');
            let end = self.at;
            match self.text.get(end) {
                Some(b'\\') => self.at = (end + 2).min(self.text.len()),
                _ => {
                    self.at = (end + 1).min(self.text.len());
                    return &self.text[start..end];
                }
            }
        }
    }
}

impl<'t> Iterator for Tokens<'t> {
    type Item = Token<'t>;

    #[inline]
    fn next(&mut self) -> Option<Token<'t>> {
        loop {
            let first = *self.text.get(self.at)?;
            return Some(match first {
                b' ' | b'\t' | b'\r' | b'\n' => {
                    self.at += 1;
                    continue;
                }
                b'"' => Token::Text(self.string()),
                b'-' | b'0'..=b'9' => {
                    Token::Number(self.skip(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte)))
                }
                b'a'..=b'z' => Token::Word(self.skip(|byte| byte.is_ascii_lowercase())),
                mark => {
                    self.at += 1;
                    Token::Mark(mark)
                }
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_its_tokens() {
        let text = br#" {"a\"\\": [-1.5E+3, true ,null]} "#;
        let tokens: Vec<_> = Tokens::new(text).collect();
        let expected = [
            Token::Mark(b'{'),
            Token::Text(br#"a\"\\"#),
            Token::Mark(b':'),
            Token::Mark(b'['),
            Token::Number(b"-1.5E+3"),
            Token::Mark(b','),
            Token::Word(b"true"),
            Token::Mark(b','),
            Token::Word(b"null"),
            Token::Mark(b']'),
            Token::Mark(b'}'),
        ];
        assert_eq!(tokens, expected);
    }

    #[test]
    fn a_text_that_is_cut_ends() {
        for cut in [&b"\"a"[..], b"\"a\\", b"12", b"tru"] {
            let mut tokens = Tokens::new(cut);
            assert!(tokens.next().is_some());
            assert_eq!((tokens.offset(), tokens.next()), (cut.len(), None));
        }
    }
}
