//! What is a setting there and policy here, as rules of a policy that extends the default one.
//!
//! The guards of the default policy restrict these rules too: pages from elsewhere, wrong
//! secrets and proxies without a device are refused whatever stands here.

/// A rule that an imported setting asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    /// What the rule is called.
    pub(super) label: &'static str,
    text: &'static str,
}

/// `controlUi.allowInsecureAuth`.
pub(super) const INSECURE_AUTH: Rule = Rule {
    label: "dashboard-here-without-device",
    text: "\
# controlUi.allowInsecureAuth: the dashboard on this host may come without a device.
[dashboard-here-without-device] client=openclaw-control-ui and role=operator and shared-secret and no-device
    and setting.allow-insecure-auth and loopback and not proxied
    and (origin-allowed or (origin=loopback and same-origin)) → approve

test \"the dashboard on this host, without a device\": client=openclaw-control-ui and mode=webchat and auth=token and no-device and setting.allow-insecure-auth and loopback and host=loopback and origin=loopback and same-origin → approve
test \"the same, with the setting off\": client=openclaw-control-ui and mode=webchat and auth=token and no-device and loopback and host=loopback and origin=loopback and same-origin → reject(device-required)
test \"the same, through a proxy\": client=openclaw-control-ui and mode=webchat and auth=token and no-device and setting.allow-insecure-auth and loopback and host=loopback and origin=loopback and same-origin and forwarded-for → reject(device-required)
",
};

/// `controlUi.dangerouslyDisableDeviceAuth`.
pub(super) const NO_DEVICE_AUTH: Rule = Rule {
    label: "dashboard-without-device",
    text: "\
# controlUi.dangerouslyDisableDeviceAuth: the dashboard may come without a device from anywhere.
[dashboard-without-device] client=openclaw-control-ui and role=operator and shared-secret and no-device
    and setting.disable-device-auth → approve

test \"the dashboard from elsewhere, without a device\": client=openclaw-control-ui and mode=webchat and auth=token and no-device and setting.disable-device-auth and peer=192.168.1.20 and host=\"192.168.1.5\" and origin=\"http://192.168.1.5:18789\" and same-origin → approve
test \"the same, without the secret\": client=openclaw-control-ui and mode=webchat and no-device and setting.disable-device-auth and peer=192.168.1.20 and host=\"192.168.1.5\" and origin=\"http://192.168.1.5:18789\" and same-origin → reject
test \"the same, for a page from elsewhere\": client=openclaw-control-ui and mode=webchat and auth=token and no-device and setting.disable-device-auth and peer=192.168.1.20 and origin=\"https://evil.example\" → reject(origin-not-allowed)
",
};

/// `nodes.pairing.autoApproveCidrs`.
pub(super) const NODE_NETWORK: Rule = Rule {
    label: "node-of-a-named-network",
    text: "\
# nodes.pairing.autoApproveCidrs: new nodes of the networks that are named there are paired without asking.
[node-of-a-named-network] pairing=unpaired and role=node and scopes={} and not unknown-scope
    and shared-secret and no-origin and client not in pages and node-network → silent-approve
relax \"who comes with the headers of a proxy is paired without being asked\" because \"a trusted proxy names the node, whose network is listed\"

test \"a new node of a named network\": client=node-host and mode=node and role=node and scopes={} and auth=token and peer=192.168.77.50 and node-network → silent-approve
test \"the same, from another network\": client=node-host and mode=node and role=node and scopes={} and auth=token and peer=192.168.77.50 → require-pairing
test \"an operator of a named network\": client=cli and auth=token and peer=192.168.77.50 and node-network → require-pairing
",
};

const HEAD: &str = "\
gw-policy 1

# Settings of an OpenClaw configuration that are policy here. Each rule asks for its setting in
# gw.yaml too, so that it can be turned off there.

extends \"built-in:default.policy\"
";

/// The text of a policy with these rules; nothing when there are none.
pub(super) fn text(rules: &[Rule]) -> Option<String> {
    (!rules.is_empty()).then(|| {
        rules
            .iter()
            .fold(HEAD.to_owned(), |text, rule| text + "\n" + rule.text)
    })
}
