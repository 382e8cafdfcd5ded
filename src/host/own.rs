//! Files and folders that are this user's alone: opened so that nobody else can have planted them,
//! and looked at for who else could.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

/// What may be done by others with a folder or one above it, with what helps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shared {
    /// What is wrong, with its place.
    pub what: String,
    /// What to do.
    pub help: String,
}

/// Opens a file of this user's or of root's. A link is not followed, and nothing is waited for.
///
/// # Errors
///
/// What the system says; a sentence where it is a link, no file, or somebody else's.
pub(crate) fn open(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    #[cfg(unix)]
    {
        use rustix::fs::OFlags;
        use std::os::unix::fs::OpenOptionsExt as _;
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        options.custom_flags(i32::try_from(flags.bits()).unwrap_or_default());
        if std::fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink()) {
            return Err(io::Error::other(
                "it is a link: remove it, or name the file itself",
            ));
        }
    }
    let file = options.open(path)?;
    check(&file)?;
    Ok(file)
}

#[cfg(unix)]
fn check(file: &File) -> io::Result<()> {
    use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
    let metadata = file.metadata()?;
    // A device of root's, as `/dev/full` or `/dev/null`, is not planted either.
    let device = metadata.file_type().is_char_device() && metadata.uid() == 0;
    if !metadata.is_file() && !device {
        return Err(io::Error::other("it is no file"));
    }
    match is_trusted(metadata.uid()) {
        true => Ok(()),
        false => Err(io::Error::other("it belongs to another user")),
    }
}

#[cfg(not(unix))]
fn check(_: &File) -> io::Result<()> {
    Ok(())
}

/// Whether a user's files are taken for ours: ours are, and root's.
#[cfg(unix)]
fn is_trusted(uid: u32) -> bool {
    let own = super::user::Users::of_this_process().map(|users| users.own);
    uid == 0 || own == Some(uid)
}

/// How others may get at what is kept in a folder: it is theirs, they may write to it, or they may
/// put another one in its place. Of one that is not there yet the folders above it are looked at.
#[cfg(unix)]
#[must_use]
pub fn shared(folder: &Path) -> Option<Shared> {
    use std::os::unix::fs::MetadataExt as _;
    let Ok(metadata) = std::fs::metadata(folder) else {
        return over_all(folder);
    };
    let shown = folder.display();
    if metadata.mode() & 0o022 != 0 {
        return Some(Shared {
            what: format!("{shown} may be written to by others"),
            help: format!(
                "name another one by `--state`, or look at what is in it, and then: chmod go-w {shown}"
            ),
        });
    }
    if !is_trusted(metadata.uid()) {
        return Some(Shared {
            what: format!("{shown} belongs to another user"),
            help: format!(
                "name another one by `--state`, or give it to the user that runs the gateway: \
                 chown USER {shown}"
            ),
        });
    }
    over_all(folder)
}

/// How others could put another folder in the place of one, by those above it that are there.
#[cfg(unix)]
fn over_all(folder: &Path) -> Option<Shared> {
    let whole = std::path::absolute(folder).ok()?;
    let mut above = whole.ancestors();
    let there = above.find_map(|above| Some((above, std::fs::canonicalize(above).ok()?)));
    let (nearest, real) = there?;
    let mut above = real.ancestors();
    if nearest == whole {
        above.next();
    }
    above.find_map(|above| over(folder, above))
}

/// Elsewhere folders belong to their user by where they are.
#[cfg(not(unix))]
#[must_use]
pub fn shared(_: &Path) -> Option<Shared> {
    None
}

/// How others could put another folder in the place of one that is in this one.
#[cfg(unix)]
fn over(folder: &Path, above: &Path) -> Option<Shared> {
    use std::os::unix::fs::MetadataExt as _;
    /// Whoever may write to a folder with this bit may not move what is another's.
    const STICKY: u32 = 0o1_000;
    let metadata = std::fs::metadata(above).ok()?;
    let users = super::user::Users::of_this_process()?;
    // The group that a user has alone has the user's number.
    let group = rustix::process::getegid().as_raw();
    let alone = metadata.gid() == group && group == users.own;
    let others = if alone { 0o002 } else { 0o022 };
    let (folder, above) = (folder.display(), above.display());
    if metadata.mode() & others != 0 && metadata.mode() & STICKY == 0 {
        return Some(Shared {
            what: format!("{folder} is in {above}, which may be written to by others"),
            help: format!("name another one by `--state`, or: chmod go-w {above}"),
        });
    }
    None
}

