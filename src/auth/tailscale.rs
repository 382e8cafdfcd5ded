//! A Tailscale login: recognised, and never believed.
//!
//! The login is a header, and anyone who reaches the gateway over loopback can write headers.
//! Only the local Tailscale service knows who the client's address belongs to, and nothing
//! here asks it. So a login never succeeds; evaluation goes on with token and
//! password, and no client is told of it.

use super::verify::Request;
use crate::facts::forwarding::Forwarding;
use crate::settings::Settings;

/// The header that names the login.
const LOGIN: &str = "tailscale-user-login";

/// Why a Tailscale login is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TailscaleError {
    /// `auth.allowTailscale` is off.
    #[error("`auth.allowTailscale` is off")]
    NotAllowed,
    /// No header names a login.
    #[error("no header `Tailscale-User-Login`")]
    NoLogin,
    /// The headers that Tailscale's own proxy adds are not there, or the peer is not it.
    #[error("the headers are not those of a Tailscale proxy on this host")]
    NoProxy,
    /// It would have to be asked of the Tailscale service, and nothing here can.
    #[error("no Tailscale service was asked who the client is")]
    NotAsked,
}

/// Why the request's Tailscale login is not believed.
#[must_use]
pub fn disbelief(settings: &Settings, request: &Request<'_>) -> TailscaleError {
    let headers = request.headers.iter();
    let sent = Forwarding::of(headers.map(|(name, value)| (&**name, &**value)));
    if !settings.auth.allow_tailscale {
        TailscaleError::NotAllowed
    } else if request.header(LOGIN).is_none() {
        TailscaleError::NoLogin
    } else if !(request.peer.is_loopback() && sent.for_client && sent.proto && sent.host) {
        TailscaleError::NoProxy
    } else {
        TailscaleError::NotAsked
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{Address, Transport};

    #[test]
    fn a_login_is_recognised_and_not_believed() {
        let why = |allow: bool, peer: [u8; 4], headers: &[&str]| {
            let settings = serde_json::json!({ "auth": { "allowTailscale": allow } });
            let settings: Settings = serde_json::from_value(settings).unwrap();
            let headers: Vec<(Box<str>, Box<str>)> = headers
                .iter()
                .map(|name| ((*name).into(), "x".into()))
                .collect();
            disbelief(
                &settings,
                &Request {
                    transport: Transport::Tcp,
                    peer: Address::new(peer.into()),
                    peer_is_proxy: false,
                    peer_is_own: false,
                    headers: &headers,
                },
            )
        };
        let all = [
            "Tailscale-User-Login",
            "X-Forwarded-For",
            "X-Forwarded-Proto",
            "X-Forwarded-Host",
        ];
        let loopback = [127, 0, 0, 1];
        assert_eq!(why(false, loopback, &all), TailscaleError::NotAllowed);
        assert_eq!(why(true, loopback, &[]), TailscaleError::NoLogin);
        assert_eq!(why(true, loopback, &all[..3]), TailscaleError::NoProxy);
        assert_eq!(why(true, [10, 0, 0, 1], &all), TailscaleError::NoProxy);
        assert_eq!(why(true, loopback, &all), TailscaleError::NotAsked);
    }
}
