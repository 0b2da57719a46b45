//! The daemon's accounts in the form that Himmelblau writes (PROTOCOL.md, "Accounts" and "Himmelblau").

use serde::Deserialize;
use serde_json::{json, Value};

use crate::json_web_token::base64url;

/// An account in the daemon's cache.
#[derive(Clone, Deserialize)]
pub struct Account {
    pub username: String,
    pub name: String,
    pub object_id: String,
    /// Empty where Himmelblau has not learnt it.
    #[serde(default)]
    pub tenant_id: String,
}

impl Account {
    /// Whether a request means this account: by user name, in any case.
    pub fn is_named(&self, username: &str) -> bool {
        self.username.to_lowercase() == username.to_lowercase()
    }

    fn home_account_id(&self) -> String {
        format!("{}.{}", self.object_id, self.tenant_id)
    }

    /// As `getAccounts` lists it.
    pub fn listed(&self) -> Value {
        json!({
            "environment": "login.windows.net",
            "givenName": self.name,
            "homeAccountId": self.home_account_id(),
            "localAccountId": self.object_id,
            "name": self.name,
            "passwordExpiry": 0,
            "realm": self.tenant_id,
            "username": self.username,
        })
    }

    /// As it stands beside a cookie.
    pub fn beside_cookie(&self) -> Value {
        json!({
            "environment": "login.microsoftonline.com",
            "homeAccountId": self.home_account_id(),
            "localAccountId": self.object_id,
            "realm": self.tenant_id,
            "username": self.username,
        })
    }

    /// The `clientInfo` of a token reply.
    pub fn client_info(&self) -> String {
        base64url(json!({"uid": self.object_id, "utid": self.tenant_id}).to_string().as_bytes())
    }
}
