//! Requests to the services that give credentials.

use object_store::client::{HttpClient, HttpRequest, HttpRequestBody};
use serde_json::Value;
use url::{Host, Url};

use super::near;
use super::reply::{origin, printable};
use super::wire::{ForCredentials, watched};

/// What a service has answered.
pub struct Answer {
    /// The status of its reply.
    pub status: u16,
    /// Its body, in which there may be secrets.
    pub page: Vec<u8>,
}

impl Answer {
    /// Whether it has given what it was asked for.
    pub fn is_given(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The body as JSON, or `null`. A form for each service would make the addon larger.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.page).unwrap_or_default()
    }
}

/// A client for all of them: it reads the certificates of the system once.
pub struct Services(HttpClient);

impl Services {
    pub fn new() -> object_store::Result<Self> {
        // A redirect could lead secrets to any host, also without encryption. None of these services has one.
        Ok(Self(watched(near::without_redirects()?)))
    }

    /// # Errors
    /// Why there is no answer, without secrets.
    pub async fn send(&self, mut request: HttpRequest) -> Result<Answer, String> {
        request.extensions_mut().insert(ForCredentials);
        let reply = self.0.execute(request).await.map_err(|error| error.to_string())?;
        let status = reply.status().as_u16();
        let page = reply.into_body().bytes().await.map_err(|error| error.to_string())?;
        Ok(Answer { status, page: page.into() })
    }
}

/// A request to a service, with this body.
///
/// # Errors
/// Why the address cannot be used.
pub fn request(address: &str, body: impl Into<HttpRequestBody>) -> Result<HttpRequest, String> {
    let unusable = || {
        let text = "the address that the environment has for it cannot be used: give a URL with https:";
        text.to_owned()
    };
    let url = Url::parse(address).map_err(|_| unusable())?;
    // Secrets go there.
    if url.scheme() != "https" && !(url.scheme() == "http" && is_here(&url)) {
        let problem = "would be asked without encryption, and secrets with it: give a URL with https:";
        return Err(format!("{} {problem}", origin(&url)));
    }
    let mut request = HttpRequest::new(body.into());
    *request.uri_mut() = address.parse().map_err(|_| unusable())?;
    Ok(request)
}

/// The words of a refusal, in brackets. They are the service's own: those that repeat a secret that it was sent are left out.
pub fn said(words: &str, secrets: &[&str]) -> String {
    let words = printable(words);
    let is_told = |secret: &&str| !secret.is_empty() && words.contains(*secret);
    if words.is_empty() || secrets.iter().any(is_told) {
        String::new()
    } else {
        format!(" ({})", words.chars().take(200).collect::<String>())
    }
}

/// This machine, or what answers containers on it.
fn is_here(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => {
            ip.is_loopback() || matches!(ip.octets(), [169, 254, 170, 2] | [169, 254, 170, 23])
        }
        Some(Host::Ipv6(ip)) => ip.is_loopback() || ip.segments() == [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23],
        None => false,
    }
}

/// The address of a service of AWS in a region, unless the environment has another one.
pub fn address(variable: &str, service: &str, region: &str) -> String {
    let suffix = if region.starts_with("cn-") { ".cn" } else { "" };
    let given = std::env::var(variable).ok().filter(|address| !address.is_empty());
    let address = given.unwrap_or_else(|| format!("https://{service}.{region}.amazonaws.com{suffix}"));
    address.trim_end_matches('/').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_leave_the_machine_with_encryption_only() {
        for address in
            ["https://a.example/b?c=d", "http://127.0.0.1:1/", "http://169.254.170.2/v2", "http://[::1]:1"]
        {
            assert!(request(address, String::new()).is_ok(), "{address}");
        }
        for address in ["http://a.example/b?c=SECRET", "http://169.254.1.1/", "file:///b?c=SECRET", "SECRET"]
        {
            let error = request(address, String::new()).unwrap_err();
            assert!(error.contains("https:") && !error.contains("SECRET"), "{error}");
        }
    }

    #[test]
    fn the_words_of_a_service_tell_no_secret_and_control_no_terminal() {
        assert_eq!(said("no\u{1b}[31m such\nsession\u{202e}", &["", "TOKEN"]), " (no[31m such session)");
        assert_eq!(said("no such TO\u{1b}KEN", &["secret", "TOKEN"]), "");
    }
}
