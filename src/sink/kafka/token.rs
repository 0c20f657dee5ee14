use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use rdkafka::client::OAuthToken;

/// How long a token is used that does not say when it expires.
const LIFETIME_UNSAID: Duration = Duration::from_secs(300);

/// Reads the bearer token that is due.
pub(super) fn read(file: Option<&Path>) -> Result<OAuthToken, String> {
    let Some(file) = file else {
        return Err("SASL OAUTHBEARER needs sink.oauth_token = { file = ... }".to_owned());
    };
    let token = crate::config::Secret::read(file)
        .map_err(|what| format!("the token's file {}, {what}", file.display()))?;
    let token = token.expose();
    let claims = claims(token).unwrap_or_default();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let expires = claims["exp"].as_i64();
    if expires.is_some_and(|seconds| u64::try_from(seconds).is_ok_and(|at| at <= now.as_secs())) {
        return Err(format!("the token in the file {} has expired", file.display()));
    }
    let unsaid = i64::try_from((now + LIFETIME_UNSAID).as_millis()).unwrap_or(i64::MAX);
    Ok(OAuthToken {
        token: token.to_owned(),
        principal_name: claims["sub"].as_str().unwrap_or("tailstock").to_owned(),
        lifetime_ms: expires.map_or(unsaid, |seconds| seconds * 1000),
    })
}

/// The claims of a JSON web token (RFC 7519), unverified: they say only when to read the next one.
fn claims(token: &str) -> Option<serde_json::Value> {
    let middle = token.split('.').nth(1)?;
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(middle).ok()?;
    serde_json::from_slice(&bytes).ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn token_of(text: &str) -> Result<OAuthToken, String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        std::fs::write(&file, text).unwrap();
        read(Some(&file))
    }

    #[test]
    fn a_token_is_used_until_it_says_it_expires() {
        let encode = |text| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text);
        let claims = encode(r#"{"sub":"bridge","exp":1900000000}"#);
        let token = token_of(&format!("{}.{claims}.", encode("{}"))).unwrap();
        assert_eq!(
            (token.principal_name.as_str(), token.lifetime_ms),
            ("bridge", 1_900_000_000_000)
        );
    }

    #[test]
    fn a_token_that_has_expired_is_not_shown_to_anybody() {
        let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(r#"{"exp":1}"#);
        assert!(token_of(&format!("a.{claims}.b")).err().unwrap().ends_with("has expired"));
    }

    #[test]
    fn a_token_that_says_nothing_is_read_again_soon() {
        let token = token_of("opaque\n").unwrap();
        assert_eq!((token.token.as_str(), token.principal_name.as_str()), ("opaque", "tailstock"));
        assert!(token.lifetime_ms > 1_700_000_000_000);
    }

    #[test]
    fn a_token_that_cannot_be_read_is_told_without_its_text() {
        assert!(read(None).err().unwrap().contains("sink.oauth_token"));
        let told = token_of("one\ntwo").err().unwrap();
        assert!(told.contains("several lines") && !told.contains("two"), "{told}");
    }
}
