//! How long credentials are valid. Pure: the present moment is passed in.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde_json::Value;

use crate::system::limits;

/// From when until when a piece of a kubeconfig is valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Validity {
    /// `client certificate`, `certificate authority` or `token`.
    what: &'static str,
    from: Option<Timestamp>,
    until: Option<Timestamp>,
}

/// Where a moment lies in the validity of credentials. A piece that ends or begins is shown with the moment:
/// `token 2021-01-01T00:00:00Z`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Age {
    /// With the piece that ends first and the whole days left; `None` if nothing ends.
    Valid(Option<(String, i64)>),
    Expired(String),
    NotYetValid(String),
}

impl Validity {
    pub fn new(what: &'static str, from: Option<Timestamp>, until: Option<Timestamp>) -> Self {
        Self { what, from, until }
    }

    /// Reads the times in a token, in seconds; `None` if it is not a
    /// [JSON Web Token](https://www.rfc-editor.org/rfc/rfc7519#section-4.1).
    pub fn of_token(token: &str) -> Option<Self> {
        let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
        let claims: Value = limits::json(&payload).ok()?;
        // The cast saturates, and what it gives is checked next.
        let time = |claim: &str| Timestamp::from_second(claims[claim].as_f64()? as i64).ok();
        Some(Self::new("token", time("nbf"), time("exp")))
    }
}

/// Returns the age of credentials whose pieces are all needed.
pub fn age(pieces: &[Validity], now: Timestamp) -> Age {
    let first_end = pieces.iter().filter_map(|piece| Some((piece.until?, piece.what))).min();
    let last_begin = pieces.iter().filter_map(|piece| Some((piece.from?, piece.what))).max();
    let shown = |(at, what): (Timestamp, &str)| format!("{what} {at:.0}");
    match (first_end, last_begin) {
        (Some(end), _) if end.0 <= now => Age::Expired(shown(end)),
        (_, Some(begin)) if begin.0 > now => Age::NotYetValid(shown(begin)),
        (end, _) => Age::Valid(end.map(|end| (shown(end), (end.0.as_second() - now.as_second()) / (24 * 60 * 60)))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 24 * 60 * 60;

    fn day(number: i64) -> Option<Timestamp> {
        Timestamp::from_second(number * DAY).ok()
    }

    #[test]
    fn the_piece_that_ends_first_counts() {
        let pieces = [
            Validity::new("certificate authority", day(0), day(3650)),
            Validity::new("client certificate", day(1), day(365)),
        ];
        let at = |number| age(&pieces, day(number).unwrap());
        let Age::Valid(Some((ends, days))) = at(335) else { panic!("{:?}", at(335)) };
        assert_eq!((ends.as_str(), days), ("client certificate 1971-01-01T00:00:00Z", 30));
        assert!(matches!(at(365), Age::Expired(ends) if ends.starts_with("client certificate")));
        assert!(matches!(at(0), Age::NotYetValid(begins) if begins.starts_with("client certificate")));
        assert_eq!(age(&[], day(1).unwrap()), Age::Valid(None));
    }

    #[test]
    fn the_times_in_a_json_web_token_are_read() {
        let claims = URL_SAFE_NO_PAD.encode(format!(r#"{{"exp":{}}}"#, 10 * DAY));
        let token = format!("head.{claims}.signature");
        let pieces = [Validity::of_token(&token).unwrap()];
        assert!(matches!(age(&pieces, day(11).unwrap()), Age::Expired(_)));
        assert!(matches!(age(&pieces, day(9).unwrap()), Age::Valid(Some((_, 1)))));
        assert_eq!(Validity::of_token("opaque"), None);
        assert_eq!(Validity::of_token("a.b.c"), None);
    }
}
