//! TLS at the listener: the certificate that it serves with, where that comes from, and how another
//! one takes its place while connections last. Listening is not here, and neither is watching the
//! files.

mod date;
mod error;
mod files;
mod fingerprint;
mod generated;
mod pair;
#[cfg(test)]
pub(crate) mod sample;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use tokio_rustls::TlsAcceptor;

use crate::config::Tls;
use files::Files;
use generated::{Generated, Made};
use pair::Pair;

pub use date::Date;
pub use error::{Found, Key, TlsError, Trouble, Wanted};
pub use fingerprint::{Fingerprint, FingerprintError};
pub use generated::Because;
pub use pair::Validity;
pub(crate) use pair::provider;

/// What is spoken over TLS: HTTP with the upgrade to WebSocket, which HTTP/2 does not have.
pub(crate) const ALPN: &[u8] = b"http/1.1";

/// The certificate that a listener serves with.
#[derive(Clone, Debug)]
pub struct Certificates {
    source: Source,
    current: Arc<Current>,
    config: Arc<ServerConfig>,
}

/// Where the pair comes from.
#[derive(Clone, Debug)]
enum Source {
    Given(Files),
    Made(Generated),
}

/// The pair in force, with what is to be told of it.
#[derive(Debug)]
struct Current(ArcSwap<Loaded>);

#[derive(Debug)]
struct Loaded {
    pair: Pair,
    notices: Vec<Notice>,
}

/// What the operator is told of a certificate that is in force all the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A certificate was made.
    Made {
        /// Where it is.
        path: PathBuf,
        /// What clients pin.
        fingerprint: Fingerprint,
    },
    /// Another certificate was made: clients that pinned the one from before have to pin this one.
    Renewed {
        /// Where it is.
        path: PathBuf,
        /// Why.
        because: Because,
        /// What clients pinned.
        before: Fingerprint,
        /// What clients pin.
        fingerprint: Fingerprint,
    },
    /// Others may read the private key.
    ReadableKey(PathBuf),
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Notice::Made { path, fingerprint } => write!(
                f,
                "made a certificate for TLS, {}, with the fingerprint {fingerprint}",
                path.display()
            ),
            Notice::Renewed {
                path,
                because,
                before,
                fingerprint,
            } => {
                f.write_str("made another certificate for TLS, because ")?;
                match because {
                    Because::Expired(until) => write!(f, "the one from before expired at {until}")?,
                    Because::Name(name) => write!(f, "`{name}` was not in the one from before")?,
                }
                write!(
                    f,
                    ": {}. Clients that pinned {before} have to pin {fingerprint}",
                    path.display()
                )
            }
            Notice::ReadableKey(path) => write!(
                f,
                "`tls.key`: others may read {path}: run `chmod 600 {path}`, unless they must",
                path = path.display()
            ),
        }
    }
}

/// What came of reading the files again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reloaded {
    /// They hold the certificates that were in force already.
    Unchanged,
    /// New connections get another certificate.
    Swapped {
        /// The one from before.
        before: Fingerprint,
        /// The one in force.
        now: Fingerprint,
    },
}

/// Why clients may refuse the certificate in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The certificate.
    pub path: PathBuf,
    /// When it is valid: before now, or after.
    pub validity: Validity,
    /// Whether that time is over.
    pub expired: bool,
    made: bool,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        let Validity { from, until } = self.validity;
        match (self.expired, self.made) {
            (true, false) => write!(
                f,
                "the certificate {path} expired at {until}: put a renewed one there"
            ),
            (true, true) => write!(
                f,
                "the certificate {path} expired at {until}: the next start makes another one, with another fingerprint"
            ),
            (false, _) => write!(
                f,
                "the certificate {path} is not valid before {from}: look whether the clock of this host is right"
            ),
        }
    }
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load().pair.certified.clone())
    }
}

