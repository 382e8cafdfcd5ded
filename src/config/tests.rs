//! What texts come to: configurations, and what is said of those that are none.

use std::collections::BTreeMap;
use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::diagnostic::render::{Format, render};
use crate::facts::{AuthMode, Bind};
use crate::settings::AuthSettings;

const GOOD: &str = "3f9a1c77e0b24d58-good";

/// A host of variables and files.
#[derive(Default)]
struct Host {
    variables: BTreeMap<&'static str, &'static str>,
    files: BTreeMap<&'static str, (&'static str, u32)>,
    root: bool,
}

impl Surroundings for Host {
    fn variable(&self, name: &str) -> Option<String> {
        self.variables.get(name).map(|text| (*text).to_owned())
    }

    fn is_root(&self) -> bool {
        self.root
    }

    fn secret_file(&self, path: &Path) -> Result<SecretFile, String> {
        let found = self.files.get(path.to_str().unwrap());
        let (text, mode) = found.ok_or("there is no such file")?;
        Ok(SecretFile {
            secret: Secret::new(text),
            mode: Some(*mode),
        })
    }

    fn constants(&self, path: &str) -> Result<String, String> {
        let found = self.files.get(path);
        found
            .map(|(text, _)| (*text).to_owned())
            .ok_or("there is no such file".to_owned())
    }
}

fn host() -> Host {
    Host {
        variables: [
            ("HOME", "/home/u"),
            ("GW_TOKEN", GOOD),
            ("GW_SHORT", "short"),
        ]
        .into(),
        files: [
            ("/etc/gw/token", (GOOD, 0o600)),
            ("/etc/gw/open", (GOOD, 0o644)),
            ("/etc/gw/blank", (" \n", 0o600)),
            ("built-in:openclaw/1.yaml", ("deviceSkewMs: 5\n", 0)),
            ("/etc/gw/own.yaml", ("deviceSkewMs: five\n", 0)),
        ]
        .into(),
        root: false,
    }
}

fn config(text: &str) -> Config {
    let read = Config::read(
        Some(("/etc/gw/gw.yaml", text)),
        &Overrides::default(),
        &host(),
    );
    read.unwrap_or_else(|error| panic!("{text}\n{}", plain(&error.diagnostics, &error.sources)))
}

fn plain(diagnostics: &Diagnostics, sources: &Sources) -> String {
    render(diagnostics, sources, Format::Plain).replace("/etc/gw/gw.yaml:", "")
}

fn wrong(text: &str) -> String {
    match Config::read(
        Some(("/etc/gw/gw.yaml", text)),
        &Overrides::default(),
        &host(),
    ) {
        Ok(_) => panic!("{text} is a configuration"),
        Err(error) => plain(&error.diagnostics, &error.sources),
    }
}

#[test]
fn nothing_said_is_the_default() {
    let none = Config::read(None, &Overrides::default(), &host()).unwrap();
    for config in [none, config(""), config("auth:\nlisten:\ntls: off\n")] {
        assert_eq!(config.listen.bind, Bind::Loopback);
        assert_eq!(config.listen.port, 18_789);
        assert_eq!(config.state, Path::new("/home/u/.local/state/gw"));
        assert_eq!(
            config.listen.socket,
            Some("/home/u/.local/state/gw/gw.sock".into())
        );
        assert_eq!(&*config.policy, "built-in:default.policy");
        assert_eq!(config.token, Token::Generate);
        assert_eq!(config.limits, Limits::default());
        let auth = AuthSettings {
            mode: Some(AuthMode::Token),
            ..AuthSettings::default()
        };
        assert_eq!(
            config.settings(),
            Settings {
                auth,
                ..Settings::default()
            }
        );
        assert!(config.warnings().is_empty());
        assert_eq!(config.log.level, Level::Info);
    }
}

#[test]
fn every_default_and_example_is_of_its_kind() {
    let plain = config(&template::template());
    assert!(plain.warnings().is_empty());
    for key in keys::KEYS {
        assert!(key.doc.ends_with('.'), "{}", key.path);
        let set = [(key.path, key.example.to_owned())];
        let text = template::with(&set);
        let read = Config::read(
            Some(("/etc/gw/gw.yaml", &text)),
            &Overrides::default(),
            &host(),
        );
        // Some keys are nothing without another one; that is all that may be said.
        if let Err(error) = read {
            let said = plain_words(&error);
            let alone = [
                "without `tls.",
                "without `upstream.url`",
                "does not count, because",
                "cannot be read: there is no such file",
            ];
            assert!(
                alone.iter().any(|alone| said.contains(alone)),
                "{}: {said}",
                key.path
            );
        }
    }
}

