//! `gw import-openclaw`: an OpenClaw gateway's devices and configuration as ours.
//!
//! What is taken and what is not is decided in [`crate::config::openclaw`] and
//! [`crate::pairing::import`]; here it is looked at as a whole, told, and written.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::check::count;
use super::output::{AnswerFormat, Output};
use super::{Exit, load};
use crate::config::openclaw::{self, Options, Outcome};
use crate::config::{Config, ConfigError, FILE, Overrides, SecretFile, Surroundings};
use crate::handshake::clean;
use crate::host::{Local, token};
use crate::lang::ReadError;
use crate::pairing::Sqlite;
use crate::pairing::import::{self, ImportError, Taken, folder};
use crate::pairing::store::Limits;
use crate::policy::Policy;
use crate::secret::Secret;
use crate::settings::Compatibility;
use crate::source::visible;

/// The configuration in an OpenClaw state folder.
const THEIRS: &str = "openclaw.json";

/// The largest one, in bytes.
const MAX_BYTES: u64 = 1 << 20;

/// Takes over the devices and the configuration of an OpenClaw gateway
///
/// Reads its state folder (usually ~/.openclaw), and changes nothing there. Devices go into the
/// store, and the `gateway` part of openclaw.json into gw.yaml; what is policy here becomes rules
/// of a policy that extends the default one, and secrets go into files of their own. What became of
/// each value and each device is told. Everything is checked before anything is written, nothing
/// is written over, and what would open to more people than before is refused.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  gw import-openclaw ~/.openclaw --dry-run
  gw import-openclaw ~/.openclaw --config /etc/gw/gw.yaml --state /var/lib/gw
  gw import-openclaw ~/.openclaw --devices-only    again, for devices that were paired since

Stop the OpenClaw gateway first: what it writes afterwards is not seen.

Exit codes: 0 written, 1 something is there already, or it would not load, 2 wrong command line,
3 a file cannot be read or written")]
pub(super) struct Args {
    /// The state folder of the OpenClaw gateway
    dir: String,

    /// The configuration to write; secrets are put beside it
    #[arg(long, value_name = "FILE", default_value = FILE)]
    config: String,

    /// The policy to write, where one is needed; gw.policy beside the configuration unless named
    #[arg(long, value_name = "FILE")]
    policy: Option<String>,

    /// The folder for what is remembered, where the devices go; it is named in the configuration
    #[arg(long, value_name = "DIR")]
    state: Option<String>,

    /// Take over too what opens to everybody
    #[arg(long)]
    allow_wider: bool,

    /// Leave openclaw.json, and add devices to the state folder of the configuration that is there
    #[arg(long, conflicts_with_all = ["policy", "allow_wider"])]
    devices_only: bool,

    /// Tell what would be written, and write nothing
    #[arg(long)]
    dry_run: bool,

    /// How to print it
    #[arg(long, value_enum, default_value_t)]
    format: AnswerFormat,
}

/// A file that is to be written.
struct File {
    path: PathBuf,
    content: Content,
}

enum Content {
    Configuration(String),
    Policy(String),
    Secret(Secret),
}

impl Content {
    fn kind(&self) -> &'static str {
        match self {
            Content::Configuration(_) => "configuration",
            Content::Policy(_) => "policy",
            Content::Secret(_) => "secret",
        }
    }
}

/// Everything that is to be done.
struct Plan {
    /// In the order of writing: whatever names a file comes after it.
    files: Vec<File>,
    report: Option<openclaw::Report>,
    devices: import::Import,
    store: PathBuf,
    /// Variables that the configuration names, and that are not set here.
    variables: Vec<String>,
}

/// Why nothing was done; it has been told already.
struct Refused(Exit);

pub(super) fn run(args: &Args, output: &mut Output) -> Exit {
    match import(args, output) {
        Ok(()) => Exit::Success,
        Err(Refused(exit)) => exit,
    }
}

fn import(args: &Args, output: &mut Output) -> Result<(), Refused> {
    let mut plan = plan(args, output)?;
    check_free(&plan.files, output)?;
    // What is in the store already is known before anything is written, also where nothing is.
    let store = match args.dry_run && !plan.store.exists() {
        true => None,
        false => Some(open(&plan.store, output)?),
    };
    let failed = |output: &mut Output, error| {
        output.complain(&format!("error: {error}\n"));
        Refused(Exit::Input)
    };
    if let Some(store) = &store {
        let settled = plan.devices.leave_known(store);
        settled.map_err(|error| failed(output, error))?;
    }
    if let (Some(store), false) = (&store, args.dry_run) {
        write(&plan.files, output)?;
        let put = plan.devices.put(store);
        put.map_err(|error| {
            remove(&plan.files);
            output.complain(
                "note: no file was left; devices that were added stay, and are not added twice\n",
            );
            failed(output, error)
        })?;
    }
    match args.format {
        AnswerFormat::Human | AnswerFormat::Plain => tell(&plan, args, output),
        AnswerFormat::Json => output.say_json(&as_json(&plan, args)),
    }
    Ok(())
}

