//! Profiles of AWS, which `object_store` does not read: `AWS_PROFILE`, and `default` without it.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey, AwsCredential};

use super::container;
use super::given::refused;
use super::program::Program;
use super::role::{Right, Role};
use super::sign_on::SignOn;
use super::sign_on_session::Session;
use super::temporary::{Source, Temporary};

type Section = HashMap<String, String>;

/// Fills in what the environment has left open, and returns the profile's credentials as well, if those are to be used.
///
/// # Errors
/// The profile wants credentials of a kind that is not known here.
pub fn apply(
    mut builder: AmazonS3Builder,
) -> object_store::Result<(AmazonS3Builder, Option<Arc<Temporary>>)> {
    let named = std::env::var("AWS_PROFILE").ok().filter(|name| !name.is_empty());
    let name = named.clone().unwrap_or_else(|| "default".into());
    let profiles = Profiles::read();
    let found = profiles.section(&name);
    let is_missing = found.is_none() && named.is_some();
    let section = found.unwrap_or_default();
    // What the environment has is not mixed with the profile's: a key and its secret belong together.
    let own_key = builder.get_config_value(&AmazonS3ConfigKey::AccessKeyId).is_some()
        || std::env::var_os("AWS_WEB_IDENTITY_TOKEN_FILE").is_some();
    let set = |builder: AmazonS3Builder, name: &str, key: AmazonS3ConfigKey| match section.get(name) {
        Some(value) if builder.get_config_value(&key).is_none() => builder.with_config(key, value),
        _ => builder,
    };
    builder = set(builder, "region", AmazonS3ConfigKey::Region);
    builder = set(builder, "endpoint_url", AmazonS3ConfigKey::Endpoint);
    if own_key {
        return Ok((builder, None));
    }
    if is_missing {
        let text =
            "is in neither file of AWS: correct AWS_PROFILE, or see what aws configure list-profiles names";
        return Err(refused(format!("the profile '{name}' {text}")));
    }
    let region = builder.get_config_value(&AmazonS3ConfigKey::Region);
    let source = profiles.source(&name, &mut Vec::new())?;
    let source = source.or_else(|| container::address().map(Source::Container));
    let given = source.map(|source| Temporary::new(source, region).map(Arc::new)).transpose()?;
    Ok((builder, given))
}

/// What the two files of AWS say.
struct Profiles {
    config: String,
    credentials: String,
}

impl Profiles {
    fn read() -> Self {
        let read = |variable: &str, name: &str| {
            let home = || std::env::home_dir().map(|home| home.join(".aws").join(name));
            let file = std::env::var_os(variable).map(PathBuf::from).or_else(home);
            let text = file.and_then(|file| std::fs::read_to_string(file).ok()).unwrap_or_default();
            // Editors of Windows put a byte order mark before the first section.
            text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text)
        };
        Self {
            config: read("AWS_CONFIG_FILE", "config"),
            credentials: read("AWS_SHARED_CREDENTIALS_FILE", "credentials"),
        }
    }

    /// `None`: there is no such profile.
    fn section(&self, profile: &str) -> Option<Section> {
        let both = [&self.config, &self.credentials].map(|text| section(text, profile));
        both.into_iter().flatten().reduce(|mut values, more| {
            values.extend(more);
            values
        })
    }

    /// Where the credentials of a profile come from; `None`: it has none. `on_the_way`: the profiles that lead to it.
    fn source(&self, name: &str, on_the_way: &mut Vec<String>) -> object_store::Result<Option<Source>> {
        let values = self.section(name).unwrap_or_default();
        let get = |name: &str| values.get(name).cloned();
        let keys = || {
            Some(Source::Keys(Arc::new(AwsCredential {
                key_id: get("aws_access_key_id")?,
                secret_key: get("aws_secret_access_key")?,
                token: get("aws_session_token"),
            })))
        };
        let Some(arn) = get("role_arn") else {
            if let Some(keys) = keys() {
                return Ok(Some(keys));
            }
            if get("sso_session").or_else(|| get("sso_start_url")).is_some() {
                let sign_on = self.sign_on(name, &values)?;
                return Ok(Some(Source::SignOn(Box::new(sign_on))));
            }
            if get("login_session").is_some() {
                return Err(elsewhere(name, "the login of a person"));
            }
            let program = get("credential_process").map(|command| Program::parse(&command)).transpose()?;
            return Ok(program.map(Source::Process));
        };
        if get("mfa_serial").is_some() {
            return Err(elsewhere(name, "a code of a device"));
        }
        on_the_way.push(name.to_owned());
        let source = match get("source_profile") {
            None if get("credential_source").is_some() => Some(Source::Environment),
            // A role may be taken with the keys of its own profile.
            Some(source) if source == name => keys(),
            Some(source) if !on_the_way.contains(&source) => self.source(&source, on_the_way)?,
            _ => None,
        };
        let token = || get("web_identity_token_file").map(|file| Right::Token(file.into()));
        let of = source.map(Right::Of).or_else(token);
        let problem = || {
            let text =
                "no profile with credentials: name one as its source_profile in the configuration of AWS";
            refused(format!("the role of the profile '{name}' leads to {text}"))
        };
        Ok(Some(Source::Role(Box::new(Role {
            arn,
            session: get("role_session_name"),
            external_id: get("external_id"),
            duration: get("duration_seconds"),
            of: of.ok_or_else(problem)?,
        }))))
    }

    fn sign_on(&self, profile: &str, values: &Section) -> object_store::Result<SignOn> {
        let session = values.get("sso_session");
        let shared = session.and_then(|name| section(&self.config, &format!("sso-session {name}")));
        let shared = shared.unwrap_or_default();
        let get = |name: &str| {
            let value = values.get(name).or_else(|| shared.get(name)).filter(|value| !value.is_empty());
            let advice = format!("run aws configure sso --profile {profile}");
            let problem =
                || refused(format!("the profile '{profile}' has single sign-on, but no {name}: {advice}"));
            value.cloned().ok_or_else(problem)
        };
        Ok(SignOn {
            profile: profile.to_owned(),
            session: Session::of(session.unwrap_or(&get("sso_start_url")?)),
            renews: session.is_some(),
            region: get("sso_region")?,
            account: get("sso_account_id")?,
            role: get("sso_role_name")?,
        })
    }
}

