//! The releases of the driver that the charm knows, by the sha256 of the wheel that PyPI has of each: what vouches for a
//! wheel from an index when `driver-sha256` is not set. A new release is one line here.

use super::index::shown;
use crate::juju::settings::{DriverSource, Pin, Sha256};
use crate::problem::Problem;

const PUBLISHED: [(&str, &str); 5] = [
    ("1.1.0", "a90b39640c9f79763d23d3e319b49f9eab917e8349f6e1cc686eb64bfb5819a0"),
    ("1.2.0", "252363ff1020cfdc19137002f835e373337fa60969f82bacc8a47654de59be4d"),
    ("1.2.1", "2c3e9a617574b6cafbfd27a04e907c4a2512fcce9085a1bd60019005ca7df8e6"),
    ("1.3.0", "0e1a8b3416afd4c1e173d72cd2840bda34766b3ea3eeea8f373e4919cc120dbf"),
    ("1.4.0", "1e0878ea39dbe6ea3d40674c0c443ee5a0494835bdfbcc4f8052bc1178f508b9"),
];

/// Returns the sha256 of the published wheel of this version, if the charm knows it.
fn published(pin: &Pin) -> Option<&'static str> {
    let mut known = PUBLISHED.iter();
    known.find(|(version, _)| version.parse().as_ref() == Ok(pin.version())).map(|(_, sha256)| *sha256)
}

/// Checks a wheel from an index; what the operator vouches for by `driver-sha256` passes.
///
/// # Errors
/// A [`Problem`] if it is not the published wheel of a release that the charm knows.
pub fn check(source: &DriverSource, found: &Sha256) -> Result<(), Problem> {
    match published(&source.pin) {
        Some(published) if source.sha256.is_none() && found.to_string() != published => {
            let index = shown(source);
            let wrong = format!("serves a wheel of {} with sha256 {found}, and PyPI has {published}", source.pin);
            let remedy = format!("set another index-url, or driver-sha256={found} if you trust this one");
            let detail = format!("index-url: {index} {wrong}; {remedy}");
            Err(Problem::blocked("Wheel of the driver is not the published one", detail))
        }
        _ => Ok(()),
    }
}

/// Returns what the record says of a wheel beside its origin, if it is not the published one.
pub fn caveat(source: &DriverSource, found: &Sha256) -> Option<&'static str> {
    match published(&source.pin) {
        Some(published) if found.to_string() == published => None,
        Some(_) => Some("not the wheel that PyPI has of this version"),
        // Both a checksum and a resource are the operator's own word.
        None if source.sha256.is_some() || source.wheel.is_some() => None,
        None => Some("nothing vouched for it: not a release that the charm knows, and driver-sha256 is not set"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(version: &str, sha256: Option<&Sha256>, wheel: Option<&str>) -> DriverSource {
        let pin = format!("magnum-capi-helm=={version}").parse().unwrap();
        DriverSource { pin, sha256: sha256.cloned(), index: None, wheel: wheel.map(Into::into) }
    }

    #[test]
    fn every_known_release_has_a_version_and_a_checksum() {
        for (version, sha256) in PUBLISHED {
            let sha256: Sha256 = sha256.parse().unwrap();
            let source = source(version, None, None);
            assert_eq!(check(&source, &sha256), Ok(()));
            assert_eq!(caveat(&source, &sha256), None);
        }
    }

    #[test]
    fn another_wheel_of_a_known_release_needs_the_operators_word_and_is_named_in_the_record() {
        let other: Sha256 = "ab".repeat(32).parse().unwrap();
        let problem = check(&source("1.1.0", None, None), &other).unwrap_err();
        assert_eq!(problem.summary, "Wheel of the driver is not the published one");
        assert!(problem.detail.contains("or driver-sha256=abab"), "{problem}");
        assert!(problem.detail.starts_with("index-url: https://pypi.org/simple/ serves"), "{problem}");
        for given in [source("1.1.0", Some(&other), None), source("1.1", Some(&other), Some("/wheel"))] {
            assert_eq!(check(&given, &other), Ok(()));
            assert_eq!(caveat(&given, &other), Some("not the wheel that PyPI has of this version"));
        }
    }

    #[test]
    fn a_release_that_is_not_known_is_taken_and_the_record_says_what_vouched_for_it() {
        let other: Sha256 = "ab".repeat(32).parse().unwrap();
        for (source, is_vouched_for) in [
            (source("9.0.0", None, None), false),
            (source("9.0.0", Some(&other), None), true),
            (source("9.0.0", None, Some("/wheel")), true),
        ] {
            assert_eq!(check(&source, &other), Ok(()));
            assert_eq!(caveat(&source, &other).is_none(), is_vouched_for);
        }
    }
}
