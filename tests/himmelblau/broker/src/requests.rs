//! Which keys of a request Himmelblau's daemon reads. All others are ignored.
//!
//! The types bear the names of Himmelblau's own, and their fields the order: serde's messages name and count them, and
//! Himmelblau 4.0 passes those messages on ("invalid length 0, expected struct TokenReq with 2 elements").

use serde::Deserialize;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AccountReq {
    pub username: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuthParametersReq {
    pub requested_scopes: Vec<String>,
    #[allow(dead_code)] // read for its type: a clientId that is not a text is refused
    client_id: Option<String>,
    pub account: Option<AccountReq>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TokenReq {
    pub account: Option<AccountReq>,
    pub auth_parameters: AuthParametersReq,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SsoCookieReq {
    pub account: AccountReq,
}

/// What Himmelblau 4.0 reads besides. Apart from the rest, as its place among the fields is not known.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RedirectReq {
    pub auth_parameters: RedirectParametersReq,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RedirectParametersReq {
    pub redirect_uri: Option<String>,
}

/// Whether a redirect URI will do for Himmelblau 4.0: absolute, without a fragment.
pub fn check_redirect_uri(uri: &str) -> Result<(), String> {
    let scheme = uri.split_once(':').map_or("", |(scheme, _)| scheme);
    let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.chars().all(|sign| sign.is_ascii_alphanumeric() || "+-.".contains(sign));
    match (is_scheme, uri.contains('#')) {
        (false, _) => Err("Invalid redirectUri".into()),
        (true, true) => Err("Invalid redirectUri: fragment not allowed".into()),
        (true, false) => Ok(()),
    }
}