/// What only AWS's own tool can ask for.
fn elsewhere(profile: &str, what: &str) -> object_store::Error {
    refused(format!(
        "the profile '{profile}' needs {what}: let the AWS CLI make an environment of it, with \
         eval \"$(aws configure export-credentials --format env)\""
    ))
}

/// One section of a file with `[name]` and `key = value`; `config` calls all but the default one `profile name`.
fn section(text: &str, profile: &str) -> Option<Section> {
    let mut inside = false;
    let mut values = None::<Section>;
    for line in text.lines() {
        if let Some(header) = line.trim().strip_prefix('[') {
            let header = header.split(']').next().unwrap_or_default().trim();
            inside = header.strip_prefix("profile ").unwrap_or(header).trim() == profile;
            if inside {
                values.get_or_insert_default();
            }
        } else if inside
            && !line.starts_with([' ', '\t', '#', ';'])
            && let Some((key, value)) = line.split_once('=')
        {
            let key = key.trim().to_ascii_lowercase();
            // A command may have a # in quotes, so that its comment is found with its words.
            let value = if key == "credential_process" { value } else { without_comment(value) };
            values.get_or_insert_default().insert(key, value.trim().to_owned());
        }
    }
    values
}

/// A # begins a comment after white space only: it may be a part of a value.
fn without_comment(value: &str) -> &str {
    let is_comment = |at: &usize| value[..*at].ends_with(char::is_whitespace);
    let at = value.match_indices('#').map(|(at, _)| at).find(is_comment);
    &value[..at.unwrap_or(value.len())]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(config: &str, name: &str) -> Result<Option<Source>, String> {
        let profiles = Profiles {
            config: config.into(),
            credentials: "[keys]\naws_access_key_id=k\naws_secret_access_key=s\n".into(),
        };
        profiles.source(name, &mut Vec::new()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_profile_is_one_section() {
        let text = "[default]\nregion = a\n[profile ci]\n# no\nregion=b\ns3 =\n  endpoint_url = x\n[other]\nregion = c\n";
        let values = section(text, "ci").unwrap();
        assert_eq!(values.get("region").map(String::as_str), Some("b"));
        assert_eq!(values.get("endpoint_url"), None);
    }

    #[test]
    fn a_comment_is_no_part_of_a_value() {
        let text = "[ci]\nregion = b # one\nkey = a#b\nnone = # two\ncredential_process = p '# q' # three\n";
        let values = section(text, "ci").unwrap();
        for (key, value) in
            [("region", "b"), ("key", "a#b"), ("none", ""), ("credential_process", "p '# q' # three")]
        {
            assert_eq!(values.get(key).map(String::as_str), Some(value));
        }
    }

    #[test]
    fn a_role_is_taken_with_the_credentials_of_another_profile() {
        let config =
            "[profile a]\nrole_arn=x\nsource_profile=b\n[profile b]\nrole_arn=y\nsource_profile=keys\n";
        let Ok(Some(Source::Role(role))) = source(config, "a") else { panic!("a role") };
        let Right::Of(Source::Role(of)) = role.of else { panic!("a role by a role") };
        assert!(matches!(of.of, Right::Of(Source::Keys(_))));
    }

    #[test]
    fn roles_that_lead_to_no_credentials_are_refused() {
        for config in [
            "[profile a]\nrole_arn=x\nsource_profile=b\n[profile b]\nrole_arn=y\nsource_profile=a\n",
            "[profile a]\nrole_arn=x\nsource_profile=a\n",
            "[profile a]\nrole_arn=x\nsource_profile=none\n",
            "[profile a]\nrole_arn=x\n",
        ] {
            assert!(source(config, "a").unwrap_err().contains("source_profile"), "{config}");
        }
    }

    #[test]
    fn single_sign_on_is_refused_where_something_is_missing() {
        let session = "[sso-session s]\nsso_start_url=u\nsso_region=r\n";
        let whole = "[profile a]\nsso_session=s\nsso_account_id=1\nsso_role_name=n\n";
        assert!(matches!(source(&format!("{session}{whole}"), "a"), Ok(Some(Source::SignOn(_)))));
        for line in ["sso_start_url=u\n", "sso_region=r\n", "sso_account_id=1\n", "sso_role_name=n\n"] {
            let error = source(&format!("{session}{whole}").replace(line, ""), "a").unwrap_err();
            let (name, _) = line.split_once('=').unwrap();
            assert!(error.contains(name) && error.contains("aws configure sso --profile a"), "{error}");
        }
    }

    #[test]
    fn what_a_person_has_to_take_part_in_is_refused_with_what_to_do() {
        for line in ["login_session=s", "role_arn=x\nmfa_serial=m\nsource_profile=keys"] {
            let error = source(&format!("[profile a]\n{line}\n"), "a").unwrap_err();
            assert!(error.contains("aws configure export-credentials"), "{error}");
        }
    }
}
