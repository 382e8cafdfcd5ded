//! What the operator configures: `gw.yaml`, flags over it, and what both mean together.
//!
//! [`keys`] is the table of what may be said. A text is read into a tree with places, held against
//! the table, and put together with the flags and with what the host says ([`Surroundings`]); all
//! that is wrong is told in one run. What an admission depends on comes out as
//! [`Config::settings`]. Reading files is not here, and neither is serving.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

mod assembly;
mod constants;
mod cover;
mod credentials;
mod document;
pub mod keys;
mod listen;
pub mod openclaw;
mod overrides;
mod risks;
mod shown;
pub mod strength;
mod surroundings;
pub mod template;
mod upstream;
mod values;

use std::path::{Path, PathBuf};

use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::secret::Secret;
use crate::settings::Settings;
use crate::source::Sources;

pub use keys::Level;
pub use listen::{Host, Listen};
pub use overrides::{BindTo, Overrides, TlsOverride};
pub use shown::{Origin, Shown};
pub use surroundings::{SecretFile, Surroundings};
pub use upstream::{Upstream, UpstreamKind};
pub use values::Written;
use values::{Place, Places};

/// The name of a configuration where none is named.
pub const FILE: &str = "gw.yaml";

/// The name of the made token in the state folder.
pub const TOKEN: &str = "token";

/// The name of the file of devices in the state folder.
pub const DEVICES: &str = "gw.sqlite";

/// The name of the log of decisions in the state folder.
pub const DECISIONS: &str = "decisions.jsonl";

/// A whole configuration, as it is in force.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where connections come from.
    pub listen: Listen,
    /// TLS at the listener.
    pub tls: Tls,
    /// The policy: a path, or `built-in:NAME`.
    pub policy: Box<str>,
    /// The folder for what is remembered.
    pub state: PathBuf,
    /// Whether the token has to be made.
    pub token: Token,
    /// The server behind, where there is one.
    pub upstream: Option<Upstream>,
    /// What nobody may use up.
    pub limits: Limits,
    /// What is written down.
    pub log: Log,
    /// Whether `/metrics` answers.
    pub metrics: bool,
    settings: Settings,
    warnings: Diagnostics,
    sources: Sources,
    shown: Vec<Shown>,
    secret_files: Vec<PathBuf>,
    places: Places,
}

/// What a configuration names, and somebody else reads: the policy, the certificate, what is kept.
/// It is there as well when the configuration itself is none.
#[derive(Clone, Debug)]
pub struct Named {
    /// As [`Config::policy`].
    pub policy: Box<str>,
    /// As [`Config::tls`].
    pub tls: Tls,
    /// As [`Config::state`].
    pub state: PathBuf,
    /// As [`Config::token`].
    pub token: Token,
    /// As [`Config::upstream`].
    pub upstream: Option<Upstream>,
    places: Places,
}

impl Named {
    /// A diagnostic about what stands at a key, with its place: that in the file, or the flag.
    #[must_use]
    pub fn at(&self, diagnostic: Diagnostic, key: &str) -> Diagnostic {
        match self.places.get(key) {
            Some(place) => credentials::placed(diagnostic, key, place, ""),
            None => diagnostic,
        }
    }

    /// What a path at a key is relative to, for people.
    #[must_use]
    pub fn relative_to(&self, key: &str) -> &'static str {
        match self.places.get(key) {
            Some(Place::File(_)) => "the path is relative to the configuration",
            Some(Place::Flag(_)) | None => "the path is relative to the folder that you are in",
        }
    }
}

/// TLS at the listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tls {
    /// None: somebody else's, or nobody's.
    Off,
    /// A certificate with its key, both in PEM.
    Files {
        /// The chain.
        certificate: PathBuf,
        /// The private key.
        key: PathBuf,
    },
    /// A self-signed certificate, made once and kept in the state folder.
    Generated {
        /// Names and addresses beside those of this host.
        names: Vec<Box<str>>,
    },
}

/// Where the shared token comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Token {
    /// It is given.
    Given,
    /// The mode wants one and none is given: make one, keep it as [`Config::token_file`], and put
    /// it in with [`Config::put_token`].
    Generate,
    /// The mode wants none.
    Unused,
}