/// Who may read a file beside its owner and root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readers {
    /// Nobody.
    Nobody,
    /// Those of its group.
    Group,
    /// Every user of this host.
    Everybody,
}

/// Who may read a file, by its mode and those of the folders above it; nothing where there is none.
#[cfg(unix)]
#[must_use]
pub fn readers(file: &Path) -> Option<Readers> {
    use std::os::unix::fs::MetadataExt as _;
    let real = std::fs::canonicalize(file).ok()?;
    let mode = |path: &Path| std::fs::metadata(path).ok().map(|found| found.mode());
    let above: Vec<u32> = real.ancestors().skip(1).filter_map(mode).collect();
    let file = mode(&real)?;
    // A group that may not pass a folder as such may do so as anybody.
    let passes = |bits: u32| above.iter().all(|mode| mode & bits != 0);
    Some(if file & 0o004 != 0 && passes(0o001) {
        Readers::Everybody
    } else if file & 0o040 != 0 && passes(0o011) {
        Readers::Group
    } else {
        Readers::Nobody
    })
}

/// Elsewhere files belong to their user by where they are.
#[cfg(not(unix))]
#[must_use]
pub fn readers(file: &Path) -> Option<Readers> {
    file.exists().then_some(Readers::Nobody)
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn with_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_link_is_not_followed_and_a_pipe_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let (other, link) = (folder.path().join("other"), folder.path().join("link"));
        fs::write(&other, "precious").unwrap();
        symlink(&other, &link).unwrap();
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let error = open(&mut options, &link).unwrap_err().to_string();
        assert!(error.starts_with("it is a link"), "{error}");
        let socket = folder.path().join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        open(&mut options, &socket).unwrap_err();
        open(&mut options, &other).unwrap();
        assert_eq!(fs::read_to_string(&other).unwrap(), "precious");
    }

    #[test]
    fn a_folder_above_that_others_write_to_is_named() {
        let top = tempfile::tempdir().unwrap();
        let (above, state) = (top.path().join("above"), top.path().join("above/state"));
        fs::create_dir_all(&state).unwrap();
        with_mode(&above, 0o755);
        with_mode(&state, 0o700);
        assert_eq!(shared(&state), None);
        with_mode(&above, 0o1777);
        assert_eq!(shared(&state), None, "as /tmp is");
        with_mode(&above, 0o777);
        let found = shared(&state).unwrap();
        assert!(
            found
                .what
                .ends_with("above, which may be written to by others")
        );
        assert!(found.help.contains("chmod go-w "), "{}", found.help);
        let none = above.join("deep/not there yet");
        assert!(shared(&none).is_some(), "it would be made there");
        with_mode(&above, 0o755);
        with_mode(&state, 0o770);
        let found = shared(&state).unwrap();
        assert!(found.what.ends_with("state may be written to by others"));
    }

    #[test]
    fn a_file_is_read_by_whom_it_and_its_folders_let() {
        let top = tempfile::tempdir().unwrap();
        let (folder, file) = (top.path().join("folder"), top.path().join("folder/file"));
        with_mode(top.path(), 0o755);
        fs::create_dir(&folder).unwrap();
        assert_eq!(readers(&file), None);
        fs::write(&file, "").unwrap();
        for (of_folder, of_file, who) in [
            (0o755, 0o600, Readers::Nobody),
            (0o755, 0o640, Readers::Group),
            (0o755, 0o644, Readers::Everybody),
            (0o750, 0o644, Readers::Group),
            (0o750, 0o604, Readers::Nobody),
            (0o700, 0o644, Readers::Nobody),
        ] {
            with_mode(&folder, of_folder);
            with_mode(&file, of_file);
            assert_eq!(readers(&file), Some(who), "{of_folder:o} {of_file:o}");
        }
    }
}
