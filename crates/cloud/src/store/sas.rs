//! URLs for requests of our own to Azure. `object_store` signs them with a key; with a shared access signature (SAS) there is no key, and
//! the signature itself belongs into the URL.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use object_store::azure::{AzureCredential, MicrosoftAzure};
use object_store::path::Path;
use object_store::signer::Signer;
use url::Url;

pub struct AzureUrls {
    pub store: Arc<MicrosoftAzure>,
    /// The URL of the container.
    pub container: Option<Url>,
}

impl fmt::Debug for AzureUrls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the store: its configuration has the credentials.
        f.write_str("AzureUrls")
    }
}

#[async_trait]
impl Signer for AzureUrls {
    async fn signed_url(
        &self,
        method: reqwest::Method,
        path: &Path,
        expires_in: Duration,
    ) -> object_store::Result<Url> {
        let credential = self.store.credentials().get_credential().await?;
        match (credential.as_ref(), &self.container) {
            (AzureCredential::SASToken(pairs), Some(container)) => Ok(with_signature(container, path, pairs)),
            _ => self.store.signed_url(method, path, expires_in).await,
        }
    }
}

fn with_signature(container: &Url, path: &Path, pairs: &[(String, String)]) -> Url {
    let mut url = container.clone();
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.extend(path.parts());
    }
    url.query_pairs_mut().extend_pairs(pairs);
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_the_object_and_has_the_signature() {
        let container = Url::parse("http://127.0.0.1:1/account/container").unwrap();
        let pairs = [("sp".to_owned(), "rw".to_owned()), ("sig".to_owned(), "a+b/c=".to_owned())];
        let url = with_signature(&container, &Path::parse("a b/c.json").unwrap(), &pairs);
        assert_eq!(url.as_str(), "http://127.0.0.1:1/account/container/a%20b/c.json?sp=rw&sig=a%2Bb%2Fc%3D");
    }
}
