//! A certificate with its key that TLS can serve with: they go together, and it is known from when
//! until when the certificate is valid. What is told of files is not here.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::verify_server_name;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, Error, InconsistentKeys, RootCertStore};

use super::date::Date;
use super::error::{TlsError, Trouble};
use super::files::Files;
use super::fingerprint::Fingerprint;

/// The cryptography of every connection: named, because what a process has as its default is
/// shared by all that is in it.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// A certificate with its key.
#[derive(Clone)]
pub(super) struct Pair {
    pub(super) certified: Arc<CertifiedKey>,
    pub(super) fingerprint: Fingerprint,
    pub(super) validity: Validity,
    /// Whether others may read the key.
    pub(super) exposed: bool,
}

/// Without the key.
impl fmt::Debug for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pair")
            .field("fingerprint", &self.fingerprint)
            .field("validity", &self.validity)
            .field("exposed", &self.exposed)
            .finish_non_exhaustive()
    }
}

/// From when until when a certificate is valid, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// The first second.
    pub from: Date,
    /// The last second.
    pub until: Date,
}

impl Pair {
    /// Reads a pair. Whether it is valid now is not asked.
    pub(super) fn read(files: &Files) -> Result<Pair, TlsError> {
        let chain = files.read_chain()?;
        let (key, exposed) = files.read_key()?;
        let key = provider()
            .key_provider
            .load_private_key(key)
            .map_err(|_| files.bad_key(Trouble::UnusableKey))?;
        let unusable = || files.bad_certificate(Trouble::UnusableCertificate);
        let leaf = chain.first().ok_or_else(unusable)?;
        let (fingerprint, validity) = (Fingerprint::of(leaf), validity(leaf).ok_or_else(unusable)?);
        let certified = CertifiedKey::new(chain, key);
        match certified.keys_match() {
            Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => {}
            Err(Error::InconsistentKeys(_)) => {
                return Err(files.bad_certificate(Trouble::Mismatch {
                    key: files.key.clone(),
                    belongs: belongs(&certified),
                }));
            }
            Err(_) => return Err(unusable()),
        }
        Ok(Pair {
            certified: Arc::new(certified),
            fingerprint,
            validity,
            exposed,
        })
    }

    /// Whether both show the same certificates.
    pub(super) fn shows_the_same(&self, other: &Pair) -> bool {
        self.certified.cert == other.certified.cert
    }

    /// Whether a client that asks for this name is content with the certificate.
    pub(super) fn is_for(&self, name: &ServerName<'_>) -> bool {
        let leaf = self.certified.cert.first();
        leaf.is_some_and(|leaf| is_for(leaf, name))
    }
}

/// Whether a client that asks for this name is content with a certificate.
pub(super) fn is_for(certificate: &CertificateDer<'_>, name: &ServerName<'_>) -> bool {
    ParsedCertificate::try_from(certificate)
        .is_ok_and(|parsed| verify_server_name(&parsed, name).is_ok())
}

/// The certificate of the chain that the key belongs to, counted from 1.
fn belongs(certified: &CertifiedKey) -> Option<usize> {
    let at = certified.cert.iter().position(|certificate| {
        CertifiedKey::new(vec![certificate.clone()], certified.key.clone())
            .keys_match()
            .is_ok()
    });
    at.map(|index| index + 1)
}

/// From when until when a certificate is valid. The verifier tells each bound only when it refuses
/// for it, so it is asked at both ends of time; the answers in between are about trust, which is
/// the clients' business.
fn validity(certificate: &CertificateDer<'_>) -> Option<Validity> {
    let parsed = ParsedCertificate::try_from(certificate).ok()?;
    let ask = |seconds: u64| {
        rustls::client::verify_server_cert_signed_by_trust_anchor(
            &parsed,
            &RootCertStore::empty(),
            &[],
            UnixTime::since_unix_epoch(Duration::from_secs(seconds)),
            provider().signature_verification_algorithms.all,
        )
    };
    let from = match ask(0) {
        Err(Error::InvalidCertificate(CertificateError::NotValidYetContext {
            not_before, ..
        })) => not_before.as_secs(),
        Ok(()) | Err(_) => 0,
    };
    match ask(u64::MAX) {
        Err(Error::InvalidCertificate(CertificateError::ExpiredContext { not_after, .. })) => {
            Some(Validity {
                from: Date::from_seconds(from),
                until: Date::from_seconds(not_after.as_secs()),
            })
        }
        Ok(()) | Err(_) => None,
    }
}
