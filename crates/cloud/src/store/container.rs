//! Credentials that a container is given by an address in its environment: `AWS_CONTAINER_CREDENTIALS_FULL_URI`, of which
//! `object_store` knows only the kind with a token in a file.

use std::env::var;

use object_store::HeaderValue;

use super::given::{Given, Keys, refused};
use super::service::{Services, request};

/// The address, if the environment has one; the other kind, that of ECS, is before it, as in the tools of AWS.
pub fn address() -> Option<String> {
    let set = |name| var(name).ok().filter(|value| !value.is_empty());
    let is_ecs = set("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI").is_some();
    set("AWS_CONTAINER_CREDENTIALS_FULL_URI").filter(|_| !is_ecs)
}

/// The credentials from there.
///
/// # Errors
/// There are none, and why.
pub async fn credentials(services: &Services, address: &str) -> object_store::Result<Given> {
    let problem = |text: &str| {
        refused(format!("the address in AWS_CONTAINER_CREDENTIALS_FULL_URI gives no credentials: {text}"))
    };
    let mut request = request(address, String::new()).map_err(|text| problem(&text))?;
    // The file is before the variable: what writes it renews it.
    let token = match var("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE") {
        Ok(file) => {
            Some(std::fs::read_to_string(&file).map_err(|error| problem(&format!("{file}: {error}")))?)
        }
        Err(_) => var("AWS_CONTAINER_AUTHORIZATION_TOKEN").ok(),
    };
    if let Some(token) = token {
        let unusable = |_| problem("its token is no text for a header: see what wrote it");
        let mut value = HeaderValue::from_str(token.trim()).map_err(unusable)?;
        value.set_sensitive(true);
        request.headers_mut().insert("authorization", value);
    }
    let answer = services.send(request).await.map_err(|text| problem(&text))?;
    if !answer.is_given() {
        return Err(problem(&format!("status {}. See whether its token holds", answer.status)));
    }
    let keys = serde_json::from_slice::<Keys>(&answer.page);
    keys.map_err(|_| problem("the reply has no keys"))?.given()
}
