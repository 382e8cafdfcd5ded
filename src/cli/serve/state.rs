//! The state folder: made for its owner alone, and looked at before anything is written there.

use std::fs;
use std::path::Path;

use crate::host::token::private_folder;

/// Makes the folder where it is not there; one that is there stays as it is.
///
/// # Errors
///
/// What is wrong with it, and what helps.
pub(super) fn make(state: &Path) -> Result<(), (String, String)> {
    private_folder(state).map_err(|error| unmade(state, &error))?;
    // Before anything is written there: who may write beside the gateway may plant links.
    unfit(state).map_or(Ok(()), Err)
}

fn unmade(state: &Path, error: &std::io::Error) -> (String, String) {
    (
        format!(
            "the state folder {} cannot be made: {error}",
            state.display()
        ),
        "name another one by `--state`".to_owned(),
    )
}

/// Why nothing can be kept in a folder, with what helps; nothing where it is not there yet.
pub(in super::super) fn unfit(state: &Path) -> Option<(String, String)> {
    let metadata = fs::metadata(state).ok()?;
    if !metadata.is_dir() {
        return Some((
            format!("the state folder {} is no folder", state.display()),
            "name another one by `--state`".to_owned(),
        ));
    }
    let (others, help) = shared(&metadata)?;
    let state = state.display();
    Some((
        format!("the state folder {state} {others}"),
        format!("{help} {state}"),
    ))
}

/// How others may get at a folder, with what helps.
#[cfg(unix)]
fn shared(metadata: &fs::Metadata) -> Option<(&'static str, &'static str)> {
    use std::os::unix::fs::MetadataExt as _;
    let own = crate::host::user::Users::of_this_process().map(|users| users.own);
    if metadata.mode() & 0o022 != 0 {
        return Some((
            "may be written to by others",
            "name another one by `--state`, or look at what is in it, and then: chmod go-w",
        ));
    }
    if own.is_some_and(|own| metadata.uid() != own && metadata.uid() != 0) {
        return Some((
            "belongs to another user",
            "name another one by `--state`, or give it to the user that runs the gateway: chown USER",
        ));
    }
    None
}

#[cfg(not(unix))]
fn shared(_: &fs::Metadata) -> Option<(&'static str, &'static str)> {
    None
}
