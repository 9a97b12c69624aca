//! What a URL names: a store, a bucket, a key.

use crate::protocol::Error;

/// The store's protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Amazon S3 and what speaks as it does.
    S3,
    /// Azure Blob Storage.
    Azure,
    /// Google Cloud Storage.
    Google,
}

/// A URL in its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// From before `://`.
    pub scheme: Scheme,
    /// The bucket or container.
    pub bucket: String,
    /// Everything after it, as it stands: `%`, `?` and `#` are part of the key.
    pub key: String,
}

impl Target {
    /// Takes `s3://bucket/key` apart. The key may be empty: what needs one asks for it with [`Target::object`].
    pub fn parse(url: &str) -> Result<Self, Error> {
        let (scheme, rest) =
            url.split_once("://").ok_or_else(|| Error::invalid("a URL is expected: s3://bucket/key"))?;
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "s3" => Scheme::S3,
            "az" => Scheme::Azure,
            "gs" => Scheme::Google,
            _ => return Err(Error::invalid("only s3://, az:// and gs:// are known")),
        };
        let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.contains(['@', ':']) {
            // Its own text must not repeat what may be a password.
            return Err(Error::invalid(
                "a URL with a user name, a password or a port is not accepted: give credentials in the environment, and \
                 a server's address with the option `endpoint`",
            ));
        }
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '$');
        if bucket.is_empty() || !bucket.chars().all(allowed) {
            return Err(Error::invalid(
                "the name of a bucket has letters, digits, `-`, `_`, `.` and `$` only",
            ));
        }
        if key.starts_with('/') || key.contains("//") {
            // The client library would leave a slash out, and so name another object.
            return Err(Error::invalid(
                "a key cannot begin with a slash or have two in a row: leave one out",
            ));
        }
        Ok(Self { scheme, bucket: bucket.into(), key: key.into() })
    }

    /// Sees that the URL names an object.
    pub fn object(self) -> Result<Self, Error> {
        match self.key.as_str() {
            "" => Err(Error::invalid("the URL names a bucket: add the key of an object")),
            key if key.ends_with('/') => {
                Err(Error::invalid("the URL names a folder: add the name of an object"))
            }
            _ => Ok(self),
        }
    }

    /// The key as a folder: empty, or with a slash at its end.
    pub fn folder(mut self) -> Self {
        if !self.key.is_empty() && !self.key.ends_with('/') {
            self.key.push('/');
        }
        self
    }

    /// The URL of a key in the same bucket.
    pub fn url(&self, key: &str) -> String {
        let scheme = match self.scheme {
            Scheme::S3 => "s3",
            Scheme::Azure => "az",
            Scheme::Google => "gs",
        };
        format!("{scheme}://{}/{key}", self.bucket)
    }
}

/// The folder that a key is in: empty, or with a slash at its end.
pub fn folder_of(key: &str) -> &str {
    key.rfind('/').map_or("", |slash| &key[..=slash])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_taken_as_it_stands() {
        let target = Target::parse("s3://b/a%20b/c?d#e").unwrap();
        assert_eq!(target, Target { scheme: Scheme::S3, bucket: "b".into(), key: "a%20b/c?d#e".into() });
    }

    #[test]
    fn a_password_is_refused_and_not_repeated() {
        let error = Target::parse("s3://user:secret@bucket/key").unwrap_err();
        assert!(!error.to_string().contains("secret"), "{error}");
    }

    #[test]
    fn a_key_that_would_name_another_object_is_refused() {
        for url in ["s3://b//i.json", "s3://b//", "s3://b/a//i.json"] {
            assert!(Target::parse(url).is_err(), "{url}");
        }
    }

    #[test]
    fn a_bucket_or_a_folder_is_no_object() {
        assert!(Target::parse("gs://bucket").unwrap().object().is_err());
        assert!(Target::parse("az://c/folder/").unwrap().object().is_err());
    }
}
