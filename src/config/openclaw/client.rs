//! Which gateway OpenClaw's own command line speaks with, by its configuration and environment; and
//! which secrets it is given. What is found is not asked.

use serde_json::Value;

use super::parse;
use crate::config::values::is_variable;
use crate::secret::Secret;

/// The port where nothing else is said.
const PORT: u16 = 18_789;

/// OpenClaw's command line, as a user has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandLine {
    /// The gateway that it speaks with.
    pub url: String,
    /// The secrets that its configuration and its environment hold.
    pub secrets: Vec<Secret>,
    /// Those among them that it may show this gateway. To a URL of the environment it shows what
    /// the environment says beside it, and nothing else.
    pub shown: Vec<Secret>,
}

impl CommandLine {
    /// Reads what it reads: its configuration, if there is one, and its environment. Nothing where
    /// neither says anything, or the configuration cannot be read by it either.
    #[must_use]
    pub fn read(text: Option<&str>, variable: &dyn Fn(&str) -> Option<String>) -> Option<Self> {
        let said = |name: &str| variable(name).filter(|text| !text.trim().is_empty());
        let [url, port] = ["OPENCLAW_GATEWAY_URL", "OPENCLAW_GATEWAY_PORT"].map(said);
        let given = ["OPENCLAW_GATEWAY_TOKEN", "OPENCLAW_GATEWAY_PASSWORD"].map(said);
        let root = match text {
            Some(text) => parse(text).ok()?,
            None if url.is_none() && port.is_none() && given.iter().all(Option::is_none) => {
                return None;
            }
            None => Value::Null,
        };
        let text = |pointer: &str| {
            let text = root.pointer(pointer)?.as_str()?.trim();
            let name = text.strip_prefix("${").and_then(|it| it.strip_suffix('}'));
            match name.filter(|name| is_variable(name)) {
                Some(name) => said(name),
                None => Some(text.to_owned()),
            }
        };
        let remote = || {
            let is_remote = text("/gateway/mode").is_some_and(|mode| mode == "remote");
            text("/gateway/remote/url").filter(|_| is_remote)
        };
        let configured = || {
            let port = root.pointer("/gateway/port")?.as_u64()?;
            u16::try_from(port).ok()
        };
        let here = || {
            let port = port.as_ref().and_then(|port| port.trim().parse().ok());
            let tls = root.pointer("/gateway/tls/enabled") == Some(&Value::Bool(true));
            let scheme = if tls { "wss" } else { "ws" };
            let port = port.or_else(configured).unwrap_or(PORT);
            format!("{scheme}://127.0.0.1:{port}")
        };
        let held = [
            "/gateway/auth/token",
            "/gateway/auth/password",
            "/gateway/remote/token",
            "/gateway/remote/password",
        ];
        let secrets = |texts: &mut dyn Iterator<Item = Option<String>>| {
            let secrets = texts.flatten().map(|text| Secret::new(&text));
            let secrets = secrets.filter(|secret| !secret.is_blank());
            secrets.collect::<Vec<_>>()
        };
        let all = secrets(&mut given.clone().into_iter().chain(held.map(text)));
        Some(CommandLine {
            shown: match url {
                Some(_) => secrets(&mut given.into_iter()),
                None => all.clone(),
            },
            secrets: all,
            url: url.or_else(remote).unwrap_or_else(here),
        })
    }

    /// Whether it has a secret.
    #[must_use]
    pub fn holds(&self, secret: &Secret) -> bool {
        self.secrets.iter().any(|held| held.matches(secret))
    }

    /// Whether it may show the gateway a secret.
    #[must_use]
    pub fn shows(&self, secret: &Secret) -> bool {
        self.shown.iter().any(|shown| shown.matches(secret))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "OPENCLAW_GATEWAY_URL=ws://10.0.0.1:5";

    /// A configuration, the environment, the gateway, whether the secret `one` is held, and whether
    /// the gateway may be shown it.
    const CASES: &[(&str, &[&str], &str, bool, bool)] = &[
        ("{}", &[], "ws://127.0.0.1:18789", false, false),
        ("{gateway:{port:7}}", &[], "ws://127.0.0.1:7", false, false),
        (
            "{gateway:{port:7,tls:{enabled:true}}}",
            &[],
            "wss://127.0.0.1:7",
            false,
            false,
        ),
        (
            "{gateway:{port:7}}",
            &["OPENCLAW_GATEWAY_PORT=8"],
            "ws://127.0.0.1:8",
            false,
            false,
        ),
        (
            "{gateway:{port:7}}",
            &[URL],
            "ws://10.0.0.1:5",
            false,
            false,
        ),
        (
            "{gateway:{port:7}}",
            &["OPENCLAW_GATEWAY_URL= "],
            "ws://127.0.0.1:7",
            false,
            false,
        ),
        (
            "{gateway:{remote:{url:'ws://r:1'}}}",
            &[],
            "ws://127.0.0.1:18789",
            false,
            false,
        ),
        (
            "{gateway:{mode:'remote',remote:{url:'ws://r:1',token:'one'}}}",
            &[],
            "ws://r:1",
            true,
            true,
        ),
        (
            "{gateway:{mode:'remote',remote:{url:'ws://r:1'}}}",
            &[URL],
            "ws://10.0.0.1:5",
            false,
            false,
        ),
        (
            "{gateway:{auth:{token:'one'}}}",
            &[],
            "ws://127.0.0.1:18789",
            true,
            true,
        ),
        (
            "{gateway:{auth:{token:' one '}}}",
            &[URL],
            "ws://10.0.0.1:5",
            true,
            false,
        ),
        (
            "{gateway:{auth:{token:'${HELD}'}}}",
            &["HELD=one"],
            "ws://127.0.0.1:18789",
            true,
            true,
        ),
        (
            "{gateway:{auth:{token:{source:'env'}}}}",
            &[],
            "ws://127.0.0.1:18789",
            false,
            false,
        ),
        (
            "{}",
            &["OPENCLAW_GATEWAY_TOKEN=one"],
            "ws://127.0.0.1:18789",
            true,
            true,
        ),
        (
            "{gateway:{auth:{token:'two'}}}",
            &[URL, "OPENCLAW_GATEWAY_TOKEN=one"],
            "ws://10.0.0.1:5",
            true,
            true,
        ),
    ];

    fn read(text: Option<&str>, environment: &[&str]) -> Option<CommandLine> {
        CommandLine::read(text, &|name| {
            let mut said = environment.iter().filter_map(|line| line.split_once('='));
            said.find(|said| said.0 == name)
                .map(|said| said.1.to_owned())
        })
    }

    #[test]
    fn it_is_read_as_openclaw_reads_it() {
        for (text, environment, url, holds, shows) in CASES {
            let found = read(Some(text), environment).unwrap();
            let one = Secret::new("one");
            assert_eq!(
                (&*found.url, found.holds(&one), found.shows(&one)),
                (*url, *holds, *shows),
                "{text} {environment:?}"
            );
        }
    }

    #[test]
    fn where_nothing_is_said_there_is_none() {
        assert_eq!(read(None, &[]), None);
        assert_eq!(read(Some("{gateway:"), &[URL]), None);
        assert_eq!(read(None, &[URL]).unwrap().url, "ws://10.0.0.1:5");
    }
}