impl Certificates {
    /// The certificate that a configuration asks for, if it asks for one. One that the gateway
    /// makes for itself is kept in the folder `state`, and has the names that are asked for, those
    /// of every host, and `host`. What is to be told of it is in [`Certificates::notices`].
    ///
    /// Files are read and written, and it may wait for another gateway that does the same.
    ///
    /// # Errors
    ///
    /// The file that is not as it should be, with the key of the configuration, what is wrong and
    /// what helps. A given certificate must be valid `now`.
    pub fn open(
        tls: &Tls,
        state: &Path,
        host: Option<&str>,
        now: SystemTime,
    ) -> Result<Option<Certificates>, TlsError> {
        let source = match tls {
            Tls::Off => return Ok(None),
            Tls::Files { certificate, key } => Source::Given(Files {
                certificate: certificate.clone(),
                key: key.clone(),
                made: false,
            }),
            Tls::Generated { names } => Source::Made(Generated::new(state, names, host)?),
        };
        let loaded = source.load(now.into())?;
        let current = Arc::new(Current(ArcSwap::from_pointee(loaded)));
        let config = server_config(current.clone()).map_err(|_| {
            // The versions are constants that the cryptography has.
            source.files().bad_key(Trouble::UnusableKey)
        })?;
        Ok(Some(Certificates {
            source,
            current,
            config: Arc::new(config),
        }))
    }

    /// What is wrong with the certificate that a configuration asks for, all of it: what
    /// [`Certificates::open`] would say of it, one after another. Nothing is written.
    #[must_use]
    pub fn check(tls: &Tls, state: &Path, now: SystemTime) -> Vec<TlsError> {
        match tls {
            Tls::Off => Vec::new(),
            Tls::Files { certificate, key } => {
                let files = Files {
                    certificate: certificate.clone(),
                    key: key.clone(),
                    made: false,
                };
                let (chain, own) = (files.read_chain().err(), files.read_key().err());
                let unread: Vec<TlsError> = chain.into_iter().chain(own).collect();
                match unread.is_empty() {
                    true => given(&files, now.into()).err().into_iter().collect(),
                    false => unread,
                }
            }
            Tls::Generated { names } => {
                let generated = match Generated::new(state, names, None) {
                    Ok(generated) => generated,
                    Err(error) => return vec![error],
                };
                let files = generated.files();
                if !files.certificate.exists() && !files.key.exists() {
                    return Vec::new();
                }
                match Pair::read(&files) {
                    Ok(pair) if pair.exposed => vec![files.bad_key(Trouble::Exposed)],
                    Ok(_) => Vec::new(),
                    Err(error) => vec![error],
                }
            }
        }
    }

    /// What clients on the gateway's own host may pin: the SHA-256 of the certificate that its
    /// files hold, if they hold one. Whether it is of use is not asked.
    #[must_use]
    pub fn known(tls: &Tls, state: &Path) -> Option<Fingerprint> {
        let certificate = match tls {
            Tls::Files { certificate, .. } => certificate.clone(),
            // A flag of the gateway's may have asked for one that the configuration does not.
            Tls::Off | Tls::Generated { .. } => state.join(generated::CERTIFICATE),
        };
        let files = Files {
            key: certificate.clone(),
            certificate,
            made: false,
        };
        files.read_chain().ok()?.first().map(Fingerprint::of)
    }

    /// Where the private key is, of a certificate that is given or made.
    #[must_use]
    pub fn key_file(tls: &Tls, state: &Path) -> Option<PathBuf> {
        match tls {
            Tls::Off => None,
            Tls::Files { key, .. } => Some(key.clone()),
            Tls::Generated { .. } => Some(state.join(generated::KEY)),
        }
    }

    /// What new connections are accepted with. It follows [`Certificates::reload`].
    #[must_use]
    pub fn server_config(&self) -> Arc<ServerConfig> {
        self.config.clone()
    }

