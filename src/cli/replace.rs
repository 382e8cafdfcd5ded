//! Puts a text in the place of a file's, at once and only if the file still says what was read.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{Error, Write as _};

/// Writes a file anew beside the old one and puts it in its place, so that nothing is lost when the disk
/// is full or the program is stopped. Whose it is and who may read it stays as it was.
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
        .and_then(|old| {
            like(&old, &written)?;
            written.set_permissions(old.permissions())
        })
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

/// Gives a new file the owner of an old one. One with another name is not replaced: that name would
/// keep the old text.
#[cfg(unix)]
fn like(old: &Metadata, written: &File) -> Result<(), Error> {
    use std::os::unix::fs::{MetadataExt as _, fchown};
    if old.nlink() > 1 {
        return Err(Error::other(
            "it has another name (a hard link), which would keep the old text",
        ));
    }
    let new = written.metadata()?;
    if (new.uid(), new.gid()) == (old.uid(), old.gid()) {
        return Ok(());
    }
    fchown(written, Some(old.uid()), Some(old.gid())).map_err(|error| {
        let why = format!("it belongs to another user, and would not any more: {error}");
        Error::new(error.kind(), why)
    })
}

#[cfg(not(unix))]
fn like(_: &Metadata, _: &File) -> Result<(), Error> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_changed_meanwhile_is_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("my.policy");
        fs::write(&file, "mine").unwrap();
        let path = file.to_str().unwrap();
        assert!(replace(path, "what was read", "new").is_err());
        assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
        replace(path, "mine", "new").unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "new");
        // Nothing stays behind.
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn a_file_with_two_names_is_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let [file, other] = ["my.policy", "other.policy"].map(|name| folder.path().join(name));
        fs::write(&file, "old").unwrap();
        fs::hard_link(&file, &other).unwrap();
        assert!(replace(file.to_str().unwrap(), "old", "new").is_err());
        assert_eq!(fs::read_to_string(&file).unwrap(), "old");
    }

    #[cfg(unix)]
    #[test]
    fn who_may_read_it_stays_and_a_link_stays_a_link() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("my.policy"), folder.path().join("link"));
        fs::write(&file, "old").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        replace(link.to_str().unwrap(), "old", "new").unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "new");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        let mode = fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o640);
    }
}