fn plain_words(error: &ConfigError) -> String {
    plain(&error.diagnostics, &error.sources)
}

#[test]
fn whatever_is_given_arrives() {
    let config = config(
        "listen: { bind: custom, addresses: [192.168.1.5], port: 1, socket: run/gw.sock }
tls: { certificate: a.crt, key: /k.key }
policy: my.policy
state: state
auth:
  mode: trusted-proxy
  trustedProxy: { userHeader: x-user, allowUsers: [a@b.c] }
  rateLimit: { maxAttempts: 3 }
trustedProxies: [10.0.0.0/8]
allowRealIpFallback: true
controlUi: { allowedOrigins: ['https://a.example'] }
nodes: { pairing: { autoApproveLocal: false, autoApproveCidrs: [10.1.0.0/16] } }
compatibility: built-in:openclaw/1
limits: { unadmittedPerAddress: 3 }
log: { level: debug, decisions: { file: false } }
metrics: true
",
    );
    assert_eq!(config.listen.socket, Some("/etc/gw/run/gw.sock".into()));
    assert_eq!(config.policy, "/etc/gw/my.policy".into());
    assert_eq!(config.state, Path::new("/etc/gw/state"));
    let files = Tls::Files {
        certificate: "/etc/gw/a.crt".into(),
        key: "/k.key".into(),
    };
    assert_eq!(config.tls, files);
    assert_eq!(config.token, Token::Unused);
    assert_eq!(config.limits.unadmitted_per_address, 3);
    assert_eq!(
        config.log,
        Log {
            level: Level::Debug,
            decisions: None
        }
    );
    assert!(config.metrics);
    let settings = config.settings();
    assert_eq!(settings.bind, Bind::Custom);
    assert_eq!(settings.auth.mode(), AuthMode::TrustedProxy);
    assert_eq!(settings.auth.rate_limit.unwrap().max_attempts, 3);
    assert_eq!(settings.auth.rate_limit.unwrap().window_ms, 60_000);
    assert_eq!(&*settings.auth.trusted_proxy.unwrap().user_header, "x-user");
    assert!(
        settings
            .trusted_proxies
            .proxies
            .contains("10.2.3.4".parse().unwrap())
    );
    assert!(settings.allow_real_ip_fallback && !settings.nodes.pairing.auto_approve_local);
    assert_eq!(settings.compatibility.device_skew_ms, 5);
}

#[test]
fn all_that_is_wrong_is_told_with_its_place() {
    let said = wrong(
        "listen:
  prot: 1
  port: 70000
  bind: lann
  port: 2
bind: lan
trustedProxies: [10.0.0.1, 'proxy']
metrics: 'true'
tls: on
compatibility: { deviceSkewMs: soon, helloAuth: allways, hello: 1 }
limits: { tickMs: -1 }
policy: ~/my.policy
zzz: 1
gateway: { port: 1 }
",
    );
    let expected = "\
2:3: error: `listen.prot` is no setting [invalid-config]
  nothing has this name
  help: did you mean `port`?
3:9: error: `listen.port` takes a number from 0 to 65535 [invalid-config]
4:9: error: this is no word of `listen.bind` [invalid-config]
  help: did you mean `lan`?
5:3: error: `listen.port` stands here twice [invalid-config]
  again
  3:3: first
  help: remove one of them
6:1: error: `bind` is no setting [invalid-config]
  nothing has this name
  help: it stands elsewhere: `listen.bind`
7:28: error: `trustedProxies`: this is no address and no network [invalid-config]
  help: write `10.0.0.5` or `10.0.0.0/8`
8:10: error: `metrics` takes `true` or `false`, not a text [invalid-config]
  help: write it without quotes
9:6: error: `tls` has values of its own below it, not a text [invalid-config]
  help: the names below it are `certificate`, `key`, `autoGenerate`, `names`
10:32: error: `deviceSkewMs` takes a whole number [invalid-config]
  help: docs/settings.md lists the constants
10:49: error: this is no word of `helloAuth` [invalid-config]
  help: did you mean `always`?
10:58: error: `hello` is no constant [invalid-config]
  help: docs/settings.md lists the constants
11:19: error: `limits.tickMs` takes a number from 1000 to 300000 [invalid-config]
  help: the unit is milliseconds
12:9: error: `policy` begins with `~` [invalid-config]
  help: write the folder itself: only a shell knows what `~` is
13:1: error: `zzz` is no setting [invalid-config]
";
    assert!(said.starts_with(expected), "{said}");
}

