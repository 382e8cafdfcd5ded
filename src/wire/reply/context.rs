//! What the wording of an answer depends on besides its reason.

use crate::auth::reason::AuthReason;
use crate::facts::{AuthMode, Client, Mode, OriginClass, Role};
use crate::settings::{Compatibility, Settings};
use crate::wire::connect::{Connect, SentSecrets};

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
    /// That of a connect frame; the rest as of a remote client that is no browser, and that
    /// nothing more is known of.
    #[must_use]
    pub fn of(connect: &Connect, settings: &'a Settings) -> Self {
        let claims = connect.claims().looked_at(settings);
        Context {
            compatibility: &settings.compatibility,
            auth_mode: settings.auth.mode(),
            client: claims.client,
            mode: claims.mode,
            role: claims.role,
            sent: connect.sent,
            device: claims.device.is_some(),
            may_lack_device: false,
            direct_local: false,
            origin: OriginClass::Absent,
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
