//! Whose a user's number is: ours, root's, somebody else's. Where the number comes from, a unix
//! socket or the table of TCP sockets, is [`super::peer`].

use crate::facts::PeerUid;

/// The number that no user has: `(uid_t) -1` of `setuid(2)`, and what `SO_PEERCRED` says of a
/// socket without a peer.
const NO_USER: u32 = u32::MAX;
/// `DEFAULT_OVERFLOWUID` of `linux/highuid.h`.
const OVERFLOW: u32 = 65_534;

/// Who runs this process, and which number may stand for anybody.
///
/// In a user namespace, the kernel tells of every user who has no number there as the overflow
/// user (`user_namespaces(7)`, "Unmapped user and group IDs"). Such a one is not known to be
/// anybody, us included, even where we run under that very number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Users {
    /// Under which user this process runs: the effective one.
    pub own: u32,
    /// The number that stands for users without one; `None` where every user has a number.
    pub overflow: Option<u32>,
}

impl Users {
    /// Those of this process; `None` on a system without such numbers.
    #[must_use]
    pub fn of_this_process() -> Option<Users> {
        let own = effective()?;
        let read = |path| std::fs::read_to_string(path).ok();
        Some(if cfg!(target_os = "linux") {
            let map = read("/proc/self/uid_map");
            let overflow = read("/proc/sys/kernel/overflowuid");
            Users::read(own, map.as_deref(), overflow.as_deref())
        } else {
            Users {
                own,
                overflow: None,
            }
        })
    }

    /// Reads `/proc/self/uid_map` and `/proc/sys/kernel/overflowuid`. Without the first, users
    /// without a number are thought possible.
    fn read(own: u32, map: Option<&str>, overflow: Option<&str>) -> Users {
        // Lines of "first here, first outside, how many".
        let count = |line: &str| line.split_whitespace().nth(2)?.parse::<u64>().ok();
        let mapped: Option<u64> = map.and_then(|map| map.lines().map(count).sum());
        let everybody = mapped.is_some_and(|mapped| mapped >= u64::from(u32::MAX));
        let number = overflow.and_then(|text| text.trim().parse().ok());
        Users {
            own,
            overflow: (!everybody).then_some(number.unwrap_or(OVERFLOW)),
        }
    }

    /// Whose a number is that the kernel told of a peer. Root that runs the gateway is
    /// [`PeerUid::SameUser`].
    #[must_use]
    pub fn peer_uid(self, user: u32) -> PeerUid {
        if user == NO_USER || Some(user) == self.overflow {
            PeerUid::Unknown
        } else if user == self.own {
            PeerUid::SameUser
        } else if user == 0 {
            PeerUid::Root
        } else {
            PeerUid::OtherUser
        }
    }
}

#[cfg(unix)]
fn effective() -> Option<u32> {
    Some(rustix::process::geteuid().as_raw())
}

#[cfg(not(unix))]
fn effective() -> Option<u32> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_ours_or_roots_or_anothers() {
        let everybody = Some("         0          0 4294967295\n");
        let users = Users::read(1000, everybody, Some("65534\n"));
        assert_eq!(users.peer_uid(1000), PeerUid::SameUser);
        assert_eq!(users.peer_uid(0), PeerUid::Root);
        assert_eq!(users.peer_uid(1001), PeerUid::OtherUser);
        assert_eq!(users.peer_uid(65_534), PeerUid::OtherUser, "it is `nobody`");
        assert_eq!(users.peer_uid(u32::MAX), PeerUid::Unknown);

        let root = Users::read(0, everybody, None);
        assert_eq!(root.peer_uid(0), PeerUid::SameUser);
        let nobody = Users::read(65_534, everybody, None);
        assert_eq!(nobody.peer_uid(65_534), PeerUid::SameUser);
    }

    #[test]
    fn a_user_without_a_number_here_is_nobody_that_we_know() {
        let some = Some("0 100000 65536\n");
        assert_eq!(
            Users::read(0, some, None).peer_uid(65_534),
            PeerUid::Unknown
        );
        let nobody = Users::read(65_534, some, None);
        assert_eq!(nobody.peer_uid(65_534), PeerUid::Unknown);
        assert_eq!(nobody.peer_uid(0), PeerUid::Root);
        let other = Users::read(7, some, Some("99\n"));
        assert_eq!(other.peer_uid(99), PeerUid::Unknown);
        assert_eq!(other.peer_uid(65_534), PeerUid::OtherUser);
        // Nothing can be read, or nobody has been given a number yet.
        for map in [None, Some(""), Some("a b c\n")] {
            assert_eq!(
                Users::read(65_534, map, None).peer_uid(65_534),
                PeerUid::Unknown
            );
        }
        // Two lines may make up everybody.
        let two = Some("0 0 1\n1 1 4294967294\n");
        assert_eq!(Users::read(1, two, None).overflow, None);
    }
}