/// Reads everything, and holds together what comes of it.
fn plan(args: &Args, output: &mut Output) -> Result<Plan, Refused> {
    let theirs = Path::new(&args.dir).join(THEIRS);
    let theirs = theirs.to_string_lossy();
    let text = match args.devices_only {
        true => None,
        false => match load::read_file(&theirs, MAX_BYTES) {
            Ok(text) => Some(text),
            Err(ReadError::NotFound) => None,
            Err(error) => {
                output.complain(&format!("error: {theirs} cannot be read: {error}\n"));
                return Err(Refused(Exit::Input));
            }
        },
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now_ms = now.map_or(0, |now| i64::try_from(now.as_millis()).unwrap_or(i64::MAX));
    let found = folder::read(Path::new(&args.dir), now_ms, &Compatibility::default());
    let devices = match found {
        Ok(devices) => devices,
        // A gateway to which nothing was ever paired.
        Err(ImportError::NoState { .. }) if text.is_some() => import::Import::default(),
        Err(error) => {
            output.complain(&format!("error: {}\n", visible(&error.to_string())));
            return Err(Refused(Exit::Input));
        }
    };
    match text {
        Some(text) => with_configuration(args, &theirs, &text, devices, output),
        None => {
            let ours = match Path::new(&args.config).exists() {
                true => Some(load::read(&args.config, MAX_BYTES).map_err(|error| {
                    output.complain(&format!("error: {} cannot be read: {error}\n", args.config));
                    Refused(Exit::Input)
                })?),
                false => None,
            };
            let overrides = Overrides {
                state: args.state.clone(),
                ..Overrides::default()
            };
            let planned = Planned::new(&[], Path::new(&args.config));
            let file = ours.as_deref().map(|text| (&*args.config, text));
            let config = loads(Config::read(file, &overrides, &planned), args, output)?;
            Ok(Plan {
                files: Vec::new(),
                report: None,
                devices,
                store: config.devices_file(),
                variables: Vec::new(),
            })
        }
    }
}

/// The plan of a folder that has a configuration, with what is written for it.
fn with_configuration(
    args: &Args,
    theirs: &str,
    text: &str,
    devices: import::Import,
    output: &mut Output,
) -> Result<Plan, Refused> {
    let config_path = Path::new(&args.config);
    let beside = |name: &str| config_path.with_file_name(name);
    let policy_path = match &args.policy {
        Some(policy) => PathBuf::from(policy),
        None => beside(openclaw::POLICY),
    };
    let mut written = |path: &Path| {
        as_written(path, config_path).map_err(|error| {
            let path = path.display();
            output.complain(&format!("error: {path} cannot be found: {error}\n"));
            Refused(Exit::Input)
        })
    };
    let state = args.state.as_deref().map(|state| written(Path::new(state)));
    let options = Options {
        allow_wider: args.allow_wider,
        home: std::env::home_dir(),
        policy: Some(written(&policy_path)?),
        state: state.transpose()?,
    };
    let import = openclaw::import(theirs, text, &options).map_err(|error| {
        output.report(&error.diagnostics, &error.sources, args.format.report());
        Refused(Exit::Input)
    })?;
    let planned = Planned::new(&import.secrets, config_path);
    let read = Config::read(
        Some((&args.config, &import.config)),
        &Overrides::default(),
        &planned,
    );
    let config = loads(read, args, output)?;
    if let Some(text) = &import.policy {
        let path = policy_path.to_string_lossy();
        let mut reader = load::reader_of(&path);
        Policy::load(&path, text, &mut reader).map_err(|error| {
            output.report(&error.diagnostics, &error.sources, args.format.report());
            Refused(Exit::Failure)
        })?;
    }
    let variables = planned.unset.into_inner().into_iter().collect();
    let mut files: Vec<File> = Vec::new();
    for (name, secret) in import.secrets {
        let content = Content::Secret(secret);
        let path = beside(name);
        files.push(File { path, content });
    }
    if let Some(text) = import.policy {
        files.push(File {
            path: policy_path,
            content: Content::Policy(text),
        });
    }
    files.push(File {
        path: config_path.to_owned(),
        content: Content::Configuration(import.config),
    });
    Ok(Plan {
        files,
        report: Some(import.report),
        devices,
        store: config.devices_file(),
        variables,
    })
}

/// The configuration, if it will do; else what is wrong is told.
fn loads(
    read: Result<Config, ConfigError>,
    args: &Args,
    output: &mut Output,
) -> Result<Config, Refused> {
    read.map_err(|error| {
        output.report(&error.diagnostics, &error.sources, args.format.report());
        output.complain(match args.devices_only {
            true => "note: nothing was written\n",
            false => {
                "note: nothing was written: this is what the new configuration would say; mend it in openclaw.json, and run this again\n"
            }
        });
        Refused(Exit::Failure)
    })
}

/// A path as it stands in the configuration, whose paths are relative to its own folder.
fn as_written(path: &Path, config: &Path) -> io::Result<String> {
    let folder = config.parent().unwrap_or(Path::new(""));
    let path = match path.strip_prefix(folder) {
        Ok(inside) if path.is_relative() || folder.is_absolute() => inside.to_owned(),
        Ok(_) | Err(_) => std::path::absolute(path)?,
    };
    match path.as_os_str().is_empty() {
        true => Ok(".".to_owned()),
        false => Ok(path.to_string_lossy().into_owned()),
    }
}

/// The host as it will be when everything is written. A variable that is not set here may be set
/// where the gateway runs.
struct Planned<'a> {
    host: Local,
    secrets: &'a [(&'static str, Secret)],
    config: &'a Path,
    unset: RefCell<BTreeSet<String>>,
}

