//! Commands that are printed for the user to run next: with the flags by which they reach the
//! gateway that is spoken of, so that they can be copied as they stand.

use std::path::{Path, PathBuf};

use super::overrides::OverrideArgs;
use crate::config::Config;
use crate::source::{printable, shell_word};

/// The flags that name a gateway, where the defaults would find another one.
#[derive(Clone, Debug, Default)]
pub(super) struct Next {
    flags: String,
}

impl Next {
    /// With these flags, those that are given.
    pub(super) fn new(flags: &[(&str, Option<&str>)]) -> Self {
        let given = flags.iter().filter_map(|(flag, value)| {
            let value = shell_word(value.as_ref()?);
            Some(format!(" {flag} {}", printable(&value)))
        });
        Next {
            flags: given.collect(),
        }
    }

    /// By the configuration and the state folder, as they were named. From any folder it is the
    /// same: their paths are made whole.
    pub(super) fn on_host(config: Option<&str>, state: Option<&str>) -> Self {
        let [config, state] = [config, state].map(|path| path.map(whole));
        Next::new(&[
            ("--config", config.as_deref()),
            ("--state", state.as_deref()),
        ])
    }

    /// By the configuration and all flags that a gateway is started with.
    pub(super) fn started(config: Option<&str>, overrides: &OverrideArgs) -> Self {
        let config = config.map(whole);
        let flags = overrides.again();
        let flags = flags.iter().map(|(flag, value)| (*flag, value.as_deref()));
        let flags: Vec<_> = std::iter::once(("--config", config.as_deref()))
            .chain(flags)
            .collect();
        let Next { mut flags } = Next::new(&flags);
        if overrides.metrics() {
            flags.push_str(" --metrics");
        }
        Next { flags }
    }

    /// As a gateway that serves is reached on its host.
    pub(super) fn serving(
        (file, state): (Option<&str>, Option<&str>),
        config: &Config,
        urls: &[String],
    ) -> Self {
        let Next { mut flags } = Next::on_host(file, state);
        // Without a socket the port is all there is, and it may be another one than configured.
        if config.listen.socket.is_none()
            && let Some(url) = urls.first()
        {
            flags.push_str(&format!(" --url {}", shell_word(url)));
            if file.is_none() && state.is_none() {
                let state = whole(&config.state.to_string_lossy());
                flags.push_str(&format!(" --state {}", shell_word(&state)));
            }
        }
        Next { flags }
    }

    /// A command of this program that reaches the same gateway.
    pub(super) fn command(&self, words: &str) -> String {
        format!("gw {words}{}", self.flags)
    }
}

/// A path as it is from any folder.
pub(super) fn whole(path: &str) -> String {
    let whole = absolute(Path::new(path));
    whole.to_string_lossy().into_owned()
}

/// The same, of a path.
pub(super) fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
