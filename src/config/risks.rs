//! What a configuration opens wider than most want, as warnings.

use super::credentials::{at, words_at};
use super::values::{Place, Values};
use super::{Listen, Tls};
use crate::diagnostic::{Code, Diagnostic, Diagnostics, Severity};
use crate::facts::address::parse_network;
use crate::facts::{AuthMode, Bind};

/// The switches that open something, with what they open.
const OPENING: &[(&str, &str)] = &[
    (
        "controlUi.allowInsecureAuth",
        "a policy may let a dashboard on this host in without a device",
    ),
    (
        "controlUi.dangerouslyDisableDeviceAuth",
        "a policy may let a dashboard in from anywhere without a device",
    ),
    (
        "controlUi.dangerouslyAllowHostHeaderOriginFallback",
        "a policy may let a page in because it names the host it reached: any name can be made to lead here",
    ),
];

/// Networks wider than this are nobody's own.
const WIDEST_V4: u8 = 8;
const WIDEST_V6: u8 = 16;

/// Whether a network holds more than anybody's own addresses do.
pub(super) fn is_vast(entry: &str) -> bool {
    parse_network(entry).is_some_and(|network| {
        let widest = if network.addr().is_ipv4() {
            WIDEST_V4
        } else {
            WIDEST_V6
        };
        network.prefix_len() < widest
    })
}

/// Finds what is wide open.
pub(super) fn find(
    values: &Values,
    listen: &Listen,
    tls: &Tls,
    mode: AuthMode,
    diagnostics: &mut Diagnostics,
) {
    let warning = |message: &str| {
        Diagnostic::error(Code::RiskyConfig, message).with_severity(Severity::Warning)
    };
    let mut warn = |path: &str, message: &str, help: &str| {
        diagnostics.push(at(warning(message), values, path).help(help));
    };
    let beyond = listen.beyond_loopback();
    let may = if listen.bind == Bind::Auto {
        "may listen"
    } else {
        "listens"
    };
    if beyond && mode == AuthMode::None {
        warn(
            "auth.mode",
            &format!("the gateway {may} beyond this host, and nobody has to prove anything"),
            words_at(
                values,
                "auth.mode",
                "say another `auth.mode`, or `bind: loopback`",
                "say another mode by `--auth`, or `--bind loopback`",
            ),
        );
    }
    if beyond && *tls == Tls::Off {
        warn(
            "listen.bind",
            &format!(
                "the gateway {may} beyond this host without TLS: secrets can be read on the way"
            ),
            words_at(
                values,
                "listen.bind",
                "give `tls` a certificate, or say `autoGenerate: true` there, or put a proxy with TLS in front",
                "have a certificate made by `--tls auto`, or name one by `--tls-certificate`, or put a proxy with TLS in front",
            ),
        );
    }
    if values.switch("auth.allowTailscale") {
        warn(
            "auth.allowTailscale",
            "a Tailscale login stands for a secret: whoever may use this host may claim one",
            "leave it off where others use this host too",
        );
    }
    for (path, opens) in OPENING {
        if values.switch(path) {
            warn(
                path,
                &format!("`{path}` is on: {opens}"),
                "turn it off when it is not needed",
            );
        }
    }
    let mut listed = |path: &str, matches: &dyn Fn(&str) -> bool, message: &str, help: &str| {
        for (_, place) in values.texts(path).iter().filter(|(text, _)| matches(text)) {
            let diagnostic = warning(message);
            let diagnostic = match place {
                Place::File(span) => diagnostic.label(*span, ""),
                Place::Flag(_) => diagnostic,
            };
            diagnostics.push(diagnostic.help(help));
        }
    };
    listed(
        "trustedProxies",
        &is_vast,
        "whoever is in this network can say which address a client has",
        "list the addresses of your proxies only",
    );
    listed(
        "nodes.pairing.autoApproveCidrs",
        &is_vast,
        "this network holds more than your own nodes",
        "list the networks of your nodes only",
    );
    listed(
        "controlUi.allowedOrigins",
        &|entry| entry.trim() == "*",
        "every page may open a connection, also one that your browser shows for somebody else",
        "list the origins of your own pages",
    );
}