impl<'a> Planned<'a> {
    fn new(secrets: &'a [(&'static str, Secret)], config: &'a Path) -> Self {
        Planned {
            host: Local {
                built_in: load::built_in,
            },
            secrets,
            config,
            unset: RefCell::default(),
        }
    }
}

impl Surroundings for Planned<'_> {
    fn variable(&self, name: &str) -> Option<String> {
        let places = ["XDG_STATE_HOME", "HOME"];
        self.host.variable(name).or_else(|| {
            if places.contains(&name) {
                return None;
            }
            self.unset.borrow_mut().insert(name.to_owned());
            Some("5ta7ds-1n-f0r-4n0ther".to_owned())
        })
    }

    fn is_root(&self) -> bool {
        self.host.is_root()
    }

    fn secret_file(&self, path: &Path) -> Result<SecretFile, String> {
        let mut secrets = self.secrets.iter();
        match secrets.find(|(name, _)| self.config.with_file_name(name) == path) {
            Some((_, secret)) => Ok(SecretFile {
                secret: secret.clone(),
                mode: None,
            }),
            None => self.host.secret_file(path),
        }
    }

    fn constants(&self, path: &str) -> Result<String, String> {
        self.host.constants(path)
    }
}

/// Whether nothing is there yet where something is to be written.
fn check_free(files: &[File], output: &mut Output) -> Result<(), Refused> {
    let mut paths: Vec<&Path> = files.iter().map(|file| &*file.path).collect();
    paths.retain(|path| fs::symlink_metadata(path).is_ok());
    for path in &paths {
        output.complain(&format!(
            "error: {} is there already, and stays as it is\n  help: name another file with --config or --policy, move it away, or add the devices only, with --devices-only\n",
            path.display()
        ));
    }
    match paths.is_empty() {
        true => Ok(()),
        false => Err(Refused(Exit::Failure)),
    }
}

fn open(path: &Path, output: &mut Output) -> Result<Sqlite, Refused> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let made = token::private_folder(folder).map_err(|error| {
        output.complain(&format!(
            "error: {} cannot be made: {error}\n  help: name another folder with --state\n",
            folder.display()
        ));
        Refused(Exit::Input)
    });
    made?;
    Sqlite::open(path, Limits::default()).map_err(|error| {
        let remedy = error.remedy();
        output.complain(&format!("error: {error}\n  help: {remedy}\n"));
        Refused(Exit::Input)
    })
}

/// Writes all files, or leaves none.
fn write(files: &[File], output: &mut Output) -> Result<(), Refused> {
    for (index, File { path, content }) in files.iter().enumerate() {
        let written = match content {
            Content::Secret(secret) => token::keep(path, secret),
            Content::Policy(text) | Content::Configuration(text) => write_new(path, text),
        };
        if let Err(error) = written {
            remove(files.get(..index).unwrap_or_default());
            output.complain(&format!(
                "error: {} cannot be written: {error}\nnote: no file was left, and no device was added\n",
                path.display()
            ));
            return Err(Refused(Exit::Input));
        }
    }
    Ok(())
}

/// Writes a file that is not there yet; one that cannot be written whole is removed.
fn write_new(path: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    let written = file
        .write_all(text.as_bytes())
        .and_then(|()| file.sync_all());
    written.inspect_err(|_| drop(fs::remove_file(path)))
}

