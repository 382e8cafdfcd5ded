//! What the wording of an answer depends on besides its reason.

use crate::auth::reason::AuthReason;
use crate::facts::{
    Auth, AuthFailure, AuthMode, Client, DeviceProof, Facts, Ingress, Mode, OriginClass, Role,
};
use crate::settings::Compatibility;
use crate::wire::connect::SentSecrets;

/// What the wording of an answer depends on besides its reason.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// Which release's words to use.
    pub compatibility: &'a Compatibility,
    /// The mode in force.
    pub auth_mode: AuthMode,
    /// What the client says it is.
    pub client: Client,
    /// Its mode.
    pub mode: Mode,
    /// The role it asks for.
    pub role: Role,
    /// Which secrets it sent.
    pub sent: SentSecrets,
    /// Whether it named a device that was looked at.
    pub device: bool,
    /// Whether the settings let a dashboard come without one: then it lacks something else.
    pub may_lack_device: bool,
    /// Whether it comes straight from this host.
    pub direct_local: bool,
    /// The Origin header.
    pub origin: OriginClass,
    /// Why no authentication held: finer than the reason of the refusal, and with the time to
    /// wait.
    pub auth_reason: Option<&'a AuthReason>,
    /// What the policy has to say to the client; it stands in place of the reason's own remedy.
    pub hint: Option<&'a str>,
    /// The line of the policy that refuses, where the client may know it.
    pub rule: Option<&'a str>,
}

impl<'a> Context<'a> {
    /// That of a connection of which no more than its facts is known.
    #[must_use]
    pub fn of_facts(facts: &Facts, compatibility: &'a Compatibility) -> Self {
        let direct_local = facts.peer.is_loopback() && facts.ingress == Ingress::Direct;
        let flags = &facts.setting;
        let flagged = flags.disable_device_auth || (flags.allow_insecure_auth && direct_local);
        Context {
            compatibility,
            auth_mode: flags.auth_mode,
            client: facts.client,
            mode: facts.mode,
            role: facts.role,
            sent: sent(facts),
            // A device that was passed over was not named, as far as the client is told.
            device: facts.device != DeviceProof::Absent,
            may_lack_device: flagged && compatibility.discard_flagged_device,
            direct_local,
            origin: facts.origin.class(),
            auth_reason: None,
            hint: None,
            rule: None,
        }
    }

    /// The dashboard or the terminal interface.
    pub(super) fn is_operator_ui(&self) -> bool {
        matches!(self.client, Client::ControlUi | Client::Tui)
    }

    /// A page in a browser that is not the dashboard.
    pub(super) fn is_webchat(&self) -> bool {
        self.mode == Mode::Webchat || self.client == Client::WebchatUi
    }
}

/// Which secrets a client sent, as far as facts say it.
fn sent(facts: &Facts) -> SentSecrets {
    use AuthFailure as Failed;
    SentSecrets {
        password: facts.auth == Auth::Password || facts.auth_failure == Failed::PasswordMismatch,
        token: facts.auth == Auth::Token || facts.auth_failure == Failed::TokenMismatch,
        bootstrap_token: facts.auth == Auth::BootstrapToken
            || facts.auth_failure == Failed::BootstrapTokenInvalid,
        device_token: facts.auth == Auth::DeviceToken
            || facts.auth_failure == Failed::DeviceTokenMismatch,
        agent_identity: false,
    }
}
