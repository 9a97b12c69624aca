//! Profiles of AWS, which `object_store` does not read: `AWS_PROFILE`, and `default` without it.

use std::collections::HashMap;
use std::path::PathBuf;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};

/// Fills in what the environment has left open. Profiles with a role, single sign-on or a process of their own are not
/// read: `aws configure export-credentials --format env` makes an environment of them.
pub fn apply(mut builder: AmazonS3Builder) -> AmazonS3Builder {
    let profile = std::env::var("AWS_PROFILE").unwrap_or_else(|_| "default".into());
    let mut values = read("AWS_CONFIG_FILE", "config", &profile);
    values.extend(read("AWS_SHARED_CREDENTIALS_FILE", "credentials", &profile));
    // A key and its secret belong together: those of the environment are not mixed with the profile's.
    let own_key = builder.get_config_value(&AmazonS3ConfigKey::AccessKeyId).is_some()
        || std::env::var_os("AWS_WEB_IDENTITY_TOKEN_FILE").is_some();
    for (name, key) in [
        ("aws_access_key_id", AmazonS3ConfigKey::AccessKeyId),
        ("aws_secret_access_key", AmazonS3ConfigKey::SecretAccessKey),
        ("aws_session_token", AmazonS3ConfigKey::Token),
        ("region", AmazonS3ConfigKey::Region),
        ("endpoint_url", AmazonS3ConfigKey::Endpoint),
    ] {
        let taken = if name.starts_with("aws_") { own_key } else { builder.get_config_value(&key).is_some() };
        if let Some(value) = values.remove(name).filter(|_| !taken) {
            builder = builder.with_config(key, value);
        }
    }
    builder
}

fn read(variable: &str, name: &str, profile: &str) -> HashMap<String, String> {
    let home = || std::env::home_dir().map(|home| home.join(".aws").join(name));
    let Some(file) = std::env::var_os(variable).map(PathBuf::from).or_else(home) else {
        return HashMap::new();
    };
    section(&std::fs::read_to_string(file).unwrap_or_default(), profile)
}

/// One section of a file with `[name]` and `key = value`; `config` calls all but the default one `profile name`.
fn section(text: &str, profile: &str) -> HashMap<String, String> {
    let mut inside = false;
    let mut values = HashMap::new();
    for line in text.lines() {
        if let Some(header) = line.trim().strip_prefix('[') {
            let header = header.split(']').next().unwrap_or_default().trim();
            inside = header.strip_prefix("profile ").unwrap_or(header).trim() == profile;
        } else if inside
            && !line.starts_with([' ', '\t', '#', ';'])
            && let Some((key, value)) = line.split_once('=')
        {
            values.insert(key.trim().to_ascii_lowercase(), value.trim().to_owned());
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use super::section;

    #[test]
    fn a_profile_is_one_section() {
        let text = "[default]\nregion = a\n[profile ci]\n# no\nregion=b\ns3 =\n  endpoint_url = x\n[other]\nregion = c\n";
        let values = section(text, "ci");
        assert_eq!(values.get("region").map(String::as_str), Some("b"));
        assert_eq!(values.get("endpoint_url"), None);
    }
}