/// Removes files that were written here.
fn remove(files: &[File]) {
    for file in files {
        let _ = fs::remove_file(&file.path);
    }
}

fn tell(plan: &Plan, args: &Args, output: &mut Output) {
    match &plan.report {
        Some(report) => output.say(&report.to_string()),
        None if args.devices_only => {}
        None => output.say(&format!(
            "there is no {THEIRS} in {}: no configuration is taken over\n",
            args.dir
        )),
    }
    let mut say = |line: &str| {
        output.say(&visible(line));
        output.say("\n");
    };
    for taken in &plan.devices.taken {
        let Told {
            name,
            roles,
            scopes,
            request,
        } = told(taken);
        let what = match &taken.standing.record {
            Some(_) => format!(
                "{}: {}; {}",
                name.map_or_else(|| "without a name".to_owned(), clean),
                words(&roles),
                words(&scopes)
            ),
            None => "it is not paired yet".to_owned(),
        };
        let asks = request.map_or_else(String::new, |id| format!("; asks by {}", clean(id)));
        let Taken { source, .. } = taken;
        let device = clean(taken.device());
        say(&format!("taken {source}: {device}: {what}{asks}"));
    }
    for left in &plan.devices.left {
        say(&format!("left {left}"));
    }
    let done = match args.dry_run {
        true => "would be written",
        false => "written",
    };
    for File { path, content } in &plan.files {
        let private = match content {
            Content::Secret(_) => ": a secret that only you may read",
            Content::Configuration(_) | Content::Policy(_) => "",
        };
        say(&format!("{} {done}{private}", path.display()));
    }
    let devices = count(plan.devices.taken.len(), "device");
    let store = plan.store.display();
    match args.dry_run {
        true => say(&format!("{store}: {devices} would be added")),
        false => say(&format!("{store}: {devices} added")),
    }
    for name in &plan.variables {
        say(&format!(
            "set {name} where the gateway runs: it is not set here"
        ));
    }
    if let (Some(_), false) = (&plan.report, args.dry_run) {
        say(&format!(
            "look at it, then: gw config check {}",
            args.config
        ));
    }
}

/// Names that a client chose, each fit for a terminal.
fn words(names: &[&str]) -> String {
    let names: Vec<String> = names.iter().map(|name| clean(name)).collect();
    names.join(" ")
}

/// What is told of a device that is taken.
struct Told<'a> {
    name: Option<&'a str>,
    roles: Vec<&'a str>,
    scopes: Vec<&'a str>,
    request: Option<&'a str>,
}

fn told(taken: &Taken) -> Told<'_> {
    let record = taken.standing.record.as_ref();
    let pending = taken.standing.pending.as_ref();
    let roles: BTreeSet<&str> = record
        .into_iter()
        .flat_map(|record| record.approved_roles())
        .collect();
    let scopes = record.into_iter().flat_map(|record| record.baseline());
    Told {
        name: record.and_then(|record| record.display_name.as_deref()),
        roles: roles.into_iter().collect(),
        scopes: scopes.map(AsRef::as_ref).collect(),
        request: pending.map(|pending| &*pending.request_id),
    }
}

fn as_json(plan: &Plan, args: &Args) -> Value {
    let configuration = plan.report.as_ref().map(|report| {
        let items = [Outcome::Refused, Outcome::Taken, Outcome::Left].map(|outcome| {
            let items = report.of(outcome).map(|item| {
                json!({
                    "pointer": item.pointer, "outcome": item.outcome.name(), "text": item.text,
                    "allowWiderTakesIt": item.wider,
                })
            });
            items.collect::<Vec<_>>()
        });
        items.concat()
    });
    let taken = plan.devices.taken.iter().map(|taken| {
        let Told {
            name,
            roles,
            scopes,
            request,
        } = told(taken);
        json!({
            "deviceId": taken.device(), "source": taken.source.name(),
            "paired": taken.standing.record.is_some(), "displayName": name, "roles": roles,
            "scopes": scopes, "requestId": request,
        })
    });
    let left = plan.devices.left.iter().map(|left| {
        json!({
            "id": left.id, "source": left.source.name(), "reason": left.reason.to_string(),
        })
    });
    let files = plan
        .files
        .iter()
        .map(|file| json!({ "path": file.path.to_string_lossy(), "holds": file.content.kind() }));
    json!({
        "dryRun": args.dry_run,
        "configuration": configuration,
        "devices": {
            "taken": taken.collect::<Vec<_>>(),
            "left": left.collect::<Vec<_>>(),
        },
        "files": files.collect::<Vec<_>>(),
        "store": plan.store.to_string_lossy(),
        "unsetVariables": plan.variables,
    })
}
