//! A release of OpenClaw as npm has it, where `tests/e2e/openclaw.sh` has installed it, started with
//! a home of its own that is in a folder of this run.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use crate::client::{Client, TOKEN};
use crate::process::Process;
use crate::subject::Subject;

/// Which release, and on which Node.
pub(crate) const VERSION: &str = "2026.4.25";
const NODE: &str = "node-22";

/// Its gateway; or what is missing.
pub(crate) fn gateway(folder: &Path) -> Result<Subject, String> {
    let cache = cache().ok_or("there is no home to look for it in")?;
    let modules = cache.join(format!("openclaw-{VERSION}/node_modules"));
    let program = modules.join("openclaw/openclaw.mjs");
    let missing = |what: &Path| {
        let what = what.display();
        format!("{what} is missing: `tests/e2e/openclaw.sh {VERSION}` installs it")
    };
    if !program.is_file() {
        return Err(missing(&program));
    }
    let node = node(&cache.join(NODE)).ok_or_else(|| missing(&cache.join(NODE)))?;
    let home = folder.join("openclaw");
    fs::create_dir_all(home.join("state")).expect("a folder");
    let at = free();
    let config = json!({
        "gateway": {
            "mode": "local", "port": at.port(), "auth": { "mode": "token", "token": TOKEN },
        },
        "plugins": { "enabled": false, "slots": { "memory": "none" } },
        "update": { "checkOnStart": false },
        "discovery": { "mdns": { "mode": "off" } },
        "logging": { "file": home.join("openclaw.log") },
    });
    fs::write(home.join("state/openclaw.json"), config.to_string()).expect("a file");
    let mut command = Command::new(node);
    command
        .arg(program)
        .args(["gateway", "run", "--bind", "loopback", "--port"])
        .arg(at.port().to_string())
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("HOME", &home)
        .env("TMPDIR", folder)
        .env("OPENCLAW_STATE_DIR", home.join("state"))
        .env("OPENCLAW_NO_RESPAWN", "1");
    let client = Client::numbered(0);
    let process = Process::start_with_helpers(&mut command, || client.is_let_in(at));
    Ok(Subject::other(format!("OpenClaw {VERSION}"), process, at))
}

/// As the scripts find it.
fn cache() -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).map(PathBuf::from);
    let of_user = || {
        let caches = set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache")));
        caches.map(|caches| caches.join("gw-e2e"))
    };
    set("GW_E2E_CACHE").or_else(of_user)
}

/// The program in a package whose name has the platform in it.
fn node(folder: &Path) -> Option<PathBuf> {
    let packages = fs::read_dir(folder.join("node_modules")).ok()?;
    let programs = packages
        .flatten()
        .map(|package| package.path().join("bin/node"));
    programs.into_iter().find(|program| program.is_file())
}

/// An address that nobody listens at. It listens only where it is told.
fn free() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback");
    listener.local_addr().expect("it is bound")
}
