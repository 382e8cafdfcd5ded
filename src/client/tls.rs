//! TLS as a client: whom it trusts, a gateway by its fingerprint or an authority of this host, and
//! what is wrong when it does not. What is said over the connection is not here.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::version::{TLS12, TLS13};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, OtherError, RootCertStore,
    SignatureScheme,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::server::tls::{ALPN, Fingerprint, provider};

/// Whom a client trusts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// The authorities that this host trusts.
    System,
    /// One certificate, whoever vouches for it, whatever its names, and valid or not: as OpenClaw's
    /// clients pin.
    Fingerprint(Fingerprint),
    /// The authorities that this host trusts, or one certificate that is known from the gateway's
    /// own files.
    Known(Fingerprint),
}

impl Trust {
    /// The certificate that is trusted whoever vouches for it.
    fn certificate(self) -> Option<Fingerprint> {
        match self {
            Trust::System => None,
            Trust::Fingerprint(certificate) | Trust::Known(certificate) => Some(certificate),
        }
    }
}

/// Why a gateway's certificate was trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trusted {
    /// An authority of this host vouches for it.
    Authority,
    /// It is the pinned one.
    Pinned,
    /// It is the one of the gateway's own files.
    Known,
}

impl Trusted {
    /// The same, for people.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Trusted::Authority => "an authority that this host trusts vouches for the certificate",
            Trusted::Pinned => "the certificate is the pinned one",
            Trusted::Known => "the certificate is the one of the gateway's own files",
        }
    }
}

/// Makes TLS connections to gateways that it trusts.
#[derive(Clone, Debug)]
pub struct Connector {
    trust: Trust,
    config: Arc<ClientConfig>,
}

/// Why there is no connection over TLS.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The certificate is another one than the pinned one.
    #[error(
        "{host} shows another certificate than the one that is pinned: its fingerprint is {found}, \
         and {expected} was expected"
    )]
    Pin {
        /// Who was asked for.
        host: Box<str>,
        /// The fingerprint that was pinned.
        expected: Fingerprint,
        /// The fingerprint that was shown.
        found: Fingerprint,
    },
    /// Nobody whom this host trusts vouches for the certificate.
    #[error("the certificate of {host} is not trusted: {why}. Its fingerprint is {found}")]
    Untrusted {
        /// Who was asked for.
        host: Box<str>,
        /// Why not.
        why: Distrust,
        /// The fingerprint that was shown.
        found: Fingerprint,
    },
    /// The certificate is shown by somebody who does not have its key.
    #[error(
        "{0} does not prove that it has the key of the certificate that it shows: somebody may \
         stand between you and it"
    )]
    Key(Box<str>),
    /// What answers does not speak TLS.
    #[error("{0} does not speak TLS at this port: ask it as `ws://`, if it is on this host")]
    NotTls(Box<str>),
    /// What was asked for is no name.
    #[error("`{0}` is neither the name of a host nor an address")]
    Name(Box<str>),
    /// The handshake came to nothing.
    #[error("no TLS with {host}: {error}")]
    Handshake {
        /// Who was asked for.
        host: Box<str>,
        /// What TLS says.
        error: Error,
    },
    /// The connection broke.
    #[error("the connection to {host} broke during the TLS handshake: {error}")]
    Broken {
        /// Who was asked for.
        host: Box<str>,
        /// What the system says.
        error: io::Error,
    },
}

/// Why the authorities of this host do not do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Distrust {
    /// None of them vouches for it.
    #[error("no authority that this host trusts vouches for it")]
    Unknown,
    /// There are none.
    #[error("this host has no authorities that it trusts")]
    NoAuthorities,
    /// It is for other names.
    #[error("it is for other names")]
    Name,
    /// It is over.
    #[error("it has expired")]
    Expired,
    /// It begins later.
    #[error("it is not valid yet, or the clock of this host is behind")]
    NotYetValid,
    /// An authority took it back.
    #[error("it was revoked")]
    Revoked,
    /// It is that of an authority.
    #[error("it is the certificate of an authority, and not that of a server")]
    Authority,
    /// It is not for servers.
    #[error("it is not for servers")]
    Purpose,
    /// It is no certificate, or not as one is written.
    #[error("it cannot be read")]
    Encoding,
    /// Anything else, as it is called by who judges it.
    #[error("it does not do as the certificate of a server ({0})")]
    Other(String),
}

/// What a verifier found, on its way through TLS.
#[derive(Clone, Debug, thiserror::Error)]
enum Found {
    #[error("another certificate than the pinned one")]
    Pin {
        expected: Fingerprint,
        found: Fingerprint,
    },
    #[error("a certificate that is not trusted: {why}")]
    Untrusted { why: Distrust, found: Fingerprint },
}

impl From<Found> for Error {
    fn from(found: Found) -> Error {
        CertificateError::Other(OtherError(Arc::new(found))).into()
    }
}

impl Connector {
    /// A client that trusts so.
    ///
    /// With [`Trust::System`] the authorities of the host are read from its files. Where it has
    /// none, that is told of each connection, with the fingerprint that could be pinned.
    ///
    /// # Errors
    ///
    /// [`Error`] where the cryptography does not have TLS 1.2 and 1.3.
    pub fn new(trust: Trust) -> Result<Connector, Error> {
        let roots = match trust {
            Trust::System | Trust::Known(_) => system_roots(),
            Trust::Fingerprint(_) => RootCertStore::empty(),
        };
        Connector::with_roots(trust, roots)
    }

