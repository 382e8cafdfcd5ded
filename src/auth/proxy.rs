//! The mode `trusted-proxy`: a proxy in front names the user.

use super::verify::Request;
use crate::facts::Transport;
use crate::settings::Settings;

/// Why a proxy is not believed, or names nobody who may come in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProxyError {
    /// The mode needs `auth.trustedProxy`.
    #[error("`auth.trustedProxy` is not configured")]
    NotConfigured,
    /// The mode needs `trustedProxies`.
    #[error("`trustedProxies` names no proxy")]
    NoProxies,
    /// The peer is not listed.
    #[error("the peer is not in `trustedProxies`")]
    UntrustedPeer,
    /// Anyone on this host can come from loopback.
    #[error("the peer is loopback, and `auth.trustedProxy.allowLoopback` is off")]
    Loopback,
    /// Anyone on this host can come from its own addresses.
    #[error("the peer's address is one of this host's own")]
    OwnAddress,
    /// A required header has no value.
    #[error("the header `{0}` has no value")]
    MissingHeader(Box<str>),
    /// The header that names the user has no value, or was sent more than once.
    #[error("the header `{0}` names no user")]
    NoUser(Box<str>),
    /// The user is not listed.
    #[error("the user is not in `auth.trustedProxy.allowUsers`")]
    UserNotAllowed,
}

/// The user that a trusted proxy vouches for.
///
/// # Errors
///
/// [`ProxyError`], the first that holds.
pub fn user<'a>(settings: &Settings, request: &Request<'a>) -> Result<&'a str, ProxyError> {
    let config = settings
        .auth
        .trusted_proxy
        .as_ref()
        .ok_or(ProxyError::NotConfigured)?;
    if settings.trusted_proxies.proxies.is_empty() {
        return Err(ProxyError::NoProxies);
    }
    if request.transport != Transport::Tcp || !request.peer_is_proxy {
        return Err(ProxyError::UntrustedPeer);
    }
    if request.peer.is_loopback() {
        if !(config.allow_loopback || settings.compatibility.proxy_on_loopback) {
            return Err(ProxyError::Loopback);
        }
    } else if request.peer_is_own && !settings.compatibility.proxy_on_own_address {
        return Err(ProxyError::OwnAddress);
    }
    let missing = config
        .required_headers
        .iter()
        .find(|name| request.header(name).is_none());
    if let Some(name) = missing {
        return Err(ProxyError::MissingHeader(name.clone()));
    }
    let user = request.header(&config.user_header);
    let user = user.ok_or_else(|| ProxyError::NoUser(config.user_header.clone()))?;
    let listed = config.allow_users.iter().any(|allowed| **allowed == *user);
    if config.allow_users.is_empty() || listed {
        Ok(user)
    } else {
        Err(ProxyError::UserNotAllowed)
    }
}
