//! The lines of a recording: configurations, and the cases that were run against them.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use crate::settings::{Compatibility, Settings, openclaw};

/// The port of the recorded gateways.
pub const PORT: u16 = 19_001;
/// The shared token that stands for the recorded one.
pub const TOKEN: &str = "recorded-token-not-a-secret";
/// The shared password that stands for the recorded one.
pub const PASSWORD: &str = "recorded-password-not-a-secret";
/// A token that a gateway made for itself, and that no client was told.
const UNTOLD: &str = "recorded-untold-token-not-a-secret";

/// All rows of a release, with the settings of each configuration.
#[derive(Clone, Debug, Default)]
pub struct Recording {
    /// The configurations, by name.
    pub configurations: BTreeMap<Box<str>, Configuration>,
    /// The cases, in the order of the file.
    pub rows: Vec<Row>,
}

/// A configuration of a recorded gateway.
#[derive(Clone, Debug)]
pub struct Configuration {
    /// The `gateway` block of its configuration file, secrets masked.
    pub gateway: Value,
    /// Whether it made a token for itself that its clients were then told.
    pub generated_token: bool,
}

/// A case: one handshake, or several on the same pairing state.
#[derive(Clone, Debug, Deserialize)]
pub struct Row {
    /// The release.
    #[serde(rename = "v")]
    pub release: Box<str>,
    /// The configuration.
    pub cfg: Box<str>,
    /// The name of the case, unique within its configuration.
    pub id: Box<str>,
    /// The pairing state before, by kind.
    #[serde(default)]
    pub prior: Box<str>,
    /// The handshakes of a case of several.
    #[serde(default)]
    pub steps: Vec<Step>,
    /// The handshake of a case of one.
    #[serde(flatten)]
    pub only: Step,
}

/// One handshake of a case.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Step {
    /// Which of the case's devices connects; `A` unless said.
    pub key: Option<Box<str>>,
    /// The socket and the HTTP head.
    pub req: Req,
    /// What the connect frame holds, by kind.
    pub connect: Option<ConnectKinds>,
    /// What came back.
    pub out: Value,
    /// The pairing state afterwards; null when it was not looked at.
    pub state: Value,
}

/// The socket and the HTTP head of a step.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Req {
    /// The recorder's name for them.
    pub ctx: Box<str>,
    /// The client's address.
    pub src: Box<str>,
    /// The gateway's address.
    pub dst: Box<str>,
    /// Whether TLS was spoken.
    pub tls: bool,
    /// The request path; `/` unless said.
    pub path: Option<Box<str>>,
    /// The headers, in order; `{port}` stands for the gateway's port.
    pub headers: Vec<(Box<str>, Box<str>)>,
}

/// What a connect frame holds, by kind.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ConnectKinds {
    /// `id/mode`.
    pub client: Box<str>,
    /// `linux` unless said.
    pub platform: Option<Box<str>>,
    /// The device family.
    pub device_family: Option<Box<str>>,
    /// The role; absent from the frame when null.
    pub role: Option<Box<str>>,
    /// The scopes; absent from the frame when null.
    pub scopes: Option<Vec<Box<str>>>,
    /// The protocol range; 3 to 4 unless said. Not always a number.
    pub protocol: Option<[Value; 2]>,
    /// Which secrets were sent.
    pub auth: Box<str>,
    /// How the device proved itself; no device when null.
    pub device: Option<Box<str>>,
    /// Changes to the frame: `[set, path, value]` or `[del, path]`.
    pub mutate: Vec<Vec<Value>>,
    /// What was sent in place of the frame, or how it was sent.
    pub raw: Option<Value>,
}

/// Why a line or a row cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RowError {
    /// A line is not the JSON of a row.
    #[error("line {line}: {error}")]
    Line {
        /// The line, from 1.
        line: usize,
        /// What serde says.
        error: serde_json::Error,
    },
    /// The whole text is one JSON value.
    #[error("this is JSON over several lines, not one JSON value a line")]
    OneValue,
    /// The settings of a configuration cannot be taken over.
    #[error("the settings of `{cfg}`: {error}")]
    Settings {
        /// The configuration.
        cfg: Box<str>,
        /// What serde says.
        error: serde_json::Error,
    },
    /// No line gives the settings of a row's configuration.
    #[error("no line `start/{0}` gives the settings of this configuration")]
    Unconfigured(Box<str>),
    /// A row names a kind that this module does not know.
    #[error("the {what} `{kind}` is not known")]
    Kind {
        /// What the kind is of: credentials, device proof, earlier pairing.
        what: &'static str,
        /// As the row names it.
        kind: Box<str>,
    },
    /// A row asks for more than any recording holds.
    #[error("more than {most} {what}")]
    TooMuch {
        /// What there would be too much of.
        what: &'static str,
        /// How much there may be.
        most: usize,
    },
}

