//! Certificates and keys, as far as they can be checked offline. No byte of them goes into a message.

use jiff::Timestamp;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};
use x509_cert::Certificate;
use x509_cert::der::Decode;

use super::validity::Validity;
use super::{KubeconfigFault, fault};
use crate::system::Secret;

/// Reads a certificate authority, PEM: one or more certificates. It is valid while one of them is.
///
/// # Errors
/// If there is none in it, or one does not parse.
pub fn authority(pem: &[u8]) -> Result<Validity, KubeconfigFault> {
    let (_, from, until) = certificates(pem, "certificate-authority")?;
    Ok(Validity::new("certificate authority", from.into_iter().min(), until.into_iter().max()))
}

/// Reads a client certificate and its key, PEM. It is valid while it and every certificate between it and the authority
/// is. The note says if the key cannot be compared with the certificate.
///
/// # Errors
/// If one of them does not parse, the key is encrypted, or it belongs to another certificate.
pub fn pair(certificate: &[u8], key: &Secret<Vec<u8>>) -> Result<(Validity, Option<&'static str>), KubeconfigFault> {
    let (chain, from, until) = certificates(certificate, "client-certificate")?;
    let validity = Validity::new("client certificate", from.into_iter().max(), until.into_iter().min());
    if String::from_utf8_lossy(key.expose()).contains("ENCRYPTED") {
        return Err(fault(
            "has a client-key that is encrypted, and nobody is there to type its password; decrypt it: openssl pkey \
             -in KEY",
        ));
    }
    let not_a_key = |_| fault("has a client-key that is not a private key in PEM");
    let key = PrivateKeyDer::from_pem_slice(key.expose()).map_err(not_a_key)?;
    match CertifiedKey::from_der(chain, key, &default_provider()) {
        Ok(_) => Ok((validity, None)),
        Err(Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => {
            Err(fault("has a client-key that does not belong to its client-certificate; take both from the same user"))
        }
        // rustls cannot read this kind of key, such as P-521.
        Err(_) => Ok((validity, Some("the charm cannot check that client-key belongs to client-certificate"))),
    }
}

type Certificates = (Vec<CertificateDer<'static>>, Vec<Timestamp>, Vec<Timestamp>);

/// Returns the certificates, and from when and until when they are valid.
fn certificates(pem: &[u8], field: &str) -> Result<Certificates, KubeconfigFault> {
    let chain: Option<Vec<_>> = CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().ok();
    let chain = chain.filter(|chain| !chain.is_empty());
    let chain = chain.ok_or_else(|| fault(format!("has a {field} that is not a certificate in PEM")))?;
    let periods: Option<(Vec<_>, Vec<_>)> = chain.iter().map(period).collect();
    let (from, until) =
        periods.ok_or_else(|| fault(format!("has a {field} with a certificate that does not parse")))?;
    Ok((chain, from, until))
}

fn period(der: &CertificateDer<'_>) -> Option<(Timestamp, Timestamp)> {
    let certificate = Certificate::from_der(der).ok()?;
    let validity = certificate.tbs_certificate().validity();
    let time = |time: &x509_cert::time::Time| {
        let seconds = i64::try_from(time.to_unix_duration().as_secs()).ok()?;
        Timestamp::from_second(seconds).ok()
    };
    Some((time(&validity.not_before)?, time(&validity.not_after)?))
}

#[cfg(test)]
mod tests {
    use super::super::validity::{Age, age};
    use super::*;

    fn fixture(name: &str) -> Vec<u8> {
        std::fs::read(format!("tests/fixtures/kubeconfig/{name}")).unwrap()
    }

    #[test]
    fn a_key_is_compared_with_its_certificate_in_every_encoding() {
        for (certificate, key, expected) in [
            ("client.crt", "client-pkcs8.key", Ok(true)),
            ("client.crt", "client-sec1.key", Ok(true)),
            ("rsa.crt", "rsa-pkcs1.key", Ok(true)),
            ("p521.crt", "p521.key", Ok(false)),
            ("rsa.crt", "client-sec1.key", Err("does not belong")),
            ("client.crt", "client-encrypted.key", Err("encrypted")),
            ("client.crt", "client.crt", Err("not a private key")),
            ("client-sec1.key", "client-sec1.key", Err("not a certificate")),
        ] {
            match (pair(&fixture(certificate), &Secret::new(fixture(key))), expected) {
                (Ok((_, note)), Ok(matches)) => assert_eq!(note.is_none(), matches, "{key}"),
                (Err(fault), Err(words)) => {
                    assert!(fault.to_string().contains(words), "{key}: {fault}")
                }
                (found, _) => panic!("{certificate} and {key}: {found:?}"),
            }
        }
    }

    #[test]
    fn the_end_of_a_certificate_is_read() {
        let key = Secret::new(fixture("client-sec1.key"));
        let (validity, _) = pair(&fixture("expired.crt"), &key).unwrap();
        let Age::Expired(ends) = age(&[validity], Timestamp::now()) else { panic!("not expired") };
        assert_eq!(ends.to_string(), "client certificate 2021-01-01T00:00:00Z");
    }

    #[test]
    fn a_bundle_is_valid_while_one_of_its_authorities_is() {
        let bundle = [fixture("expired.crt"), fixture("ca.crt")].concat();
        let validity = authority(&bundle).unwrap();
        assert!(matches!(age(&[validity], Timestamp::now()), Age::Valid(Some(_))));
        assert!(authority(b"no PEM").is_err());
        let damaged = b"-----BEGIN CERTIFICATE-----\naHVudGVyMg==\n-----END CERTIFICATE-----\n";
        assert!(authority(damaged).unwrap_err().to_string().contains("does not parse"));
    }
}