/// What nobody may use up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How long a connection may take until it is admitted, in milliseconds.
    pub handshake_timeout_ms: u64,
    /// How many connections of one address may be waiting for their admission.
    pub unadmitted_per_address: usize,
    /// How many connections there may be in all, some of which are no sessions.
    pub connections: usize,
    /// The largest head of an HTTP request.
    pub head_bytes: usize,
    /// The largest message of an admitted client. What the gateway answers itself is bounded apart:
    /// [`Methods::request_bytes`](crate::server::Methods::request_bytes).
    pub message_bytes: usize,
    /// How often an admitted client hears that the gateway is there, in milliseconds.
    pub tick_ms: u64,
}

/// What counts where nothing is said of it.
impl Default for Limits {
    fn default() -> Self {
        Limits {
            handshake_timeout_ms: 15_000,
            unadmitted_per_address: 32,
            connections: 10_000,
            head_bytes: 16_384,
            message_bytes: 26_214_400,
            tick_ms: 30_000,
        }
    }
}

/// What is written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// How much is logged.
    pub level: Level,
    /// The file of decisions, if there is one.
    pub decisions: Option<Decisions>,
}

/// The file of decisions, and when another one is begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decisions {
    /// The file.
    pub file: PathBuf,
    /// How large it may grow.
    pub max_bytes: u64,
    /// How many full files are kept.
    pub keep: usize,
}

/// Why a configuration is none: everything that is wrong, with the texts. Secrets in the texts
/// are covered.
#[derive(Clone, Debug)]
pub struct ConfigError {
    /// What is wrong.
    pub diagnostics: Diagnostics,
    /// The texts that it is wrong in.
    pub sources: Sources,
    /// What it names all the same, if it could be read so far.
    pub named: Option<Box<Named>>,
}

impl std::fmt::Display for ConfigError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.diagnostics.fmt(f)
    }
}

impl std::error::Error for ConfigError {}

impl Config {
    /// Puts a configuration together: a file, by its name and text, with flags over it. Without a
    /// file the defaults count.
    ///
    /// # Errors
    ///
    /// Everything that is wrong, with its place.
    pub fn read(
        file: Option<(&str, &str)>,
        overrides: &Overrides,
        surroundings: &dyn Surroundings,
    ) -> Result<Config, ConfigError> {
        assembly::assemble(file, overrides, surroundings)
    }

    /// What an admission depends on.
    #[must_use]
    pub fn settings(&self) -> Settings {
        self.settings.clone()
    }

    /// What loads and opens more than most want, or says what does not count.
    #[must_use]
    pub fn warnings(&self) -> &Diagnostics {
        &self.warnings
    }

    /// The texts that [`Config::warnings`] speaks of, with secrets covered.
    #[must_use]
    pub fn sources(&self) -> &Sources {
        &self.sources
    }

    /// Every key with what counts and where that comes from, secrets masked.
    #[must_use]
    pub fn shown(&self) -> &[Shown] {
        &self.shown
    }

    /// The files behind its secrets.
    #[must_use]
    pub fn secret_files(&self) -> &[PathBuf] {
        &self.secret_files
    }

    /// What it names, and somebody else reads.
    #[must_use]
    pub fn named(&self) -> Named {
        Named {
            policy: self.policy.clone(),
            tls: self.tls.clone(),
            state: self.state.clone(),
            token: self.token,
            upstream: self.upstream.clone(),
            places: self.places.clone(),
        }
    }

    /// Whether something is said of a key, by the file, a flag or the environment.
    #[must_use]
    pub fn says(&self, key: &str) -> bool {
        let mut shown = self.shown.iter();
        shown.any(|shown| shown.key == key && shown.from != Origin::Default)
    }

    /// Where a made token is kept.
    #[must_use]
    pub fn token_file(&self) -> PathBuf {
        self.state.join(TOKEN)
    }

    /// Where devices are kept.
    #[must_use]
    pub fn devices_file(&self) -> PathBuf {
        self.state.join(DEVICES)
    }

    /// Puts the made token in, where one had to be made.
    pub fn put_token(&mut self, token: Secret) {
        if self.token == Token::Generate {
            self.settings.auth.token = Some(token);
            self.token = Token::Given;
        }
    }
}

/// The folder that the paths of a file are relative to.
fn folder(file: &str) -> &Path {
    Path::new(file).parent().unwrap_or(Path::new(""))
}

#[cfg(test)]
mod tests;
