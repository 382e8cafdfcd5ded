//! What the operator configured, as far as a rule may ask about it.
//!
//! The settings themselves, with secrets and lists, are [`crate::settings::Settings`].

use serde::Serialize;

use super::word::words;

words! {
    /// How clients are asked to authenticate.
    AuthMode {
        None "none" "not at all",
        Password "password" "by a shared password",
        Token "token" "by a shared token",
        TrustedProxy "trusted-proxy" "by a proxy in front of the gateway",
    }
}

words! {
    /// Where the gateway listens.
    Bind {
        Auto "auto" "loopback, or every address inside a container",
        Custom "custom" "an address the operator names",
        Lan "lan" "every address",
        Loopback "loopback" "this host only",
        Tailnet "tailnet" "the Tailscale address",
    }
}

/// The settings that rules may ask about, each as `setting.NAME`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct SettingFacts {
    /// `auth.mode`.
    pub auth_mode: AuthMode,
    /// `bind`.
    pub bind: Bind,
    /// `controlUi.allowInsecureAuth`.
    pub allow_insecure_auth: bool,
    /// `controlUi.dangerouslyDisableDeviceAuth`.
    pub disable_device_auth: bool,
    /// `controlUi.dangerouslyAllowHostHeaderOriginFallback`.
    pub host_header_origin: bool,
    /// `nodes.pairing.autoApproveLocal`; on unless the operator turned it off.
    pub auto_approve_local: bool,
}

impl Default for SettingFacts {
    fn default() -> Self {
        SettingFacts {
            auth_mode: AuthMode::Token,
            bind: Bind::Loopback,
            allow_insecure_auth: false,
            disable_device_auth: false,
            host_header_origin: false,
            auto_approve_local: true,
        }
    }
}
