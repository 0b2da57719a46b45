//! The daemon: answers as Himmelblau's does (PROTOCOL.md, "Himmelblau"), for a fictional account. No code is Himmelblau's.

use std::error::Error;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use serde::de::DeserializeOwned;
use serde_json::{json, Value};

use crate::accounts::Account;
use crate::json_web_token::json_web_token;
use crate::requests::{check_redirect_uri, RedirectReq, SsoCookieReq, TokenReq};
use crate::settings::Settings;

/// Which Himmelblau the daemon is of.
#[derive(Clone, Copy, PartialEq)]
pub enum Release {
    ThreeOne,
    FourZero,
}

impl Release {
    fn version(self) -> &'static str {
        match self {
            Release::ThreeOne => "3.1.12",
            Release::FourZero => "4.0.0",
        }
    }
}

/// A daemon that a crate's `himmelblau_broker_serve` can be given.
#[derive(Clone)]
pub struct Daemon {
    pub release: Release,
    /// Where its settings are.
    pub folder: PathBuf,
}

impl Daemon {
    /// Answer a call, or fail with a text.
    fn answer(&self, method: &str, request: &str) -> Result<String, String> {
        let settings = Settings::load(&self.folder);
        if let Some(text) = settings.failures.get(method) {
            return Err(text.clone());
        }
        let reply = match method {
            "acquireTokenInteractively" | "acquireTokenSilently" => self.token(&settings, request)?,
            "getAccounts" => json!({"accounts": [found(&settings)?.listed()]}),
            "acquirePrtSsoCookie" => cookie(&settings, request)?,
            "getLinuxBrokerVersion" => json!({"linuxBrokerVersion": self.release.version()}),
            _ => return Err("Not implemented".into()),
        };
        Ok(format!("{:width$}", reply.to_string(), width = settings.reply_bytes))
    }

    fn token(&self, settings: &Settings, text: &str) -> Result<Value, String> {
        let request: TokenReq = parsed(text)?;
        let parameters = request.auth_parameters;
        let named = request.account.or(parameters.account).ok_or("Missing account")?;
        let account = named_account(settings, &named.username)?;
        if self.release == Release::FourZero {
            let request: RedirectReq = parsed(text)?;
            if let Some(uri) = request.auth_parameters.redirect_uri {
                check_redirect_uri(&uri)?;
            }
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_err(|error| error.to_string())?;
        let expires_on = now.as_secs() + settings.lifetime;
        let scopes = parameters.requested_scopes.join(" ");
        let claims = json!({
            "aud": "https://graph.microsoft.com", "exp": expires_on, "iat": now.as_secs(), "nbf": now.as_secs(),
            "oid": account.object_id, "preferred_username": account.username, "scp": scopes, "tid": account.tenant_id,
            "upn": account.username, "ver": "2.0",
        });
        let access_token =
            if settings.opaque_tokens { "fictional-opaque-token".into() } else { json_web_token(&claims) };
        // 3.1 adds the lifetime in seconds to milliseconds.
        let in_milliseconds = match self.release {
            Release::ThreeOne => now.as_millis() + u128::from(settings.lifetime),
            Release::FourZero => now.as_millis() + u128::from(settings.lifetime) * 1000,
        };
        Ok(json!({
            "brokerTokenResponse": {
                "accessToken": access_token,
                "accessTokenType": 0,
                "clientInfo": account.client_info(),
                "expiresOn": in_milliseconds as u64,
                "extendedExpiresOn": expires_on,
                "grantedScopes": scopes,
                "idToken": json_web_token(&claims),
            }
        }))
    }
}

fn cookie(settings: &Settings, request: &str) -> Result<Value, String> {
    let request: SsoCookieReq = parsed(request)?;
    let account = named_account(settings, &request.account.username)?;
    Ok(json!({
        "account": account.beside_cookie(),
        "cookieContent": json_web_token(&json!({"is_primary": "true", "refresh_token": "fictional"})),
        "cookieName": "x-ms-RefreshTokenCredential",
    }))
}

fn parsed<T: DeserializeOwned>(request: &str) -> Result<T, String> {
    serde_json::from_str(request).map_err(|error| format!("{error:?}"))
}

fn found(settings: &Settings) -> Result<&Account, String> {
    settings.account.as_ref().ok_or_else(|| "Unable to find account".into())
}

fn named_account<'settings>(settings: &'settings Settings, username: &str) -> Result<&'settings Account, String> {
    let account = found(settings)?;
    if account.is_named(username) {
        Ok(account)
    } else {
        Err("Invalid request for user!".into())
    }
}

/// Both crates have the same trait, each its own.
macro_rules! stand_behind {
    ($broker:path: $($function:ident $method:literal,)*) => {
        #[async_trait]
        impl $broker for Daemon {
            $(async fn $function(
                &mut self,
                _protocol_version: String,
                _correlation_id: String,
                request: String,
                _uid: u32,
            ) -> Result<String, Box<dyn Error>> {
                Ok(self.answer($method, &request)?)
            })*
        }
    };
    ($($broker:path),*) => {
        $(stand_behind!(
            $broker:
            acquire_token_interactively "acquireTokenInteractively",
            acquire_token_silently "acquireTokenSilently",
            get_accounts "getAccounts",
            remove_account "removeAccount",
            acquire_prt_sso_cookie "acquirePrtSsoCookie",
            generate_signed_http_request "generateSignedHttpRequest",
            cancel_interactive_flow "cancelInteractiveFlow",
            get_linux_broker_version "getLinuxBrokerVersion",
        );)*
    };
}

stand_behind!(identity_dbus_broker_0_1::HimmelblauBroker, identity_dbus_broker_0_2::HimmelblauBroker);
