//! The schema of the connect frame, as far as releases differ in it.

use crate::facts::{Client, Mode};
use crate::settings::Compatibility;
use crate::settings::compatibility::{Protocol, SchemaWording};

/// The protocol that brought fields, clients and a mode which earlier ones refuse.
const NEWER: u64 = 4;

/// Which fields and words a connect frame may have, and how it is told that it breaks that.
#[derive(Clone, Copy, Debug)]
pub struct Schema<'a> {
    newer: bool,
    pub(super) protocol: Protocol,
    unknown_clients: &'a [Client],
    pub(super) wording: SchemaWording,
}

impl<'a> Schema<'a> {
    /// The schema of the newest protocol that is spoken.
    #[must_use]
    pub fn of(compatibility: &'a Compatibility) -> Self {
        Schema {
            newer: compatibility.protocol.current >= NEWER,
            protocol: compatibility.protocol,
            unknown_clients: &compatibility.unknown_clients,
            wording: compatibility.schema_wording,
        }
    }

    /// What is known of an object: `always`, with `newer` where the protocol has it.
    pub(super) fn known(
        &self,
        always: &[&'static str],
        newer: &[&'static str],
    ) -> Vec<&'static str> {
        let newer = newer.iter().filter(|_| self.newer);
        always.iter().chain(newer).copied().collect()
    }

    /// A client id that is known.
    pub(super) fn client(&self, word: &str) -> Option<Client> {
        Client::parse(word).filter(|client| self.has_client(*client))
    }

    /// A mode that is known.
    pub(super) fn mode(&self, word: &str) -> Option<Mode> {
        Mode::parse(word).filter(|mode| self.newer || *mode != Mode::Worker)
    }

    fn has_client(&self, client: Client) -> bool {
        let is_newer = match client {
            Client::Linux | Client::Watchos | Client::BrowserCopilot | Client::Worker => true,
            Client::Cli
            | Client::Fingerprint
            | Client::GatewayClient
            | Client::NodeHost
            | Client::Android
            | Client::ControlUi
            | Client::Ios
            | Client::Macos
            | Client::Probe
            | Client::Tui
            | Client::Test
            | Client::Webchat
            | Client::WebchatUi => false,
        };
        (self.newer || !is_newer) && !self.unknown_clients.contains(&client)
    }
}
