//! A client that sends no connect frame: it speaks with a server behind the gateway, and is known
//! by its request alone.

use super::presented::Over;
use super::{Admission, Gate, Presented, Remembered, Upgrade, at_connect};
use crate::auth::limiter::Locks;
use crate::auth::{Claims, Credentials};
use crate::facts::{AttributeId, AuthMode, DeviceProof, Facts, ScopeSet};
use crate::pairing::Standing;
use crate::pairing::change::Fresh;
use crate::secret::Secret;
use crate::settings::Settings;
use crate::wire::Connect;

/// What a connect frame would say, and is not said.
const UNSAID: [&str; 8] = [
    "client",
    "mode",
    "role",
    "scopes",
    "unknown-scope",
    "outside-role",
    "platform",
    "device-family",
];

/// What is known of it all the same.
const SAID: [(&str, &str); 3] = [
    ("secret-sent", "the request's bearer token, or none"),
    ("device", "no connect frame, and so no device"),
    ("pairing", "no connect frame, and so no device"),
];

impl Presented {
    /// What stands for the connect frame of a client that sends none, at `time_ms` in Unix
    /// milliseconds.
    ///
    /// It is taken to say what a `test` in a policy assumes ([`Facts::default`]): the command line,
    /// asking for `operator.read` and `operator.write`. It has no device. The token is the shared
    /// secret, whichever of both the settings want.
    #[must_use]
    pub fn of_request(settings: &Settings, token: Option<&Secret>, time_ms: i64) -> Self {
        let assumed = Facts::default();
        let token = token.map(Secret::expose);
        let credentials = match settings.auth.mode() {
            AuthMode::Password => Credentials::new(None, token, None, None),
            AuthMode::Token | AuthMode::None | AuthMode::TrustedProxy => {
                Credentials::new(token, None, None, None)
            }
        };
        let claims = Claims {
            client: assumed.client,
            mode: assumed.mode,
            role: assumed.role,
            scopes: names(assumed.scopes).into(),
            platform: assumed.platform,
            device_family: None,
            device: None,
            credentials,
        };
        Presented {
            connect: Connect::of_request(claims).into(),
            protocol: 0,
            proof: DeviceProof::Absent,
            time_ms,
            over: Over::Http,
        }
    }
}

fn names(scopes: ScopeSet) -> Vec<Box<str>> {
    scopes.iter().map(|scope| scope.name().into()).collect()
}

/// Decides a connection by its request: what [`Presented::of_request`] stands for. Nothing is
/// written of it, since it has no device.
#[must_use]
pub fn plain(gate: Gate<'_>, upgrade: &Upgrade, presented: &Presented, locks: Locks) -> Admission {
    let standing = Standing::default();
    let remembered = Remembered {
        locks,
        ..Remembered::of(&standing)
    };
    // A request or a token is of a device.
    let mut fresh = Fresh {
        request_id: &mut Box::default,
        secret: &mut || Secret::new(""),
    };
    at_connect(gate, upgrade, presented, remembered, &mut fresh)
}

/// What shows the facts that a connect frame would.
pub(super) fn evidence() -> impl Iterator<Item = (AttributeId, String)> {
    let unsaid = UNSAID.iter().filter_map(|name| AttributeId::named(name));
    let unsaid = unsaid.map(|id| (id, "no connect frame: as a test assumes".to_owned()));
    let said = SAID.iter().filter_map(|(name, phrase)| {
        let id = AttributeId::named(name)?;
        Some((id, (*phrase).to_owned()))
    });
    unsaid.chain(said)
}
