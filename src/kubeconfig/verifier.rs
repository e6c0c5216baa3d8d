//! Verifies the API server's certificate as rustls does, and tells one that is not trusted from one of a kind that
//! rustls does not take. The driver's TLS (OpenSSL) and helm's (Go) take such a certificate, so for the charm it says
//! nothing about the kubeconfig.
//!
//! It accepts only what rustls' own verifier accepts: no request is sent to any other server.

use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error as TlsError, OtherError, RootCertStore, SignatureScheme};
use thiserror::Error;
use x509_cert::certificate::Version;
use x509_cert::der::Decode;
use x509_cert::ext::pkix::BasicConstraints;
use x509_cert::{Certificate, TbsCertificate};

/// Algorithms that OpenSSL, as Debian and Ubuntu configure it, and Go refuse too: how their identifiers begin in DER.
const WEAK: [&[u8]; 3] = [
    // md5WithRSAEncryption, sha1WithRSAEncryption, ecdsa-with-SHA1
    &[6, 9, 42, 134, 72, 134, 247, 13, 1, 1, 4],
    &[6, 9, 42, 134, 72, 134, 247, 13, 1, 1, 5],
    &[6, 7, 42, 134, 72, 206, 61, 4, 1],
];
const P521: &str = "has a P-521 key";

/// What rustls does not take about a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct UnsupportedCertificate(&'static str);

impl From<UnsupportedCertificate> for CertificateError {
    fn from(found: UnsupportedCertificate) -> Self {
        Self::Other(OtherError(Arc::new(found)))
    }
}

#[derive(Debug)]
pub struct ServerVerifier {
    rustls: Arc<WebPkiServerVerifier>,
    authorities: Vec<Certificate>,
}

impl ServerVerifier {
    /// A verifier that trusts these authorities; `None` if rustls cannot use one of them, or there is none.
    pub fn new(authorities: Vec<CertificateDer<'static>>) -> Option<Self> {
        let named = authorities.iter().filter_map(|der| Certificate::from_der(der).ok()).collect();
        let mut roots = RootCertStore::empty();
        for der in authorities {
            roots.add(der).ok()?;
        }
        let provider = Arc::new(default_provider());
        let rustls = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build().ok()?;
        Some(Self { rustls, authorities: named })
    }

    /// Returns why OpenSSL and Go do not trust the server either, as far as that shows without checking signatures.
    /// rustls stops at the first thing that it does not take.
    fn refusal(
        &self,
        leaf: &Certificate,
        others: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), CertificateError> {
        let (validity, now) = (leaf.tbs_certificate().validity(), Duration::from_secs(now.as_secs()));
        if validity.not_after.to_unix_duration() < now {
            return Err(CertificateError::Expired);
        }
        if validity.not_before.to_unix_duration() > now {
            return Err(CertificateError::NotValidYet);
        }
        let others = others.iter().filter_map(|der| Certificate::from_der(der).ok());
        let is_trusted = match is_self_issued(leaf) {
            true => self.has_issuer_of(leaf),
            false => self.has_issuer_of(leaf) || others.into_iter().any(|other| self.has_issuer_of(&other)),
        };
        if is_trusted { Ok(()) } else { Err(CertificateError::UnknownIssuer) }
    }

    /// Whether an authority has the issuer's name, and the key of a certificate that is its own issuer.
    fn has_issuer_of(&self, certificate: &Certificate) -> bool {
        let wanted = certificate.tbs_certificate();
        self.authorities.iter().map(Certificate::tbs_certificate).any(|authority| {
            let is_same_key = || authority.subject_public_key_info() == wanted.subject_public_key_info();
            authority.subject() == wanted.issuer() && (!is_self_issued(certificate) || is_same_key())
        })
    }
}

fn is_self_issued(certificate: &Certificate) -> bool {
    certificate.tbs_certificate().issuer() == certificate.tbs_certificate().subject()
}

/// Returns what rustls does not take, if that is why it refuses the certificate.
fn unsupported(error: &CertificateError, leaf: &TbsCertificate) -> Option<UnsupportedCertificate> {
    let is_authority = || matches!(leaf.get_extension::<BasicConstraints>(), Ok(Some((_, found))) if found.ca);
    let is_weak = |algorithm: &[u8]| WEAK.iter().any(|weak| algorithm.starts_with(weak));
    let what = match error {
        CertificateError::BadEncoding => "is encoded in another way",
        CertificateError::UnsupportedSignatureAlgorithmContext { signature_algorithm_id: algorithm, .. }
        | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext {
            signature_algorithm_id: algorithm,
            ..
        } if !is_weak(algorithm) => "is signed with another kind of key or algorithm, such as P-521",
        // It has no variants of their own for these, and looks at them first.
        CertificateError::Other(_) if leaf.version() == Version::V1 => "is of X.509 version 1",
        CertificateError::Other(_) if is_authority() => "is that of an authority (CA:TRUE)",
        _ => return None,
    };
    Some(UnsupportedCertificate(what))
}

