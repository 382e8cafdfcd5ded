//! The first thing that an operator reads of a gateway: where it is, what decides, where the
//! token and the log are, what to try next.

use std::fmt;
use std::path::PathBuf;

use super::super::check::count;
use super::loading::MadeToken;
use crate::config::{Config, Tls};
use crate::host::container::Container;
use crate::host::unavailable::Unavailable;
use crate::policy::Policy;
use crate::server::tls::Fingerprint;

/// What there is to say when a gateway begins.
pub(super) struct Start<'a> {
    pub(super) config: &'a Config,
    /// The file that says so, where there is one.
    pub(super) file: Option<String>,
    pub(super) policy: &'a Policy,
    pub(super) token: Option<&'a MadeToken>,
    /// Where it listens.
    pub(super) urls: Vec<String>,
    pub(super) devices: usize,
    pub(super) requests: usize,
    /// Of the certificate, where TLS is spoken.
    pub(super) fingerprint: Option<Fingerprint>,
    /// The certificate, where it was made just now.
    pub(super) certificate: Option<PathBuf>,
    pub(super) container: Option<&'a Container>,
    /// What to run next.
    pub(super) next: String,
    /// What cannot be known of connections here.
    pub(super) unavailable: Vec<Unavailable>,
}

impl fmt::Display for Start<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, url) in self.urls.iter().enumerate() {
            let label = if at == 0 { "listening" } else { "" };
            writeln!(f, "{label:<10}{url}")?;
        }
        let file = self.file.as_deref().unwrap_or("none, the defaults");
        writeln!(f, "config    {file}")?;
        let digest = self.policy.digest();
        writeln!(
            f,
            "policy    {} {}",
            self.config.policy,
            digest.get(..12).unwrap_or(digest)
        )?;
        if let Some(behind) = &self.config.upstream {
            writeln!(f, "behind    {} ({})", behind.url, behind.kind)?;
        }
        let state = self.config.state.display();
        write!(f, "state     {state}")?;
        match (self.devices, self.requests) {
            (0, 0) => writeln!(f, ", no devices yet")?,
            (devices, 0) => writeln!(f, ", {}", count(devices, "device"))?,
            (devices, requests) => {
                let wait = if requests == 1 { "waits" } else { "wait" };
                let (devices, requests) = (count(devices, "device"), count(requests, "request"));
                writeln!(f, ", {devices}, {requests} {wait}")?;
            }
        }
        if let Some(decisions) = &self.config.log.decisions {
            writeln!(f, "log       {}", decisions.file.display())?;
        }
        if let Some(token) = self.token {
            let new = if token.new { ", made just now" } else { "" };
            writeln!(f, "token     {}{new}", token.file.display())?;
        }
        if let Some(fingerprint) = &self.fingerprint {
            writeln!(f, "TLS       {fingerprint}")?;
        }
        if let Some(certificate) = &self.certificate {
            writeln!(f, "          {}, made just now", certificate.display())?;
        }
        if matches!(self.config.tls, Tls::Off) && self.config.listen.beyond_loopback() {
            writeln!(f, "TLS       off")?;
        }
        if let Some(container) = self.container {
            writeln!(f, "inside    {container}")?;
        }
        for Unavailable { fact, why, helps } in &self.unavailable {
            writeln!(f, "unknown   {fact}: {why}; {helps}")?;
        }
        writeln!(f, "next      {}", self.next)
    }
}