    /// The same, for sockets of `tokio`.
    #[must_use]
    pub fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.config.clone())
    }

    /// What clients pin: the SHA-256 of the certificate in force.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.current.0.load().pair.fingerprint
    }

    /// From when until when the certificate in force is valid.
    #[must_use]
    pub fn validity(&self) -> Validity {
        self.current.0.load().pair.validity
    }

    /// What is to be told of the certificate in force, as it was found or made.
    #[must_use]
    pub fn notices(&self) -> Vec<Notice> {
        self.current.0.load().notices.clone()
    }

    /// Why clients may refuse the certificate in force at this time.
    #[must_use]
    pub fn problem(&self, now: SystemTime) -> Option<Problem> {
        let validity = self.validity();
        let now = Date::from(now);
        let files = self.source.files();
        let expired = validity.until < now;
        (expired || now < validity.from).then_some(Problem {
            path: files.certificate,
            validity,
            expired,
            made: files.made,
        })
    }

    /// The files that are worth reading again when they change: the certificate and its key. They
    /// may be links, or be replaced as a whole.
    #[must_use]
    pub fn watched(&self) -> [PathBuf; 2] {
        let files = self.source.files();
        [files.certificate, files.key]
    }

    /// Reads the files again. New connections get what is there; those that are open stay as they
    /// are. One that the gateway makes for itself is renewed as at a start.
    ///
    /// # Errors
    ///
    /// As [`Certificates::open`]. The certificate from before stays in force, and the error says so.
    pub fn reload(&self, now: SystemTime) -> Result<Reloaded, TlsError> {
        let before = self.current.0.load_full();
        let loaded = self.source.load(now.into()).map_err(|error| TlsError {
            kept: Some(before.pair.fingerprint),
            ..error
        })?;
        let reloaded = if loaded.pair.shows_the_same(&before.pair) {
            Reloaded::Unchanged
        } else {
            Reloaded::Swapped {
                before: before.pair.fingerprint,
                now: loaded.pair.fingerprint,
            }
        };
        self.current.0.store(Arc::new(loaded));
        Ok(reloaded)
    }
}

impl Source {
    fn files(&self) -> Files {
        match self {
            Source::Given(files) => files.clone(),
            Source::Made(generated) => generated.files(),
        }
    }

    fn load(&self, now: Date) -> Result<Loaded, TlsError> {
        match self {
            Source::Given(files) => given(files, now),
            Source::Made(generated) => made(generated, now),
        }
    }
}

fn given(files: &Files, now: Date) -> Result<Loaded, TlsError> {
    let pair = Pair::read(files)?;
    let Validity { from, until } = pair.validity;
    if until < now {
        return Err(files.bad_certificate(Trouble::Expired(until)));
    }
    if now < from {
        return Err(files.bad_certificate(Trouble::NotYetValid(from)));
    }
    // Not refused as other secrets are: a group for the keys of a host is usual, and a mounted
    // secret is often open to all in its container.
    let readable = pair.exposed.then(|| Notice::ReadableKey(files.key.clone()));
    let notices = readable.into_iter().collect();
    Ok(Loaded { pair, notices })
}

fn made(generated: &Generated, now: Date) -> Result<Loaded, TlsError> {
    let made = generated.ensure(now)?;
    let files = generated.files();
    let pair = Pair::read(&files)?;
    if pair.exposed {
        return Err(files.bad_key(Trouble::Exposed));
    }
    let (path, fingerprint) = (files.certificate, pair.fingerprint);
    let notices = match made {
        Made::Kept => Vec::new(),
        Made::First => vec![Notice::Made { path, fingerprint }],
        Made::Again(before, because) => vec![Notice::Renewed {
            path,
            because,
            before,
            fingerprint,
        }],
    };
    Ok(Loaded { pair, notices })
}

fn server_config(current: Arc<Current>) -> Result<ServerConfig, rustls::Error> {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13, &TLS12])?
        .with_no_client_auth()
        .with_cert_resolver(current);
    config.alpn_protocols = vec![ALPN.to_vec()];
    // Nothing is resumed: connections last, so it would save little, it keeps memory for each, and
    // a client that resumes does not see which certificate is in force.
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    Ok(config)
}

#[cfg(test)]
mod tests;
