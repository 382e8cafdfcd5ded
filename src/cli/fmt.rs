//! `gw fmt`: the one layout of policies.

use super::Exit;
use super::load;
use super::output::{Output, ReportFormat};
use super::replace::replace;
use crate::diagnostic::Diagnostics;
use crate::lang::format;
use crate::lang::parse::{MAX_BYTES, parse};
use crate::source::{Source, Sources};

/// Lays policies out in the one form
///
/// Only spacing changes: lines, order and comments stay, and `->` becomes `→`. A file that
/// cannot be read as a policy is left alone.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  gw fmt                         policies/default.policy
  gw fmt my.policy
  gw fmt --check policies/*.policy
  gw fmt - < my.policy           from standard input to standard output

Exit codes: 0 nothing to do or done, 1 --check found something or a file has errors,
3 a file cannot be read")]
pub(super) struct Args {
    /// Policies to write in place; `-` reads standard input and prints
    #[arg(value_name = "FILE", default_value = load::DEFAULT_POLICY)]
    files: Vec<String>,

    /// Write nothing; name the files that would change
    #[arg(long)]
    check: bool,

    /// How to print errors
    #[arg(long, value_enum, default_value_t)]
    format: ReportFormat,
}

pub(super) fn run(args: &Args, output: &mut Output) -> Exit {
    let mut exit = Exit::Success;
    for file in &args.files {
        let text = match load::read(file, MAX_BYTES as u64) {
            Ok(text) => text,
            Err(error) => {
                output.report_one(
                    load::unreadable(file, &error),
                    &Sources::default(),
                    args.format,
                );
                exit = exit.and(Exit::Input);
                continue;
            }
        };
        let mut sources = Sources::default();
        let source = Source::new(file, &text);
        let id = sources.add(source.clone());
        let (_, diagnostics) = parse(id, &source);
        if diagnostics.has_errors() {
            output.report(&Diagnostics(diagnostics.0), &sources, args.format);
            exit = exit.and(Exit::Failure);
            continue;
        }
        let laid_out = format(&text);
        if file == "-" && !args.check {
            output.say(&laid_out);
        } else if laid_out != text && args.check {
            output.say(&format!("{file} would change\n"));
            exit = exit.and(Exit::Failure);
        } else if laid_out != text {
            match replace(file, &text, &laid_out) {
                Ok(()) => output.say(&format!("{file} laid out\n")),
                Err(error) => {
                    output.complain(&format!("error: {file} cannot be written: {error}\n"));
                    exit = exit.and(Exit::Input);
                }
            }
        }
    }
    exit
}
