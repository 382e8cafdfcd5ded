//! What is served, read from its files: configuration, token, policy. Read again in the same way
//! while the gateway runs.

use std::cell::RefCell;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use super::super::config::{here, read_on};
use super::super::next::{Next, absolute, whole};
use super::super::output::{Output, ReportFormat};
use super::super::overrides::OverrideArgs;
use super::super::{Exit, config, constants, load, owner, upstream};
use super::fingerprints::Fingerprints;
use super::state;
use crate::config::{Config, SecretFile, Surroundings, Token};
use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::facts::Role;
use crate::host::{Local, token};
use crate::pairing::store::{Among, Store};
use crate::policy::Policy;
use crate::relay::Upstream;
use crate::server;
use crate::settings::Settings;
use crate::source::Sources;

/// Where what is served is read from.
pub(super) struct Loading {
    config: Option<String>,
    overrides: OverrideArgs,
    fingerprints: Fingerprints,
}

/// What is served.
pub(super) struct Loaded {
    pub(super) config: Config,
    pub(super) policy: Policy,
    pub(super) settings: Settings,
    pub(super) token: Option<MadeToken>,
    /// The files that it was read from.
    pub(super) files: Vec<PathBuf>,
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
        Loading {
            config,
            overrides,
            fingerprints: Fingerprints::default(),
        }
    }

    /// Reads all of it.
    pub(super) fn load(&self) -> Result<Loaded, Unloaded> {
        let host = Noting::default();
        let file = self.config.as_deref();
        let mut config = read_on(file, &self.overrides, &host).map_err(|unread| {
            let mut output = Output::default();
            let exit = unread.report(&mut output, ReportFormat::Human);
            let text = output.complaints();
            Unloaded { text, exit }
        })?;
        // What is told of them is read elsewhere, from another folder.
        if &*config.policy != "-" && !load::is_built_in(&config.policy) {
            config.policy = whole(&config.policy).into();
        }
        config.state = absolute(&config.state);
        if let Some(decisions) = &mut config.log.decisions {
            decisions.file = absolute(&decisions.file);
        }
        let policy = config::policy(&config.named()).map_err(|error| {
            let texts = match error.sources.iter().next() {
                Some(_) => &error.sources,
                None => config.sources(),
            };
            Unloaded::new(Exit::of(&error), |output| {
                output.report(&error.diagnostics, texts, ReportFormat::Human);
            })
        })?;
        self.fingerprints.find(policy.clone());
        let behind = config.upstream.as_ref();
        let target = behind.map(|behind| upstream::target(&config.named(), behind));
        let wrong = target.and_then(Result::err);
        if let Some(diagnostic) = wrong.or_else(|| upstream::itself(&config)) {
            return Err(Unloaded::new(Exit::Failure, |output| {
                output.report_one(*diagnostic, config.sources(), ReportFormat::Human);
            }));
        }
        let constants = constants::of(&config.policy).map_err(|(diagnostic, sources)| {
            Unloaded::new(Exit::Failure, |output| {
                output.report_one(*diagnostic, &sources, ReportFormat::Human);
            })
        })?;
        state::make(&config.state).map_err(|(message, help)| Unloaded::failed(message, &help))?;
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
        let settings = constants::with(&config, constants);
        let mut output = Output::default();
        output.report(config.warnings(), config.sources(), ReportFormat::Human);
        output.report(policy.warnings(), policy.sources(), ReportFormat::Human);
        let mut files = host.files.into_inner();
        files.extend(file.or(here()).map(PathBuf::from));
        let texts = policy.sources().iter();
        let texts = texts.map(|(_, source)| &*source.name);
        files.extend(
            texts
                .filter(|name| load::built_in(name).is_none())
                .map(PathBuf::from),
        );
        Ok(Loaded {
            files,
            policy,
            settings,
            token,
            warnings: output.complaints(),
            config,
        })
    }

    /// The configuration, as it is from any folder; nothing where there is none.
    pub(super) fn file(&self) -> Option<String> {
        self.config.as_deref().or(here()).map(whole)
    }

    /// Commands that reach the gateway that serves this.
    pub(super) fn next(&self, config: &Config, urls: &[String]) -> Next {
        let file = self.config.as_deref().or(here());
        Next::serving((file, self.overrides.state()), config, urls)
    }

    /// Reads what may change while the gateway runs, of one that remembers what is in the store.
    pub(super) fn again(&self, store: &dyn Store) -> Result<server::Loaded, String> {
        let Loaded {
            config,
            policy,
            settings,
            files,
            mut warnings,
            ..
        } = self.load().map_err(|unloaded| unloaded.text)?;
        warnings.push_str(&no_way_in(&policy, &settings, store));
        let upstream = behind(&config, store).map_err(|diagnostic| {
            let mut output = Output::default();
            output.report_one(*diagnostic, config.sources(), ReportFormat::Human);
            output.complaints()
        })?;
        Ok(server::Loaded {
            policy,
            settings,
            upstream,
            files,
            warnings,
        })
    }
}

/// The server behind, where one is configured, with what nodes are called there: those that are not
/// there now are spoken of all the same.
pub(super) fn behind(
    config: &Config,
    store: &dyn Store,
) -> Result<Option<Upstream>, Box<Diagnostic>> {
    let Some(configured) = &config.upstream else {
        return Ok(None);
    };
    let options = upstream::options(&config.named(), configured, &config.state)?;
    let behind = Upstream::new(options);
    // Others wait for the store meanwhile: what takes long comes after it.
    let mut nodes = Vec::new();
    // While the store cannot be read nobody comes in anyway.
    let _ = store.visit(Among::Nodes, &mut |standing, _| {
        let node = |role: &str| role == Role::Node.name();
        let record = standing.record.as_ref();
        if let Some(record) = record.filter(|record| record.approved_roles().any(node)) {
            nodes.push(record.device_id.clone());
        }
        ControlFlow::Continue(())
    });
    for node in nodes {
        behind.learn_node(&node);
    }
    Ok(Some(behind))
}

/// That nobody can approve devices under what is loaded, for people; empty where somebody can.
pub(super) fn no_way_in(policy: &Policy, settings: &Settings, store: &dyn Store) -> String {
    let mut output = Output::default();
    if let Some(warning) = owner::warning_of(policy, settings, store) {
        let found = Diagnostics(vec![warning]);
        output.report(&found, policy.sources(), ReportFormat::Human);
    }
    output.complaints()
}

/// This host, with a note of the files that were asked for.
#[derive(Default)]
struct Noting {
    files: RefCell<Vec<PathBuf>>,
}

const HOST: Local = Local {
    built_in: load::built_in,
};

impl Surroundings for Noting {
    fn variable(&self, name: &str) -> Option<String> {
        HOST.variable(name)
    }

    fn is_root(&self) -> bool {
        HOST.is_root()
    }

    fn secret_file(&self, path: &Path) -> Result<SecretFile, String> {
        self.files.borrow_mut().push(path.to_owned());
        HOST.secret_file(path)
    }

    fn constants(&self, path: &str) -> Result<String, String> {
        if load::built_in(path).is_none() {
            self.files.borrow_mut().push(path.into());
        }
        HOST.constants(path)
    }
}
