//! `gw show`: a policy as a table in which order does not count, and as a picture.

mod csv;
mod html;
mod json;
mod markup;
mod picture;
mod sheet;
mod text;

use clap::ValueEnum;

use super::Exit;
use super::load;
use super::output::{Output, ReportFormat};
use crate::analysis::{Budget, OverBudget};
use crate::diagnostic::{Code, Diagnostic};
use crate::source::Sources;
use sheet::{Listing, Sheet};

/// Shows what a policy decides as a table that can be read in any order, or as a picture
///
/// In a policy a line counts only where no line above it does. Here each condition is whole: it holds by
/// itself, no two hold together, and all of them are every connection that can be. They are found
/// exactly, in the words of the policy. The picture has the clauses from top to bottom, with how much
/// each of them decides.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  gw show
  gw show my.policy --format html > my-policy.html
  gw show my.policy --format svg > my-policy.svg
  gw show my.policy --format csv > my-policy.csv

Exit codes: 0 shown, 1 the policy has errors, or showing it takes too much, 2 wrong command line,
3 a file cannot be read")]
pub(super) struct Args {
    /// The policy; without one, policies/default.policy or, where there is none, the built-in default
    #[arg(value_name = "POLICY")]
    policy: Option<String>,

    /// How to show it
    #[arg(long, value_enum, default_value_t)]
    format: ShowFormat,

    /// List every condition, not the largest ones of each verdict of a clause
    #[arg(long)]
    all: bool,

    /// How many nodes may be made
    #[arg(long, value_name = "COUNT", default_value_t = 4_000_000)]
    max_nodes: usize,
}

/// The form of what is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum ShowFormat {
    /// a table for people
    #[default]
    Human,
    /// comma-separated values, with every condition
    Csv,
    /// one HTML file
    Html,
    /// one JSON document
    Json,
    /// a picture for a page of A4
    Svg,
}

pub(super) fn run(args: &Args, output: &mut Output) -> Exit {
    let format = match args.format {
        ShowFormat::Json => ReportFormat::Json,
        ShowFormat::Human | ShowFormat::Csv | ShowFormat::Html | ShowFormat::Svg => {
            ReportFormat::Human
        }
    };
    let path = args.policy.clone().unwrap_or_else(load::default_policy);
    let policy = match load::policy(&path, true) {
        Ok(policy) => policy,
        Err(error) => {
            output.report(&error.diagnostics, &error.sources, format);
            return Exit::of(&error);
        }
    };
    let listing = match (args.format, args.all) {
        // A picture has none, and who reads values would take a part of them for all.
        (ShowFormat::Svg, _) => Listing::Nothing,
        (ShowFormat::Csv, _) | (ShowFormat::Human | ShowFormat::Html | ShowFormat::Json, true) => {
            Listing::All
        }
        (ShowFormat::Human | ShowFormat::Html, false) => Listing::Brief,
        (ShowFormat::Json, false) => Listing::Largest,
    };
    output.busy(&format!("{path}: looking at all connections"));
    let budget = Budget {
        nodes: args.max_nodes,
        steps: args.max_nodes.saturating_mul(100),
    };
    let sheet = match Sheet::new(&policy, listing, budget) {
        Ok(sheet) => sheet,
        Err(OverBudget) => {
            let message = "the policy is not shown: that takes more nodes than are allowed";
            let found = Diagnostic::error(Code::AnalysisBudget, message).help(
                "allow more by `--max-nodes`, or name fewer networks and texts in one policy",
            );
            output.report_one(found, &Sources::default(), format);
            return Exit::Failure;
        }
    };
    match args.format {
        ShowFormat::Human if args.all => output.say(&text::whole(&sheet)),
        ShowFormat::Human => output.say(&text::brief(&sheet)),
        ShowFormat::Csv => output.say(&csv::csv(&sheet)),
        ShowFormat::Html => output.say(&html::html(&sheet)),
        ShowFormat::Json => output.say_json(&json::json(&sheet)),
        ShowFormat::Svg => output.say(&picture::svg(&sheet)),
    }
    Exit::Success
}
