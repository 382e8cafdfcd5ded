//! What a client says it is: id, mode and role, with the wire's own words.

use super::word::words;

words! {
    /// `client.id` of the connect frame. Any client can claim any of them.
    Client {
        Cli "cli" "the command line",
        Fingerprint "fingerprint" "internal",
        GatewayClient "gateway-client" "helpers of the gateway itself: agent tools, cron, sub-agents",
        NodeHost "node-host" "a headless node",
        Android "openclaw-android" "the Android app",
        BrowserCopilot "openclaw-browser-copilot" "the browser copilot",
        ControlUi "openclaw-control-ui" "the browser dashboard",
        Ios "openclaw-ios" "the iOS app",
        Linux "openclaw-linux" "the Linux app",
        Macos "openclaw-macos" "the macOS app",
        Probe "openclaw-probe" "health probes",
        Tui "openclaw-tui" "the terminal interface",
        Watchos "openclaw-watchos" "the watchOS app",
        Worker "openclaw-worker" "a worker",
        Test "test" "internal",
        Webchat "webchat" "web chat",
        WebchatUi "webchat-ui" "the web chat page",
    }
}

words! {
    /// `client.mode` of the connect frame. The real Control UI sends `webchat`.
    Mode {
        Backend "backend" "a helper of the gateway",
        Cli "cli" "the command line",
        Node "node" "a node",
        Probe "probe" "a health probe",
        Test "test" "internal",
        Ui "ui" "an app or terminal interface",
        Webchat "webchat" "a page in a browser",
        Worker "worker" "a worker",
    }
}

words! {
    /// The role asked for; a connect frame without one asks for `operator`.
    Role {
        Node "node" "serves commands to the gateway",
        Operator "operator" "uses and administers the gateway",
    }
}
