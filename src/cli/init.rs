//! `gw init`: a configuration to begin with, and a policy of one's own.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::Path;

use super::Exit;
use super::output::Output;
use crate::config::{FILE, template};

/// The name of the policy that is written.
const POLICY: &str = "gw.policy";

/// What a policy of one's own begins with.
const POLICY_TEXT: &str = "\
gw-policy 1

# Opens the default policy where you say so. Rules here stand before its rules; its guards
# restrict these rules too. `gw schema` lists every name, `gw check-policy` runs the tests.

extends \"built-in:default.policy\"

# Your own networks, and nobody else's.
set my-network = { 192.168.1.0/24 }

# [tools-on-my-network] client=cli and auth=token and peer in my-network and no-origin → silent-approve

test \"a tool on the network is asked about\": client=cli and auth=token and peer=192.168.1.10 → require-pairing
";

/// Writes a configuration to begin with
///
/// Every setting stands in it with its default, commented out, under a sentence that says what
/// it is for. Nothing that is there is written over.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  gw init                              gw.yaml here
  gw init --dir /etc/gw --with-policy  gw.yaml and gw.policy there

Exit codes: 0 written, 1 something is there already, 3 the folder cannot be written to")]
pub(super) struct Args {
    /// The folder to write to
    #[arg(long, value_name = "DIR", default_value = ".")]
    dir: String,

    /// Write a policy too, which extends the default one, and name it in the configuration
    #[arg(long)]
    with_policy: bool,
}

pub(super) fn run(args: &Args, output: &mut Output) -> Exit {
    let folder = Path::new(&args.dir);
    let mut files = vec![(FILE, template::template())];
    if args.with_policy {
        files = vec![
            (FILE, template::with(&[("policy", POLICY.to_owned())])),
            (POLICY, POLICY_TEXT.to_owned()),
        ];
    }
    // All or nothing: what is there is found before anything is written.
    for (name, _) in &files {
        let path = folder.join(name);
        if fs::symlink_metadata(&path).is_ok() {
            output.complain(&format!(
                "error: {} is there already, and stays as it is\n  help: name another folder with --dir, or move it away\n",
                path.display()
            ));
            return Exit::Failure;
        }
    }
    for (name, text) in &files {
        let path = folder.join(name);
        let written = fs::create_dir_all(folder)
            .and_then(|()| OpenOptions::new().write(true).create_new(true).open(&path))
            .and_then(|mut file| file.write_all(text.as_bytes()));
        if let Err(error) = written {
            output.complain(&format!(
                "error: {} cannot be written: {error}\n",
                path.display()
            ));
            return Exit::Input;
        }
        output.say(&format!("{} written\n", path.display()));
    }
    let path = folder.join(FILE);
    output.say(&format!(
        "look at it, then: gw config check {}\n",
        path.display()
    ));
    Exit::Success
}
