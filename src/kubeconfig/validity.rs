//! How long credentials are valid. Pure: the present moment is passed in.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde::Deserialize;

/// From when until when a piece of a kubeconfig is valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Validity {
    what: &'static str,
    from: Option<Timestamp>,
    until: Option<Timestamp>,
}

/// Where a moment lies in the validity of credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Age {
    /// With the piece that ends first and the whole days left; `None` if nothing ends.
    Valid(Option<(Ends, i64)>),
    Expired(Ends),
    NotYetValid(Ends),
}

/// A piece that ends (or begins) at a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ends {
    /// `client certificate`, `certificate authority` or `token`.
    pub what: &'static str,
    pub at: Timestamp,
}

impl std::fmt::Display for Ends {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {:.0}", self.what, self.at)
    }
}

/// The times of a [JSON Web Token](https://www.rfc-editor.org/rfc/rfc7519#section-4.1), in seconds.
#[derive(Deserialize)]
struct Claims {
    exp: Option<f64>,
    nbf: Option<f64>,
}

impl Validity {
    pub fn new(what: &'static str, from: Option<Timestamp>, until: Option<Timestamp>) -> Self {
        Self { what, from, until }
    }

    /// Reads the times in a token; `None` if it is not a JSON Web Token.
    pub fn of_token(token: &str) -> Option<Self> {
        let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
        let claims: Claims = serde_json::from_slice(&payload).ok()?;
        #[allow(clippy::cast_possible_truncation, reason = "saturates, and is checked next")]
        let time = |seconds: f64| Timestamp::from_second(seconds as i64).ok();
        Some(Self::new("token", claims.nbf.and_then(time), claims.exp.and_then(time)))
    }
}

/// Returns the age of credentials whose pieces are all needed.
pub fn age(pieces: &[Validity], now: Timestamp) -> Age {
    let at = |piece: &Validity, at: Option<Timestamp>| Some(Ends { what: piece.what, at: at? });
    let ends = pieces.iter().filter_map(|piece| at(piece, piece.until));
    let begins = pieces.iter().filter_map(|piece| at(piece, piece.from));
    let (first, last) = (ends.min_by_key(|ends| ends.at), begins.max_by_key(|begins| begins.at));
    match (first, last) {
        (Some(ends), _) if ends.at <= now => Age::Expired(ends),
        (_, Some(begins)) if begins.at > now => Age::NotYetValid(begins),
        (ends, _) => Age::Valid(ends.map(|ends| {
            let days = (ends.at.as_second() - now.as_second()) / (24 * 60 * 60);
            (ends, days)
        })),
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
        assert_eq!((ends.what, days), ("client certificate", 30));
        assert!(matches!(at(365), Age::Expired(ends) if ends.what == "client certificate"));
        assert!(matches!(at(0), Age::NotYetValid(begins) if begins.what == "client certificate"));
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
