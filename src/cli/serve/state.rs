//! The state folder: made for its owner alone, and looked at before anything is written there.

use std::fs;
use std::path::Path;

use crate::host::own::{Shared, shared};
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

/// Why nothing can be kept in a folder, with what helps, as far as it can be said before it is made.
pub(in super::super) fn unfit(state: &Path) -> Option<(String, String)> {
    if fs::metadata(state).is_ok_and(|found| !found.is_dir()) {
        return Some((
            format!("the state folder {} is no folder", state.display()),
            "name another one by `--state`".to_owned(),
        ));
    }
    let Shared { what, help } = shared(state)?;
    Some((format!("the state folder {what}"), help))
}