    fn with_roots(trust: Trust, roots: RootCertStore) -> Result<Connector, Error> {
        let provider = provider();
        let authorities =
            WebPkiServerVerifier::builder_with_provider(roots.into(), provider.clone())
                .build()
                .ok();
        let verifier = Verifier {
            trust,
            authorities,
            provider: provider.clone(),
        };
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13, &TLS12])?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        config.alpn_protocols = vec![ALPN.to_vec()];
        // A connection that is resumed shows no certificate, and each is to be looked at.
        config.resumption = Resumption::disabled();
        Ok(Connector {
            trust,
            config: Arc::new(config),
        })
    }

    /// What connections are made with, for those who do not use [`Connector::connect`]. A name is
    /// made of a host by [`server_name`].
    #[must_use]
    pub fn config(&self) -> Arc<ClientConfig> {
        self.config.clone()
    }

    /// Speaks TLS over a connection to a host: a name, or an address with or without brackets.
    /// Nothing of the client's is sent before the host is trusted.
    ///
    /// # Errors
    ///
    /// That the host is not trusted, with its fingerprint; that it speaks no TLS; what went wrong.
    pub async fn connect<S>(&self, host: &str, stream: S) -> Result<TlsStream<S>, ConnectError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let name = server_name(host)?;
        let connector = TlsConnector::from(self.config());
        let connected = connector.connect(name, stream).await;
        connected.map_err(|error| ConnectError::of(host, error))
    }

    /// Why the other end of a connection that was made is trusted.
    pub(super) fn trusted<S>(&self, stream: &TlsStream<S>) -> Trusted {
        let (_, session) = stream.get_ref();
        let shown = session.peer_certificates().and_then(<[_]>::first);
        let shown = shown.map(Fingerprint::of);
        match self.trust {
            Trust::Fingerprint(_) => Trusted::Pinned,
            Trust::Known(known) if shown == Some(known) => Trusted::Known,
            Trust::Known(_) | Trust::System => Trusted::Authority,
        }
    }
}

/// The name that a certificate must be for: that of a host, or an address with or without brackets.
///
/// # Errors
///
/// [`ConnectError::Name`], when it is neither.
pub fn server_name(host: &str) -> Result<ServerName<'static>, ConnectError> {
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    let bare = bare.unwrap_or(host);
    // A zone says by which interface, and is in no certificate.
    let address = bare.split_once('%').map_or(bare, |(address, _)| address);
    match address.parse::<IpAddr>() {
        Ok(address) => Ok(ServerName::from(address)),
        Err(_) => ServerName::try_from(host.trim_end_matches('.').to_owned())
            .map_err(|_| ConnectError::Name(host.into())),
    }
}

impl ConnectError {
    /// What an error of a handshake means.
    #[must_use]
    pub fn of(host: &str, error: io::Error) -> ConnectError {
        let host = Box::from(host);
        let Some(tls) = error
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<Error>())
        else {
            return ConnectError::Broken { host, error };
        };
        if let Error::InvalidCertificate(CertificateError::Other(OtherError(other))) = tls {
            match other.downcast_ref::<Found>() {
                Some(Found::Pin { expected, found }) => {
                    return ConnectError::Pin {
                        host,
                        expected: *expected,
                        found: *found,
                    };
                }
                Some(Found::Untrusted { why, found }) => {
                    return ConnectError::Untrusted {
                        host,
                        why: why.clone(),
                        found: *found,
                    };
                }
                None => {}
            }
        }
        // What a verifier says of an authority's signature is told as distrust.
        let unproven = Error::InvalidCertificate(CertificateError::BadSignature);
        if let Error::InvalidMessage(_) = tls {
            ConnectError::NotTls(host)
        } else if *tls == unproven {
            ConnectError::Key(host)
        } else {
            let error = tls.clone();
            ConnectError::Handshake { host, error }
        }
    }
}

/// The authorities that this host trusts; those that cannot be read are left out.
fn system_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    roots
}

/// Trusts by fingerprint or by authorities, and tells what it found when it does not.
struct Verifier {
    trust: Trust,
    /// None where there are no authorities.
    authorities: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Verifier").field(&self.trust).finish()
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let found = Fingerprint::of(end_entity);
        if self.trust.certificate() == Some(found) {
            return Ok(ServerCertVerified::assertion());
        }
        if let Trust::Fingerprint(expected) = self.trust {
            return Err(Found::Pin { expected, found }.into());
        }
        let Some(authorities) = &self.authorities else {
            let why = Distrust::NoAuthorities;
            return Err(Found::Untrusted { why, found }.into());
        };
        authorities
            .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
            .map_err(|error| {
                let Error::InvalidCertificate(error) = error else {
                    return error;
                };
                let why = distrust(&error);
                Found::Untrusted { why, found }.into()
            })
    }

    // Whoever pins a certificate must still see that the other end has its key.
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the crate may add variants, and what they say is shown"
)]
fn distrust(error: &CertificateError) -> Distrust {
    match error {
        // A signature is bad when an authority has the name of the right one.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => Distrust::Unknown,
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            Distrust::Name
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => Distrust::Expired,
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            Distrust::NotYetValid
        }
        CertificateError::Revoked => Distrust::Revoked,
        CertificateError::BadEncoding => Distrust::Encoding,
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            Distrust::Purpose
        }
        // What it says itself is known by its name alone.
        CertificateError::Other(OtherError(other)) => match &*other.to_string() {
            "CaUsedAsEndEntity" => Distrust::Authority,
            name => Distrust::Other(name.to_owned()),
        },
        other => Distrust::Other(other.to_string()),
    }
}

#[cfg(test)]
mod tests;