#[test]
fn what_does_not_go_together_is_told() {
    for (text, says) in [
        ("auth: { mode: password }", "there is no `auth.password`"),
        (
            "auth: { mode: trusted-proxy }",
            "there is no `auth.trustedProxy.userHeader`",
        ),
        (
            "auth: { mode: trusted-proxy, token: { env: GW_TOKEN } }",
            "there is an `auth.token` too",
        ),
        (
            "listen: { bind: custom }",
            "there are no `listen.addresses`",
        ),
        (
            "listen: { addresses: [10.0.0.1] }",
            "does not count, because `listen.bind` is `loopback`",
        ),
        ("tls: { key: a }", "stands without `tls.certificate`"),
        (
            "tls: { certificate: a, key: b, autoGenerate: true }",
            "a certificate is given too",
        ),
        ("tls: { names: [a] }", "no certificate is made"),
        (
            "compatibility: built-in:openclaw/9",
            "`compatibility` cannot be read",
        ),
        (
            "compatibility: own.yaml",
            "/etc/gw/own.yaml:1:15: error: `deviceSkewMs` takes a whole number",
        ),
        ("- a", "a configuration is names with values"),
        ("a: [", "this is not YAML"),
        ("metrics:", "`metrics` has no value"),
        ("state: ''", "`state` is blank"),
    ] {
        assert!(wrong(text).contains(says), "{text}: {}", wrong(text));
    }
}

/// What is misspelt is told once, and not as missing too.
#[test]
fn what_is_told_already_is_not_told_again() {
    for text in [
        "auth: { mode: tokn, token: { env: GW_TOKEN }, password: { env: GW_TOKEN } }",
        "auth: { mode: password, password: [] }",
        "auth: { mode: trusted-proxy, trustedProxy: { userHeader: [] } }\ntrustedProxies: [10.0.0.1]",
        "auth: { mode: trusted-proxy, trustedProxy: { userHeader: a } }\ntrustedProxies: 10.0.0.1",
        "listen: { bind: custom, addresses: 10.0.0.1 }",
        "listen: { bind: costum, addresses: [10.0.0.1] }",
        "tls: { certificate: a, key: [] }",
    ] {
        let said = wrong(text);
        assert_eq!(said.matches(" error: ").count(), 1, "{text}: {said}");
    }
}

#[test]
fn both_secrets_need_a_mode() {
    let both = "token: { env: GW_TOKEN }, password: { file: token }";
    let said = wrong(&format!("auth: {{ {both} }}"));
    assert!(
        said.contains("`auth.token` and `auth.password` are both set"),
        "{said}"
    );
    assert!(
        said.contains("write `mode: token` or `mode: password`"),
        "{said}"
    );
    let config = config(&format!("auth: {{ mode: token, {both} }}"));
    assert_eq!(config.settings().auth.mode(), AuthMode::Token);
    let said = plain(config.warnings(), config.sources());
    assert!(
        said.contains("`auth.password` does not count in the mode `token`"),
        "{said}"
    );
}

