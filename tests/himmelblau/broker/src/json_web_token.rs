//! Tokens in the shape of Entra's. Their signature is no signature.

use serde_json::{json, Value};

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Encode bytes as base64url without padding (RFC 4648, section 5).
pub fn base64url(bytes: &[u8]) -> String {
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let bits =
            group.iter().enumerate().fold(0u32, |bits, (place, byte)| bits | u32::from(*byte) << (16 - 8 * place));
        for place in 0..=group.len() {
            text.push(char::from(DIGITS[(bits >> (18 - 6 * place) & 63) as usize]));
        }
    }
    text
}

/// Make a token of claims.
pub fn json_web_token(claims: &Value) -> String {
    let header = json!({"alg": "RS256", "kid": "fictional", "typ": "JWT"});
    let parts = [header.to_string(), claims.to_string(), "fictional".to_string()];
    parts.map(|part| base64url(part.as_bytes())).join(".")
}
