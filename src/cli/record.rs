//! stub
use super::{Exit, output::Output};
#[derive(Debug, clap::Args)]
/// x
pub(super) struct Args {}
pub(super) fn run(_: &Args, _: &mut Output) -> Exit {
    Exit::Success
}