impl ServerCertVerifier for ServerVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        let verified = self.rustls.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        let Err(TlsError::InvalidCertificate(error)) = &verified else { return verified };
        let Ok(leaf) = Certificate::from_der(end_entity) else { return verified };
        let Some(unsupported) = unsupported(error, leaf.tbs_certificate()) else { return verified };
        self.refusal(&leaf, intermediates, now)?;
        // One that rustls does not parse has no names that OpenSSL and Go would agree about.
        if let Ok(parsed) = ParsedCertificate::try_from(end_entity) {
            verify_server_name(&parsed, server_name)?;
        }
        Err(CertificateError::from(unsupported).into())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        refuse_p521(dss)?;
        self.rustls.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        refuse_p521(dss)?;
        self.rustls.verify_tls13_signature(message, cert, dss)
    }

    /// A server with a P-521 key shows its certificate only to a client that names the last one. No signature by it is
    /// accepted.
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let mut schemes = self.rustls.supported_verify_schemes();
        schemes.push(SignatureScheme::ECDSA_NISTP521_SHA512);
        schemes
    }
}

/// Refuses a signature of a kind that rustls does not verify, by that name.
fn refuse_p521(dss: &DigitallySignedStruct) -> Result<(), TlsError> {
    match dss.scheme {
        SignatureScheme::ECDSA_NISTP521_SHA512 => Err(CertificateError::from(UnsupportedCertificate(P521)).into()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use rustls::crypto::ring::sign::any_supported_type;
    use rustls::pki_types::PrivateKeyDer;
    use rustls::pki_types::pem::PemObject as _;
    use rustls::sign::{CertifiedKey, Signer, SigningKey, SingleCertAndKey};
    use rustls::version::{TLS12, TLS13};
    use rustls::{ServerConfig, SignatureAlgorithm, SupportedProtocolVersion};

    use super::super::compatibility::Stack;
    use super::super::testing::{fixture, serve_with};
    use super::super::{ApiError, ManagementReport};
    use super::*;
    use crate::system::testing::Scratch;

    fn certificate(name: &str) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(&fixture(name)).unwrap()
    }

    /// A server's P-521 key, with which ring cannot sign. No client of ours looks at its signatures.
    #[derive(Debug, Clone, Copy)]
    struct P521Key(SignatureScheme);

    impl SigningKey for P521Key {
        fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
            offered.contains(&self.0).then(|| Box::new(*self) as Box<dyn Signer>)
        }

        fn algorithm(&self) -> SignatureAlgorithm {
            SignatureAlgorithm::ECDSA
        }
    }

    impl Signer for P521Key {
        fn sign(&self, _: &[u8]) -> Result<Vec<u8>, TlsError> {
            Ok(vec![0; 139])
        }

        fn scheme(&self) -> SignatureScheme {
            self.0
        }
    }

    /// What the charm says of a server that presents these certificates, at this host, to who trusts that authority.
    fn asked(
        chain: &[&str],
        key: Arc<dyn SigningKey>,
        version: &'static SupportedProtocolVersion,
        host: &str,
        authority: &str,
    ) -> Result<String, ApiError> {
        let key = CertifiedKey::new(chain.iter().copied().map(certificate).collect(), key);
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(&[version])
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(key)));
        let user = r#"{"status": {"userInfo": {"username": "admin"}}}"#;
        let mut usable = serve_with(Arc::new(config), move |_, _, _| ("200 OK", user.to_owned()));
        usable.server = usable.server.replace("127.0.0.1", host);
        let scratch = Scratch::new();
        match authority {
            "the unit's" => {
                usable.authority = None;
                let own = [fixture("ca.crt"), fixture("self-signed.crt")].concat();
                scratch.put("/etc/ssl/certs/ca-certificates.crt", std::str::from_utf8(&own).unwrap());
            }
            _ => usable.authority = Some(fixture(authority)),
        }
        let stack = Stack { driver: "1.4.0".parse().unwrap(), chart: None, api_resources: None };
        ManagementReport::ask(&scratch.root, &usable, &stack).map(|report| report.user.unwrap())
    }

    fn p256() -> Arc<dyn SigningKey> {
        any_supported_type(&PrivateKeyDer::from_pem_slice(&fixture("server.key")).unwrap()).unwrap()
    }

    const HERE: &str = "127.0.0.1";

    #[test]
    fn what_openssl_and_go_take_and_rustls_does_not_cannot_be_told() {
        for (chain, authority, words) in [
            (&["self-signed.crt"][..], "self-signed.crt", "is that of an authority (CA:TRUE)"),
            (&["self-signed.crt"], "the unit's", "is that of an authority (CA:TRUE)"),
            (&["issued-authority.crt"], "issuer.crt", "is that of an authority (CA:TRUE)"),
            (&["server-of-p521-ca.crt"], "p521-ca.crt", "is signed with another kind of key"),
            (&["v1.crt"], "v1.crt", "is of X.509 version 1"),
        ] {
            for version in [&TLS12, &TLS13] {
                let error = asked(chain, p256(), version, HERE, authority).unwrap_err();
                assert!(
                    matches!(&error, ApiError::UnsupportedServer(why) if why.contains(words)),
                    "{chain:?}: {error:?}"
                );
                assert!(error.is_inconclusive());
            }
        }
        let key = P521Key(SignatureScheme::ECDSA_NISTP521_SHA512);
        for version in [&TLS12, &TLS13] {
            let error = asked(&["server-p521.crt"], Arc::new(key), version, HERE, "issuer.crt").unwrap_err();
            assert_eq!(error, ApiError::UnsupportedServer("its certificate has a P-521 key".to_owned()));
        }
        // It has no algorithm that the charm offers.
        let ed448 = P521Key(SignatureScheme::ED448);
        let error = asked(&["server-p521.crt"], Arc::new(ed448), &TLS13, HERE, "issuer.crt").unwrap_err();
        assert!(matches!(&error, ApiError::UnsupportedServer(why) if why.starts_with("it speaks no TLS")), "{error:?}");
        // An authority of version 1 is no obstacle.
        assert_eq!(asked(&["server-of-v1-ca.crt"], p256(), &TLS13, HERE, "v1-ca.crt").unwrap(), "admin");
    }

    #[test]
    fn what_nobody_trusts_is_not_taken_for_what_rustls_does_not_take() {
        for (chain, host, authority) in [
            (&["self-signed.crt"][..], HERE, "server-ca.crt"),
            // The name of the trusted one, and another key.
            (&["self-signed.crt"], HERE, "self-signed-other.crt"),
            (&["self-signed.crt"], "localhost", "self-signed.crt"),
            (&["self-signed.crt", "self-signed-other.crt"], HERE, "self-signed-other.crt"),
            (&["issued-authority.crt", "issuer.crt"], HERE, "server-ca.crt"),
            (&["issued-authority.crt"], "localhost", "issuer.crt"),
            (&["server-of-p521-ca.crt"], HERE, "server-ca.crt"),
            (&["server-of-p521-ca.crt"], "localhost", "p521-ca.crt"),
            (&["v1.crt"], HERE, "server-ca.crt"),
            (&["v1.crt", "v1-ca.crt"], HERE, "the unit's"),
            // One of version 1 beside it says nothing.
            (&["server-of-v1-ca.crt", "v1-ca.crt"], HERE, "server-ca.crt"),
            (&["sha1.crt"], HERE, "issuer.crt"),
        ] {
            let error = asked(chain, p256(), &TLS13, host, authority).unwrap_err();
            assert!(matches!(error, ApiError::Unreachable(_)), "{chain:?}: {error:?}");
        }
        for (host, authority) in [("localhost", "issuer.crt"), (HERE, "server-ca.crt")] {
            let key = Arc::new(P521Key(SignatureScheme::ECDSA_NISTP521_SHA512));
            let error = asked(&["server-p521.crt"], key, &TLS13, host, authority).unwrap_err();
            assert!(matches!(error, ApiError::Unreachable(_)), "{error:?}");
        }
    }

    #[test]
    fn what_has_expired_or_is_not_valid_yet_is_refused_whatever_else_it_is() {
        for name in ["self-signed.crt", "v1.crt"] {
            let verifier = ServerVerifier::new(vec![certificate(name)]).unwrap();
            let at = |seconds| {
                let (name, host) = (certificate(name), ServerName::try_from(HERE).unwrap());
                let now = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
                verifier.verify_server_cert(&name, &[], &host, &[], now).unwrap_err()
            };
            use CertificateError::{Expired, ExpiredContext, NotValidYet, NotValidYetContext};
            let error = at(1 << 33);
            let is_over = matches!(error, TlsError::InvalidCertificate(Expired | ExpiredContext { .. }));
            assert!(is_over, "{error:?}");
            let error = at(1);
            let is_early = matches!(error, TlsError::InvalidCertificate(NotValidYet | NotValidYetContext { .. }));
            assert!(is_early, "{error:?}");
        }
    }
}
