//! How a judge is set up: a JSON file that is read again for each call, so that a test can change it.

use std::collections::HashMap;
use std::path::Path;

use serde::Deserialize;

use crate::accounts::Account;

/// What the person does when Himmelblau 4.0 asks for a PIN.
#[derive(Clone, Copy, Default, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum Prompt {
    #[default]
    Enter,
    Cancel,
    NoDisplay,
}

/// The file `settings.json`. Every key may be left out.
#[derive(Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The account of the user whom the daemon serves; none: nobody of this machine is an Entra user.
    pub account: Option<Account>,
    /// Seconds that a token lives.
    pub lifetime: u64,
    /// Whether access tokens are texts that tell nothing.
    pub opaque_tokens: bool,
    /// Method to text: what the daemon fails with, whatever the request.
    pub failures: HashMap<String, String>,
    /// Bytes that a reply is stretched to, with spaces behind the JSON.
    pub reply_bytes: usize,
    /// What the person does when asked.
    pub prompt: Prompt,
    /// Seconds until they have done it.
    pub prompt_seconds: f64,
    /// Seconds that the session broker waits for the daemon (Himmelblau's own default: 30).
    pub connection_timeout: u64,
    /// Seconds until the daemon listens; null: never.
    pub daemon_after: Option<f64>,
}

impl Default for Settings {
    fn default() -> Self {
        let ada = Account {
            username: "ada@contoso.example".into(),
            name: "Ada Lovelace".into(),
            object_id: "00000000-0000-0000-0000-0000000000a1".into(),
            tenant_id: "00000000-0000-0000-0000-0000000000f1".into(),
        };
        Self {
            account: Some(ada),
            lifetime: 3600,
            opaque_tokens: false,
            failures: HashMap::new(),
            reply_bytes: 0,
            prompt: Prompt::default(),
            prompt_seconds: 0.0,
            connection_timeout: 1,
            daemon_after: Some(0.0),
        }
    }
}

impl Settings {
    /// Read them from a folder; the defaults where there is no file.
    pub fn load(folder: &Path) -> Self {
        match std::fs::read(folder.join("settings.json")) {
            Ok(text) => serde_json::from_slice(&text).unwrap_or_else(|error| panic!("settings.json: {error}")),
            Err(_) => Self::default(),
        }
    }
}
