//! What is served, read from its files: configuration, token, policy. Read again in the same way
//! while the gateway runs.

use std::fs;
use std::path::PathBuf;

use super::super::config::read;
use super::super::output::{Output, ReportFormat};
use super::super::overrides::OverrideArgs;
use super::super::{Exit, constants, load};
use crate::config::{Config, Token};
use crate::diagnostic::{Code, Diagnostic};
use crate::host::token;
use crate::policy::Policy;
use crate::settings::Settings;
use crate::source::Sources;

/// Where what is served is read from.
pub(super) struct Loading {
    config: Option<String>,
    overrides: OverrideArgs,
}

/// What is served.
pub(super) struct Loaded {
    pub(super) config: Config,
    pub(super) policy: Policy,
    pub(super) settings: Settings,
    pub(super) token: Option<MadeToken>,
    /// What loads and opens more than most want.
    pub(super) warnings: String,
}

/// The token that the gateway made for itself.
pub(super) struct MadeToken {
    pub(super) file: PathBuf,
    /// Whether it was made just now.
    pub(super) new: bool,
}

/// Why nothing is served, for people.
pub(super) struct Unloaded {
    pub(super) text: String,
    pub(super) exit: Exit,
}

impl Unloaded {
    fn new(exit: Exit, told: impl FnOnce(&mut Output)) -> Self {
        let mut output = Output::default();
        told(&mut output);
        let text = output.complaints();
        Unloaded { text, exit }
    }

    fn failed(message: String, help: &str) -> Self {
        let diagnostic = Diagnostic::error(Code::CannotServe, message).help(help);
        Unloaded::new(Exit::Failure, |output| {
            output.report_one(diagnostic, &Sources::default(), ReportFormat::Human);
        })
    }
}

impl Loading {
    pub(super) fn new(config: Option<String>, overrides: OverrideArgs) -> Self {
        Loading { config, overrides }
    }

    /// Reads all of it.
    pub(super) fn load(&self) -> Result<Loaded, Unloaded> {
        let mut config = read(self.config.as_deref(), &self.overrides).map_err(|unread| {
            let mut output = Output::default();
            let exit = unread.report(&mut output, ReportFormat::Human);
            let text = output.complaints();
            Unloaded { text, exit }
        })?;
        let policy = load::policy(&config.policy, true).map_err(|error| {
            Unloaded::new(Exit::of(&error), |output| {
                output.report(&error.diagnostics, &error.sources, ReportFormat::Human);
            })
        })?;
        let constants = constants::of(&config.policy).map_err(|(diagnostic, sources)| {
            Unloaded::new(Exit::Failure, |output| {
                output.report_one(*diagnostic, &sources, ReportFormat::Human);
            })
        })?;
        make_private(&config)?;
        let token = match config.token {
            Token::Generate => {
                let file = config.token_file();
                let new = !file.exists();
                let made = token::made(&file)
                    .map_err(|error| Unloaded::failed(error, "the made token is kept there"))?;
                config.put_token(made);
                Some(MadeToken { file, new })
            }
            Token::Given | Token::Unused => None,
        };
        let mut settings = config.settings();
        if let (Some(constants), false) = (constants, config.says("compatibility")) {
            settings.compatibility = constants;
        }
        let mut output = Output::default();
        output.report(config.warnings(), config.sources(), ReportFormat::Human);
        output.report(policy.warnings(), policy.sources(), ReportFormat::Human);
        Ok(Loaded {
            policy,
            settings,
            token,
            warnings: output.complaints(),
            config,
        })
    }

    /// Reads what may change while the gateway runs.
    pub(super) fn again(&self) -> Result<(Policy, Settings), String> {
        match self.load() {
            Ok(loaded) => Ok((loaded.policy, loaded.settings)),
            Err(unloaded) => Err(unloaded.text),
        }
    }
}

/// The state folder, which only its owner may look into.
fn make_private(config: &Config) -> Result<(), Unloaded> {
    let state = &config.state;
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(state).map_err(|error| {
        let message = format!(
            "the state folder {} cannot be made: {error}",
            state.display()
        );
        Unloaded::failed(message, "name another one by `--state`")
    })
}
