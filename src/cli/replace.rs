//! Puts a text in the place of a file's, at once and only if the file still says what was read.

use std::fs::{self, OpenOptions};
use std::io::{Error, Write as _};

/// Writes a file anew beside the old one and puts it in its place, so that nothing is lost when the disk
/// is full or the program is stopped. Who may read it stays as it was.
pub(super) fn replace(file: &str, read: &str, text: &str) -> Result<(), Error> {
    let target = fs::canonicalize(file)?;
    let mut name = std::ffi::OsString::from(".");
    name.push(target.file_name().unwrap_or_default());
    name.push(format!(".gw-{}", std::process::id()));
    let beside = target.with_file_name(name);
    let mut options = OpenOptions::new();
    // What is there already is not ours to write to.
    let mut written = options.write(true).create_new(true).open(&beside)?;
    let put = fs::metadata(&target)
        .and_then(|old| written.set_permissions(old.permissions()))
        .and_then(|()| written.write_all(text.as_bytes()))
        .and_then(|()| written.sync_all())
        .and_then(|()| match fs::read(&target)? == read.as_bytes() {
            true => fs::rename(&beside, &target),
            false => Err(Error::other(
                "it was changed meanwhile, and is left as it is",
            )),
        });
    put.inspect_err(|_| {
        let _ = fs::remove_file(&beside);
    })
}
