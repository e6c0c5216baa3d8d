//! Certificates and keys, as far as they can be judged offline. No byte of them goes into a message.

use jiff::Timestamp;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};
use x509_cert::Certificate;
use x509_cert::der::asn1::AnyRef;
use x509_cert::der::oid::ObjectIdentifier;
use x509_cert::der::{Decode, Tag, Tagged};

use super::Fault;
use super::validity::Validity;

/// `sha1WithRSAEncryption`, `ecdsa-with-SHA1`.
const SHA1_SIGNATURES: [ObjectIdentifier; 2] = [
    ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.5"),
    ObjectIdentifier::new_unwrap("1.2.840.10045.4.1"),
];
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
/// The bytes of a modulus of 2048 bits; its envelope makes it a little longer.
const SHORTEST_RSA: usize = 256;
const ELLIPTIC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
/// P-256, P-384, P-521.
const CURVES: [ObjectIdentifier; 3] = [
    ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7"),
    ObjectIdentifier::new_unwrap("1.3.132.0.34"),
    ObjectIdentifier::new_unwrap("1.3.132.0.35"),
];

/// Whether a key belongs to a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pair {
    /// It does.
    Matches,
    /// The key is of a kind that cannot be read here, such as P-521.
    Unknown,
}

/// A certificate authority, PEM: one or more certificates. It is good while one of them is.
///
/// # Errors
/// When there is none in it, or one does not parse.
pub fn authority(pem: &[u8]) -> Result<Validity, Fault> {
    let what = "certificate-authority";
    let dates = dates(&certificates(pem, what)?, what)?;
    let from = dates.iter().map(|(from, _)| *from).min();
    let until = dates.iter().map(|(_, until)| *until).max();
    Ok(Validity::new("certificate authority", from, until))
}

/// A client certificate and its key, PEM. It is good while it and every certificate between it and
/// the authority is.
///
/// # Errors
/// When one of them does not parse, the key is encrypted, or it belongs to another certificate.
pub fn pair(certificate: &[u8], key: &[u8]) -> Result<(Validity, Pair), Fault> {
    let what = "client-certificate";
    let chain = certificates(certificate, what)?;
    let dates = dates(&chain, what)?;
    let from = dates.iter().map(|(from, _)| *from).max();
    let until = dates.iter().map(|(_, until)| *until).min();
    let validity = Validity::new("client certificate", from, until);
    chain.iter().try_for_each(strong)?;
    if String::from_utf8_lossy(key).contains("ENCRYPTED") {
        return Err(Fault::new(
            "has a client-key that is encrypted, and nobody is there to type its password; \
             decrypt it: openssl pkey -in KEY",
        ));
    }
    let is_der = |key: &PrivateKeyDer<'_>| {
        AnyRef::from_der(key.secret_der()).is_ok_and(|any| any.tag() == Tag::Sequence)
    };
    let key = PrivateKeyDer::from_pem_slice(key).ok().filter(is_der);
    let key = key.ok_or_else(|| Fault::new("has a client-key that is no private key in PEM"))?;
    let pair = match CertifiedKey::from_der(chain, key, &default_provider()) {
        Ok(_) => Pair::Matches,
        Err(Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => {
            return Err(Fault::new(
                "has a client-key that does not belong to its client-certificate; take both from \
                 the same user",
            ));
        }
        Err(_) => Pair::Unknown,
    };
    Ok((validity, pair))
}

fn certificates(pem: &[u8], what: &str) -> Result<Vec<CertificateDer<'static>>, Fault> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(Fault::new(format!(
            "has a {what} that is no certificate in PEM"
        ))),
    }
}

/// What OpenSSL, and so the driver, refuses at its default security level, and helm does not.
fn strong(der: &CertificateDer<'_>) -> Result<(), Fault> {
    let Ok(certificate) = Certificate::from_der(der) else {
        return Ok(());
    };
    let weak = |what: &str| {
        Err(Fault::new(format!(
            "has a client-certificate {what}, which the driver's OpenSSL refuses; make a new one"
        )))
    };
    if SHA1_SIGNATURES.contains(&certificate.signature_algorithm().oid) {
        return weak("that is signed with SHA-1");
    }
    let key = certificate.tbs_certificate().subject_public_key_info();
    if key.algorithm.oid == RSA && key.subject_public_key.raw_bytes().len() < SHORTEST_RSA {
        return weak("with an RSA key of less than 2048 bits");
    }
    let parameters = key.algorithm.parameters.as_ref();
    let curve = parameters.and_then(|any| any.decode_as::<ObjectIdentifier>().ok());
    if key.algorithm.oid == ELLIPTIC && curve.is_none_or(|curve| !CURVES.contains(&curve)) {
        return weak("on a curve that TLS does not offer");
    }
    Ok(())
}

/// When each begins and ends to be valid.
fn dates(
    certificates: &[CertificateDer<'_>],
    what: &str,
) -> Result<Vec<(Timestamp, Timestamp)>, Fault> {
    let dates = certificates.iter().map(|der| {
        let certificate = Certificate::from_der(der).ok()?;
        let validity = certificate.tbs_certificate().validity();
        let time = |time: &x509_cert::time::Time| {
            let seconds = time.to_unix_duration().as_secs();
            i64::try_from(seconds)
                .ok()
                .and_then(|at| Timestamp::from_second(at).ok())
        };
        Some((time(&validity.not_before)?, time(&validity.not_after)?))
    });
    dates.collect::<Option<Vec<_>>>().ok_or_else(|| {
        Fault::new(format!(
            "has a {what} with a certificate that does not parse"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kube::validity::{Age, age};

    fn fixture(name: &str) -> Vec<u8> {
        std::fs::read(format!("tests/fixtures/kubeconfig/{name}")).unwrap()
    }

    #[test]
    fn a_key_is_held_against_its_certificate_in_every_encoding() {
        for (certificate, key, expected) in [
            ("client.crt", "client-pkcs8.key", Ok(Pair::Matches)),
            ("client.crt", "client-sec1.key", Ok(Pair::Matches)),
            ("rsa.crt", "rsa-pkcs1.key", Ok(Pair::Matches)),
            ("p521.crt", "p521.key", Ok(Pair::Unknown)),
            ("rsa.crt", "client-sec1.key", Err("does not belong")),
            ("client.crt", "client-encrypted.key", Err("encrypted")),
            ("client.crt", "client.crt", Err("no private key")),
            ("client-sec1.key", "client-sec1.key", Err("no certificate")),
        ] {
            match (pair(&fixture(certificate), &fixture(key)), expected) {
                (Ok((_, found)), Ok(expected)) => assert_eq!(found, expected, "{key}"),
                (Err(fault), Err(words)) => {
                    assert!(fault.to_string().contains(words), "{key}: {fault}");
                }
                (found, _) => panic!("{certificate} and {key}: {found:?}"),
            }
        }
    }

    #[test]
    fn the_dates_of_a_certificate_are_read() {
        let (validity, _) = pair(&fixture("expired.crt"), &fixture("client-sec1.key")).unwrap();
        let Age::Expired(ends) = age(&[validity], Timestamp::now()) else {
            panic!("not expired")
        };
        assert_eq!(ends.to_string(), "client certificate 2021-01-01T00:00:00Z");
    }

    #[test]
    fn a_bundle_is_good_while_one_of_its_authorities_is() {
        let bundle = [fixture("expired.crt"), fixture("ca.crt")].concat();
        let validity = authority(&bundle).unwrap();
        assert!(matches!(
            age(&[validity], Timestamp::now()),
            Age::Good(Some(_))
        ));
        assert!(authority(b"no PEM").is_err());
    }
}
