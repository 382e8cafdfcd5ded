//! What is served, read from its files: configuration, token, policy. Read again in the same way
//! while the gateway runs.

use std::cell::RefCell;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::super::config::{here, of_policy, read_on};
use super::super::next::{Next, absolute, whole};
use super::super::output::{Output, ReportFormat};
use super::super::overrides::OverrideArgs;
use super::super::{Exit, constants, load, owner, upstream};
use super::fingerprints::Fingerprints;
use super::state;
use crate::config::keys::{self, Counts};
use crate::config::{Config, SecretFile, Shown, Surroundings, Token};
use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::facts::{Bind, Role};
use crate::host::{Local, token};
use crate::lang::ReadError;
use crate::pairing::store::{Among, Store};
use crate::policy::Policy;
use crate::relay::Upstream;
use crate::server;
use crate::settings::Settings;
use crate::source::Sources;

/// Where what is served is read from.
pub(super) struct Loading {
    /// The file that was there at the start, if one was: one that is gone later is missing, and the
    /// defaults do not take its place.
    config: Option<String>,
    overrides: OverrideArgs,
    fingerprints: Fingerprints,
    /// What counts until the end, once it is served.
    start: OnceLock<Start>,
}

/// What a configuration said at the start, and what counts until the end whatever it says later.
struct Start {
    state: PathBuf,
    bind: Bind,
    shown: Vec<Shown>,
}

impl Start {
    fn of(config: &Config) -> Self {
        Start {
            state: config.state.clone(),
            bind: config.listen.bind,
            shown: config.shown().to_vec(),
        }
    }

    /// The keys that are other in a configuration, and count from the next start.
    fn differs(&self, config: &Config) -> Vec<&'static str> {
        let counts = |shown: &Shown| keys::find(shown.key).map(|key| key.counts);
        let pairs = self.shown.iter().zip(config.shown());
        let other = pairs.filter(|(before, after)| before.value != after.value);
        other
            .filter(|(before, _)| counts(before) == Some(Counts::AtStart))
            .map(|(before, _)| before.key)
            .collect()
    }
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
    /// The files that were read until then, or were to be.
    files: Vec<PathBuf>,
}

impl Unloaded {
    fn new(exit: Exit, told: impl FnOnce(&mut Output)) -> Self {
        let mut output = Output::default();
        told(&mut output);
        Unloaded::told(output, exit)
    }

    fn told(output: Output, exit: Exit) -> Self {
        Unloaded {
            text: output.complaints(),
            exit,
            files: Vec::new(),
        }
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
            config: config.or(here().map(str::to_owned)),
            overrides,
            fingerprints: Fingerprints::default(),
            start: OnceLock::new(),
        }
    }

    /// Reads all of it for the first time.
    pub(super) fn load(&self) -> Result<Loaded, Unloaded> {
        let loaded = self.load_from(&|_| Ok(()))?;
        // It is read for the first time once.
        let _ = self.start.set(Start::of(&loaded.config));
        Ok(loaded)
    }

    /// Reads all of it; the configuration and the policy are looked at before they are opened.
    fn load_from(&self, look: &Look) -> Result<Loaded, Unloaded> {
        let host = Noting::default();
        let loaded = self.load_on(&host, look);
        let files = host.files.into_inner();
        match loaded {
            Ok(loaded) => Ok(Loaded { files, ..loaded }),
            Err(unloaded) => Err(Unloaded { files, ..unloaded }),
        }
    }

    fn load_on(&self, host: &Noting, look: &Look) -> Result<Loaded, Unloaded> {
        if let Some(file) = &self.config {
            host.note(file);
            look(file)?;
        }
        let file = self.config.as_deref();
        let mut config = read_on(file, &self.overrides, host).map_err(|unread| {
            let mut output = Output::default();
            let exit = unread.report(&mut output, ReportFormat::Human);
            Unloaded::told(output, exit)
        })?;
        // What is told of them is read elsewhere, from another folder.
        if &*config.policy != "-" && !load::is_built_in(&config.policy) {
            config.policy = whole(&config.policy).into();
        }
        config.state = match self.start.get() {
            Some(start) => start.state.clone(),
            None => absolute(&config.state),
        };
        if let Some(decisions) = &mut config.log.decisions {
            decisions.file = absolute(&decisions.file);
        }
        if !load::is_built_in(&config.policy) {
            look(&config.policy).inspect_err(|_| host.note(&config.policy))?;
        }
        let policy = load::policy_of(&config.policy, &|path| host.note(path));
        let policy = policy.map_err(|error| {
            let error = of_policy(&config.named(), error);
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
        let mut settings = constants::with(&config, constants);
        if let Some(start) = self.start.get() {
            settings.bind = start.bind;
        }
        let mut output = Output::default();
        output.report(config.warnings(), config.sources(), ReportFormat::Human);
        output.report(policy.warnings(), policy.sources(), ReportFormat::Human);
        Ok(Loaded {
            files: Vec::new(),
            policy,
            settings,
            token,
            warnings: output.complaints(),
            config,
        })
    }

    /// The configuration, as it is from any folder; nothing where there is none.
    pub(super) fn file(&self) -> Option<String> {
        self.config.as_deref().map(whole)
    }

    /// Commands that reach the gateway that serves this.
    pub(super) fn next(&self, config: &Config, urls: &[String]) -> Next {
        Next::serving(
            (self.config.as_deref(), self.overrides.state()),
            config,
            urls,
        )
    }

    /// Reads what may change while the gateway runs, of one that remembers what is in the store.
    pub(super) fn again(&self, store: &dyn Store) -> Result<server::Loaded, server::Unloaded> {
        let Loaded {
            config,
            policy,
            settings,
            files,
            mut warnings,
            ..
        } = self.load_from(&is_a_file)?;
        warnings.push_str(&no_way_in(&policy, &settings, store));
        let upstream = behind(&config, store).map_err(|diagnostic| {
            let mut output = Output::default();
            output.report_one(*diagnostic, config.sources(), ReportFormat::Human);
            let why = output.complaints();
            server::Unloaded {
                why,
                files: files.clone(),
            }
        })?;
        let next_start = self.start.get().map(|start| start.differs(&config));
        Ok(server::Loaded {
            policy,
            settings,
            upstream,
            files,
            warnings,
            next_start: next_start.unwrap_or_default(),
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

impl From<Unloaded> for server::Unloaded {
    fn from(unloaded: Unloaded) -> Self {
        server::Unloaded {
            why: unloaded.text,
            files: unloaded.files,
        }
    }
}

/// Looks at a file before it is opened.
type Look = dyn Fn(&str) -> Result<(), Unloaded>;

/// At the start a pipe may bring a policy; later nobody writes into it any more, and whoever opened
/// it would wait for ever.
fn is_a_file(path: &str) -> Result<(), Unloaded> {
    match load::is_endless(path) {
        false => Ok(()),
        true => Err(Unloaded::new(Exit::Input, |output| {
            let diagnostic = load::unreadable(path, &ReadError::NoFile);
            output.report_one(diagnostic, &Sources::default(), ReportFormat::Human);
        })),
    }
}

/// This host, with a note of the files that were asked for.
#[derive(Default)]
struct Noting {
    files: RefCell<Vec<PathBuf>>,
}

impl Noting {
    /// A file is about to be read, unless it is part of the program, or no file.
    fn note(&self, path: &str) {
        if path != "-" && !load::is_built_in(path) {
            self.files.borrow_mut().push(path.into());
        }
    }
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
        self.note(path);
        HOST.constants(path)
    }
}