/// A line that starts a configuration.
#[derive(Deserialize)]
struct Start {
    cfg: Box<str>,
    gateway: Value,
    #[serde(default)]
    start: Value,
}

impl Recording {
    /// Reads the lines of a recording.
    ///
    /// # Errors
    ///
    /// [`RowError::Line`] for the first line that is no row, [`RowError::OneValue`] where it is
    /// a part of one value over several lines.
    pub fn read(text: &str) -> Result<Self, RowError> {
        let mut recording = Recording::default();
        for (at, line) in text.lines().enumerate() {
            let Err(error) = recording.add(line) else {
                continue;
            };
            if error.is_eof() && serde_json::from_str::<IgnoredAny>(text).is_ok() {
                return Err(RowError::OneValue);
            }
            let line = at + 1;
            return Err(RowError::Line { line, error });
        }
        Ok(recording)
    }

    fn add(&mut self, line: &str) -> Result<(), serde_json::Error> {
        if line.trim().is_empty() {
            return Ok(());
        }
        // A row may hold a number beyond a double's range only in what was sent, never here.
        if line.contains("\"gateway\":") {
            let start: Start = serde_json::from_str(line)?;
            let configuration = Configuration {
                gateway: start.gateway,
                generated_token: start.start.get("generatedToken") == Some(&Value::Bool(true)),
            };
            self.configurations.insert(start.cfg, configuration);
        } else {
            self.rows.push(serde_json::from_str(line)?);
        }
        Ok(())
    }

    /// Whether a name is that of a line that starts a configuration.
    #[must_use]
    pub fn is_start(&self, cfg: &str, id: &str) -> bool {
        id.split('/').next() == Some("start") && self.configurations.contains_key(cfg)
    }

    /// The row of a configuration with an id.
    #[must_use]
    pub fn row(&self, cfg: &str, id: &str) -> Option<&Row> {
        self.rows
            .iter()
            .find(|row| &*row.cfg == cfg && &*row.id == id)
    }

    /// The settings of a configuration, to be read as the given release reads them.
    ///
    /// # Errors
    ///
    /// [`RowError::Unconfigured`] or [`RowError::Settings`].
    pub fn settings(&self, cfg: &str, compatibility: &Compatibility) -> Result<Settings, RowError> {
        let configuration = self
            .configurations
            .get(cfg)
            .ok_or_else(|| RowError::Unconfigured(cfg.into()))?;
        configuration
            .settings(compatibility)
            .map_err(|error| RowError::Settings {
                cfg: cfg.into(),
                error,
            })
    }
}

impl Configuration {
    fn settings(&self, compatibility: &Compatibility) -> Result<Settings, serde_json::Error> {
        let mut gateway = self.gateway.clone();
        if let Some(map) = gateway.as_object_mut() {
            map.insert("port".to_owned(), PORT.into());
            map.entry("auth").or_insert_with(|| json!({}));
        }
        let auth = gateway.get_mut("auth").and_then(Value::as_object_mut);
        if let Some(auth) = auth {
            let text = |auth: &serde_json::Map<String, Value>, name: &str| {
                let text = auth.get(name).and_then(Value::as_str);
                text.is_some_and(|text| !text.is_empty())
            };
            let by_token = auth
                .get("mode")
                .and_then(Value::as_str)
                .is_none_or(|mode| mode == "token");
            if text(auth, "password") {
                auth.insert("password".to_owned(), PASSWORD.into());
            }
            if text(auth, "token") || self.generated_token {
                auth.insert("token".to_owned(), TOKEN.into());
            } else if by_token && !auth.contains_key("password") {
                auth.insert("token".to_owned(), UNTOLD.into());
            }
        }
        Ok(openclaw::import(&gateway, compatibility.clone())?.settings)
    }
}

impl Row {
    /// What it is asked for by: its configuration, a slash, its id.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}/{}", self.cfg, self.id)
    }

    /// Its handshakes, in order.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        if self.steps.is_empty() {
            std::slice::from_ref(&self.only)
        } else {
            &self.steps
        }
    }
}
