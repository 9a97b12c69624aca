//! Services on this machine and on its link: they are asked without a proxy, which could read what is sent to them.

use std::sync::LazyLock;
use std::time::Duration;

use object_store::client::HttpClient;
use reqwest::redirect::Policy;
use url::{Host, Url};

/// The system answers for these at once, or there is none: `object_store` waits as long for a role of the machine.
const TO_CONNECT: Duration = Duration::from_secs(1);

/// A client that sends secrets where it is told to, and nowhere else.
///
/// # Errors
/// The system has no certificates that can be used.
pub fn without_redirects() -> object_store::Result<HttpClient> {
    built(reqwest::Client::builder())
}

/// As [`without_redirects`], without a proxy. Made when it is first needed: it reads the certificates of the system.
pub fn client() -> Option<&'static HttpClient> {
    static CLIENT: LazyLock<Option<HttpClient>> =
        LazyLock::new(|| built(reqwest::Client::builder().no_proxy().connect_timeout(TO_CONNECT)).ok());
    CLIENT.as_ref()
}

fn built(builder: reqwest::ClientBuilder) -> object_store::Result<HttpClient> {
    let client = builder.redirect(Policy::none()).build();
    let problem = |error| object_store::Error::Generic { store: "HTTP", source: Box::new(error) };
    client.map(HttpClient::new).map_err(problem)
}

/// Whether no proxy is between this machine and that one.
pub fn is_near(address: &str) -> bool {
    let Ok(url) = Url::parse(address) else { return false };
    match url.host() {
        Some(Host::Domain(name)) => ["localhost", "metadata", "metadata.google.internal"].contains(&name),
        Some(Host::Ipv4(ip)) => ip.is_loopback() || ip.is_link_local(),
        // AWS has its services for a machine at fd00:ec2::/32.
        Some(Host::Ipv6(ip)) => {
            ip.is_loopback() || ip.is_unicast_link_local() || ip.segments().starts_with(&[0xfd00, 0xec2])
        }
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_near_needs_no_proxy() {
        for address in [
            "http://localhost:1/",
            "http://127.1.1.1/",
            "http://169.254.170.23/v1",
            "http://169.254.169.254",
            "http://[::1]:1",
            "http://[fd00:ec2::23]/v1",
            "http://[fe80::1]/",
            "http://metadata.google.internal/",
        ] {
            assert!(is_near(address), "{address}");
        }
        for address in ["http://169.255.1.1/", "http://localhost.example/", "https://[fd00::1]/", "localhost"]
        {
            assert!(!is_near(address), "{address}");
        }
    }
}