#[test]
fn secrets_are_named_and_never_shown() {
    for (text, says, hidden) in [
        ("auth: { token: }", "`auth.token` is blank", ""),
        (
            "auth: { token: changeme }",
            "`auth.token` is a placeholder",
            "changeme",
        ),
        (
            "auth: { password: hunter2 }",
            "`auth.password` has fewer than 16 characters",
            "hunter2",
        ),
        (
            "auth: { token: aaaaaaaaaaaaaaaaaaaaa }",
            "`auth.token` is easy to guess",
            "aaaa",
        ),
        (
            "auth: { token: { env: GW_SHORT } }",
            "`auth.token` has fewer than 16 characters",
            "\"short\"",
        ),
        (
            "auth: { token: { env: GW_NONE } }",
            "the environment has no variable",
            "",
        ),
        (
            "auth: { token: { env: zk3-9xq7-zk3-9xq7 } }",
            "no name of a variable",
            "9xq7",
        ),
        (
            "auth: { token: { file: zk39xq7zk39xq7 } }",
            "the file cannot be read",
            "9xq7",
        ),
        (
            "auth: { token: { file: open } }",
            "run `chmod 600 /etc/gw/open`",
            GOOD,
        ),
        (
            "auth: { token: { file: blank } }",
            "`auth.token` is blank",
            "",
        ),
        ("auth: { token: { fil: open } }", "did you mean `file`?", ""),
        (
            "auth: { tokn: zk3-9xq7-zk3-9xq7 }",
            "did you mean `token`?",
            "9xq7",
        ),
        (
            "auth: zk3-9xq7-zk3-9xq7",
            "`auth` has values of its own",
            "9xq7",
        ),
        (
            "auth: { mode: zk3-9xq7-zk3-9xq7 }",
            "this is no word of `auth.mode`",
            "9xq7",
        ),
        (
            "token: zk3-9xq7-zk3-9xq7",
            "it stands elsewhere: `auth.token`",
            "9xq7",
        ),
        (
            "auth: { token: 'zk3-9xq7-zk3-9xq7 }",
            "this is not YAML",
            "9xq7",
        ),
        (
            "auth: { token: [zk3-9xq7-zk3-9xq7] }",
            "takes a text, not a list",
            "9xq7",
        ),
        (
            "controlUi: { allowedOrigins: ['https://h/?token=zk3-9xq7'] }",
            "holds a secret in a URL",
            "9xq7",
        ),
        (
            "policy: https://u:zk3-9xq7@h/",
            "holds a secret in a URL",
            "9xq7",
        ),
        (
            "auth: { token: 'https://h/?token=zk3-9xq7' }",
            "`auth.token` is a URL",
            "9xq7",
        ),
    ] {
        let read = Config::read(
            Some(("/etc/gw/gw.yaml", text)),
            &Overrides::default(),
            &host(),
        );
        let error = read.unwrap_err();
        for format in [
            Format::Human { colour: false },
            Format::Plain,
            Format::Json,
            Format::Sarif,
        ] {
            let said = render(&error.diagnostics, &error.sources, format);
            assert!(
                hidden.is_empty() || !said.contains(hidden),
                "{text}: {said}"
            );
        }
        let debug = format!("{error:?}");
        assert!(
            hidden.is_empty() || !debug.contains(hidden),
            "{text}: {debug}"
        );
        assert!(
            plain_words(&error).contains(says),
            "{text}: {}",
            plain_words(&error)
        );
    }
    let config = config("auth: { token: 3f9a1c77e0b24d58-inline } # 3f9a1c77e0b24d58-inline");
    let said = plain(config.warnings(), config.sources());
    assert!(
        said.contains("`auth.token` stands in the configuration itself"),
        "{said}"
    );
    let all = format!("{said} {config:?}");
    assert!(
        !all.contains("inline }") && !all.contains("3f9a1c77"),
        "{all}"
    );
}

#[test]
fn what_opens_wide_is_warned_of() {
    for (text, says) in [
        (
            "listen: { bind: lan }\nauth: { mode: none }",
            "nobody has to prove anything",
        ),
        (
            "listen: { bind: auto }",
            "may listen beyond this host without TLS",
        ),
        (
            "controlUi: { dangerouslyDisableDeviceAuth: true }",
            "from anywhere without a device",
        ),
        (
            "controlUi: { allowedOrigins: ['*'] }",
            "every page may open a connection",
        ),
        (
            "trustedProxies: [0.0.0.0/0]",
            "can say which address a client has",
        ),
        (
            "nodes: { pairing: { autoApproveCidrs: ['::/0'] } }",
            "more than your own nodes",
        ),
    ] {
        let config = config(text);
        let said = plain(config.warnings(), config.sources());
        assert!(
            said.contains(says) && said.contains("[risky-config]"),
            "{text}: {said}"
        );
    }
    for quiet in [
        "listen: { bind: lan }\ntls: { autoGenerate: true }",
        "auth: { mode: none }",
        "trustedProxies: [10.0.0.0/8]",
    ] {
        let config = config(quiet);
        assert!(
            config.warnings().is_empty(),
            "{quiet}: {}",
            plain(config.warnings(), config.sources())
        );
    }
}

