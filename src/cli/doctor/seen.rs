//! What was seen of a set-up, for the checks to judge. What nobody could look at is not there.

use std::net::IpAddr;

use super::super::next::Next;
use crate::client::Target;
use crate::host::own::Readers;
use crate::host::unavailable::Unavailable;

/// All that was seen.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Commands that reach this gateway.
    pub(super) next: Next,
    /// Commands that read the configuration as it was read here, with the flags over it.
    pub(super) started: Next,
    pub(super) configuration: Configuration,
    pub(super) gateway: Option<Gateway>,
    /// The digest of the policy, as its files say it now.
    pub(super) digest: Option<String>,
    /// Whether the policy is part of the program, and so in no file.
    pub(super) built_in: bool,
    /// What a gateway on this host does not know of connections.
    pub(super) unknown: Vec<Unavailable>,
    pub(super) doors: Option<Doors>,
    pub(super) behind: Option<Behind>,
    pub(super) openclaw: Option<OpenClaw>,
    /// Files that hold secrets, with who may read them.
    pub(super) files: Vec<(String, Readers)>,
}

/// The configuration, as `gw config check` finds it.
#[derive(Debug, Default)]
pub(super) struct Configuration {
    /// What it comes to.
    pub(super) told: String,
    /// The first error.
    pub(super) error: Option<String>,
    /// Where that is, if it is in another file that the configuration names.
    pub(super) place: Option<String>,
    pub(super) warnings: bool,
}

/// The gateway of the state folder.
#[derive(Debug)]
pub(super) enum Gateway {
    /// Nobody is there.
    Absent(String),
    /// What answers where it should is another program.
    Other(String),
    /// It does not say how it is.
    Silent(String),
    /// It says how it is.
    Serves(Serving),
}

/// How a gateway says that it is.
#[derive(Debug, Default)]
pub(super) struct Serving {
    pub(super) at: String,
    /// The digest of the policy in force.
    pub(super) digest: String,
    /// Whether the file of the policy cannot be loaded.
    pub(super) stays: bool,
    /// The keys that count from its next start, and are other in the file than at this one.
    pub(super) next_start: Vec<String>,
    /// The server behind that it was started with.
    pub(super) upstream: Option<String>,
    /// Why the last client was not taken there.
    pub(super) trouble: Option<String>,
    /// Why what was decided last was not kept.
    pub(super) unkept: Option<String>,
    /// How many clients are there.
    pub(super) connections: u64,
    /// Looks at the configuration that it was started with, where that is another one than was
    /// looked at.
    pub(super) elsewhere: Option<String>,
}

/// Where and for whom the gateway listens.
#[derive(Debug, Default)]
pub(super) struct Doors {
    pub(super) urls: Vec<Target>,
    /// Whether nobody has to prove anything.
    pub(super) open: bool,
    /// The pages that are admitted by name.
    pub(super) origins: Vec<String>,
}

impl Doors {
    /// Those that another host may reach.
    pub(super) fn beyond(&self) -> impl Iterator<Item = &Target> {
        self.urls.iter().filter(|url| !url.is_loopback())
    }
}

/// The server behind.
#[derive(Debug)]
pub(super) struct Behind {
    pub(super) target: Target,
    pub(super) openclaw: bool,
    /// Whether pages of a Control UI are asked of it.
    pub(super) pages: bool,
    /// Whether the gateway shows it a secret.
    pub(super) has_secret: bool,
    /// Whether that is one of the gateway's own too.
    pub(super) shares_secret: bool,
    /// How it answers; else why it does not.
    pub(super) answer: Result<Answer, String>,
}

/// How a server behind answers.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) place: Place,
    /// How far its clock is ahead, in milliseconds, where it says the time.
    pub(super) ahead_ms: Option<i64>,
}

/// Where a server behind is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// On this host, which takes connections to its port at these addresses beside loopback.
    Here(Vec<IpAddr>),
    /// On another host.
    Elsewhere(IpAddr),
}

/// OpenClaw's own command line, as this user has it.
#[derive(Debug)]
pub(super) struct OpenClaw {
    /// The gateway that it speaks with.
    pub(super) url: String,
    /// Whether that is the server behind.
    pub(super) past: bool,
    /// Whether it holds the secret of the server behind.
    pub(super) holds: bool,
    /// What it shows, where that is this gateway, and the gateway's own secret can be read.
    pub(super) shows: Option<Shows>,
    /// What has it speak with this gateway.
    pub(super) remedy: String,
}

/// What OpenClaw's command line shows this gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shows {
    /// The gateway's own secret.
    Own,
    /// The secret of the server behind.
    OfBehind,
    /// Another one.
    Other,
    /// None.
    Nothing,
}
