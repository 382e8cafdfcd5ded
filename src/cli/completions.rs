//! `gw completions`: completion scripts for shells.

use super::Exit;
use super::output::Output;

/// Prints a completion script for a shell
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  gw completions bash > ~/.local/share/bash-completion/completions/gw
  gw completions zsh > ~/.zfunc/_gw
  gw completions fish > ~/.config/fish/completions/gw.fish")]
pub(super) struct Args {
    /// The shell
    #[arg(value_enum)]
    shell: clap_complete::Shell,
}

pub(super) fn run(args: &Args, command: &mut clap::Command, output: &mut Output) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, command, "gw", &mut script);
    output.say(&String::from_utf8_lossy(&script));
    Exit::Success
}