#[test]
fn flags_count_instead() {
    let overrides = Overrides {
        policy: Some("own.policy".to_owned()),
        state: Some("here".to_owned()),
        bind: Some(BindTo::Address("10.0.0.9".parse().unwrap())),
        port: Some(7),
        token: Some(Written::Variable("GW_TOKEN".to_owned())),
        tls: Some(TlsOverride::Generated),
        level: Some(Level::Trace),
        metrics: true,
        ..Overrides::default()
    };
    let text = "listen: { bind: lan, port: 5 }\ntls: { certificate: a, key: b }\nauth: { token: { file: open } }";
    let config = Config::read(Some(("/etc/gw/gw.yaml", text)), &overrides, &host()).unwrap();
    assert_eq!(
        config.listen.custom,
        ["10.0.0.9".parse::<std::net::IpAddr>().unwrap()]
    );
    assert_eq!((config.listen.port, &*config.policy), (7, "own.policy"));
    assert_eq!(config.state, Path::new("here"));
    assert_eq!(config.tls, Tls::Generated { names: Vec::new() });
    assert_eq!(config.token, Token::Given);
    let from = |key: &str| {
        let shown = config
            .shown()
            .iter()
            .find(|shown| shown.key == key)
            .unwrap();
        format!("{} from {}", shown.value, shown.from)
    };
    assert_eq!(from("listen.port"), "7 from flag --port");
    assert_eq!(from("auth.token"), "(hidden) from environment GW_TOKEN");
    assert_eq!(from("limits.tickMs"), "30000 from default");
    assert_eq!(config.shown().len(), keys::KEYS.len());
}

#[test]
fn a_state_folder_follows_from_the_host() {
    let state =
        |host: &Host| Config::read(None, &Overrides::default(), host).map(|config| config.state);
    let root = Host {
        root: true,
        ..host()
    };
    assert_eq!(state(&root).unwrap(), Path::new("/var/lib/gw"));
    let mut xdg = host();
    xdg.variables.insert("XDG_STATE_HOME", "/x");
    assert_eq!(state(&xdg).unwrap(), Path::new("/x/gw"));
    let bare = Host::default();
    assert!(
        state(&bare)
            .unwrap_err()
            .to_string()
            .contains("there is no `state`")
    );
}

#[test]
fn a_made_token_counts_as_given() {
    let mut config = config("");
    config.put_token(Secret::new(GOOD));
    assert_eq!(config.token, Token::Given);
    assert!(config.settings().auth.token().is_some());
}

/// Removing the `#` of any one setting leaves a text that can be read.
#[test]
fn each_line_of_the_template_can_be_uncommented() {
    let template = template::template();
    let mut count = 0;
    for (at, line) in template.lines().enumerate() {
        let Some((_, setting)) = line
            .split_once('#')
            .filter(|(_, rest)| !rest.starts_with(' '))
        else {
            continue;
        };
        assert!(setting.contains(": "), "{line}");
        let lines: Vec<String> = template
            .lines()
            .enumerate()
            .map(|(other, line)| {
                if other == at {
                    line.replacen('#', "", 1)
                } else {
                    line.to_owned()
                }
            })
            .collect();
        let text = lines.join("\n");
        let root = document::parse(&text).unwrap();
        let (_, diagnostics) = values::read(&root, crate::source::SourceId(0));
        assert!(diagnostics.is_empty(), "{line}: {diagnostics}");
        count += 1;
    }
    assert_eq!(count, keys::KEYS.len());
}

proptest! {
    #[test]
    fn any_text_is_answered(text in "(listen|auth|token|tls|env|bind|policy|[\\[\\]{}:,\"'#a1é \\n-]){0,40}") {
        let _ = Config::read(Some(("gw.yaml", &text)), &Overrides::default(), &host());
    }
}
