//! The table of checks, and how each judges what was seen. Nothing is looked at here.

use super::seen::{Gateway, Place, Seen, Shows};
use crate::config::keys::from_the_next_start;
use crate::host::own::Readers;
use crate::host::unavailable::Unavailable;
use crate::settings::Compatibility;
use crate::source::shell_word;

/// How something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    /// Nothing is to be done.
    Ok,
    /// It may be meant so.
    Look,
    /// It does not work, or it opens more than it should.
    Wrong,
}

impl Level {
    /// Its word.
    pub(super) fn name(self) -> &'static str {
        match self {
            Level::Ok => "ok",
            Level::Look => "look",
            Level::Wrong => "wrong",
        }
    }
}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) level: Level,
    /// What was found.
    pub(super) found: String,
    /// What to do: a command where there is one.
    pub(super) next: Option<String>,
}

/// A check.
pub(super) struct Check {
    pub(super) name: &'static str,
    /// What it comes to; nothing where what it judges is not there.
    pub(super) judge: fn(&Seen) -> Option<Finding>,
}

/// Every check, in the order in which they are told.
pub(super) const CHECKS: &[Check] = &[
    check("configuration", configuration),
    check("gateway", gateway),
    check("policy", policy),
    check("next-start", next_start),
    check("store", store),
    check("listeners", listeners),
    check("unknown", unknown),
    check("pages", pages),
    check("upstream", upstream),
    check("clock", clock),
    check("way-past", way_past),
    check("secrets", secrets),
    check("openclaw", openclaw),
    check("files", files),
];

const fn check(name: &'static str, judge: fn(&Seen) -> Option<Finding>) -> Check {
    Check { name, judge }
}

fn ok(found: impl Into<String>) -> Option<Finding> {
    Some(Finding {
        level: Level::Ok,
        found: found.into(),
        next: None,
    })
}

fn look(found: impl Into<String>, next: impl Into<String>) -> Option<Finding> {
    Some(Finding {
        level: Level::Look,
        found: found.into(),
        next: Some(next.into()),
    })
}

fn wrong(found: impl Into<String>, next: impl Into<String>) -> Option<Finding> {
    Some(Finding {
        level: Level::Wrong,
        found: found.into(),
        next: Some(next.into()),
    })
}

fn configuration(seen: &Seen) -> Option<Finding> {
    let told = &seen.configuration.told;
    let next = seen.started.command("config check");
    match &seen.configuration.error {
        Some(error) => {
            let place = seen.configuration.place.as_ref();
            wrong(format!("{}: {error}", place.unwrap_or(told)), next)
        }
        None if seen.configuration.warnings => look(told, next),
        None => ok(told),
    }
}

fn gateway(seen: &Seen) -> Option<Finding> {
    let serving = match seen.gateway.as_ref()? {
        Gateway::Absent(why) => {
            return wrong(format!("none serves: {why}"), seen.started.command("serve"));
        }
        Gateway::Other(at) => {
            return wrong(
                format!("another program answers at {at}, perhaps OpenClaw itself"),
                "move it to another port, or this gateway (docs/openclaw.md)",
            );
        }
        Gateway::Silent(why) => {
            let found = format!("it does not say how it is: {why}");
            return wrong(found, seen.next.command("status"));
        }
        Gateway::Serves(serving) => serving,
    };
    let said = seen.behind.as_ref().map(|behind| behind.target.to_string());
    if serving.upstream == said {
        return ok(format!("it serves at {}", serving.at));
    }
    let [relays, says] = [&serving.upstream, &said].map(|it| match it {
        Some(url) => url,
        None => "no server behind",
    });
    let found = format!(
        "it serves with {relays}, and the configuration here says {says}: it was started with \
         another configuration, or with other flags"
    );
    let again = || match &serving.upstream {
        Some(url) if said.is_none() => {
            let words = format!("doctor --upstream {}", shell_word(url));
            seen.started.command(&words)
        }
        _ => format!("end it, and then: {}", seen.started.command("serve")),
    };
    look(found, serving.elsewhere.clone().unwrap_or_else(again))
}

fn policy(seen: &Seen) -> Option<Finding> {
    let Gateway::Serves(serving) = seen.gateway.as_ref()? else {
        return None;
    };
    let short = |digest: &str| digest.chars().take(12).collect::<String>();
    let in_force = short(&serving.digest);
    if serving.stays {
        let found = format!("the file cannot be loaded, and {in_force} stays in force");
        return wrong(found, seen.next.command("policy status"));
    }
    let file = short(seen.digest.as_ref()?);
    let [same, other] = match seen.built_in {
        true => ["as configured", "and what is configured is"],
        false => ["as the file says", "and the file says"],
    };
    if file == in_force {
        return ok(format!("{in_force} is in force, {same}"));
    }
    wrong(
        format!("{in_force} is in force, {other} {file}"),
        seen.next.command("policy reload"),
    )
}

fn next_start(seen: &Seen) -> Option<Finding> {
    let Gateway::Serves(serving) = seen.gateway.as_ref()? else {
        return None;
    };
    match serving.next_start.is_empty() {
        true => None,
        false => look(
            from_the_next_start(&serving.next_start),
            "restart the gateway",
        ),
    }
}

fn store(seen: &Seen) -> Option<Finding> {
    let Gateway::Serves(serving) = seen.gateway.as_ref()? else {
        return None;
    };
    let why = serving.unkept.as_ref()?;
    wrong(
        format!("what the gateway decided last could not be kept: {why}"),
        "mend that; the gateway need not be restarted for it",
    )
}

fn unknown(seen: &Seen) -> Option<Finding> {
    let mut found: Vec<String> = Vec::new();
    let mut next: Vec<&str> = Vec::new();
    for Unavailable { fact, why, helps } in &seen.unknown {
        found.push(format!("{fact}: {why}"));
        next.push(helps);
    }
    match found.is_empty() {
        true => None,
        false => look(found.join("; "), next.join("; ")),
    }
}

fn listeners(seen: &Seen) -> Option<Finding> {
    let doors = seen.doors.as_ref()?;
    let beyond: Vec<String> = doors.beyond().map(ToString::to_string).collect();
    let places = beyond.join(", ");
    if beyond.is_empty() {
        return ok("for this host alone");
    }
    if doors.open {
        let found = format!("beyond this host at {places}, and nobody has to prove anything");
        return wrong(found, seen.next.command("serve --auth token"));
    }
    if doors.beyond().any(|url| !url.is_tls()) {
        let found = format!(
            "beyond this host at {places}, without TLS: secrets can be read on the way, unless a \
             proxy with TLS stands in front"
        );
        return look(found, seen.next.command("serve --tls auto"));
    }
    ok(format!("beyond this host at {places}, with TLS"))
}

fn pages(seen: &Seen) -> Option<Finding> {
    let doors = seen.doors.as_ref()?;
    seen.behind.as_ref().filter(|behind| behind.pages)?;
    if doors.origins.iter().any(|origin| origin == "*") {
        return look(
            "every page may open a connection",
            "list your own pages: controlUi: { allowedOrigins: [https://NAME:PORT] }",
        );
    }
    if !doors.origins.is_empty() {
        return ok(format!("admitted by name: {}", doors.origins.join(", ")));
    }
    if doors.beyond().next().is_none() {
        return ok("no page is admitted by name; on this host none needs to be");
    }
    look(
        "no page is admitted by name: under the name of this host the Control UI may load and then \
         be refused",
        "write in the configuration: controlUi: { allowedOrigins: [https://NAME:PORT] }",
    )
}

fn upstream(seen: &Seen) -> Option<Finding> {
    let behind = seen.behind.as_ref()?;
    let answer = match &behind.answer {
        Ok(answer) => answer,
        Err(why) => return wrong(why, "start it, or mend `upstream` in the configuration"),
    };
    if let Some(Gateway::Serves(serving)) = &seen.gateway
        && let Some(trouble) = &serving.trouble
    {
        let found = format!("it answers, and the last client was not taken: {trouble}");
        return wrong(
            found,
            match behind.openclaw {
                true => seen.next.command("connect --tcp"),
                false if trouble.contains("`upstream.token`") => {
                    "mend `upstream.token`, or the file that it names".to_owned()
                }
                false => seen.next.command("status"),
            },
        );
    }
    if !behind.target.is_tls() && matches!(answer.place, Place::Elsewhere(_)) {
        let found = format!(
            "{} is asked over the network without TLS: its secret can be read on the way",
            behind.target
        );
        return look(
            found,
            "speak TLS there, and write `wss://` in `upstream.url`",
        );
    }
    let taken = match &seen.gateway {
        Some(Gateway::Serves(serving)) => serving.connections > 0,
        _ => false,
    };
    match behind.openclaw && behind.has_secret && !taken {
        true => ok(format!(
            "{} answers; whether it takes the secret is not tried here: {}",
            behind.target,
            seen.next.command("connect --tcp")
        )),
        false => ok(format!("{} answers", behind.target)),
    }
}

fn clock(seen: &Seen) -> Option<Finding> {
    let ahead_ms = seen.behind.as_ref()?.answer.as_ref().ok()?.ahead_ms?;
    let allowed = Compatibility::default().device_skew_ms;
    let by = ahead_ms.unsigned_abs();
    if by <= allowed {
        return ok("as that of the server behind");
    }
    let which = if ahead_ms > 0 { "behind" } else { "ahead of" };
    let found = format!(
        "it is {} s {which} that of the server behind, which takes no device then",
        by / 1_000
    );
    wrong(found, "set both clocks: timedatectl set-ntp true")
}

fn way_past(seen: &Seen) -> Option<Finding> {
    let behind = seen.behind.as_ref()?;
    let here = match &behind.answer.as_ref().ok()?.place {
        Place::Elsewhere(ip) => {
            return look(
                format!("the server behind is on another host, {ip}: others may reach it there"),
                "let it take connections of this host only",
            );
        }
        Place::Here(here) => here,
    };
    if here.is_empty() {
        return ok("the server behind listens on loopback only");
    }
    let addresses: Vec<String> = here.iter().map(ToString::to_string).collect();
    let found = format!(
        "the server behind listens beyond loopback, at {}: whoever reaches that goes past the gateway",
        addresses.join(", ")
    );
    wrong(
        found,
        match behind.openclaw {
            true => "on its host: openclaw config set gateway.bind loopback",
            false => "have it listen at 127.0.0.1 only",
        },
    )
}

fn secrets(seen: &Seen) -> Option<Finding> {
    let behind = seen.behind.as_ref()?;
    if behind.shares_secret {
        return wrong(
            "the server behind has the secret of the gateway: who may come in here may go there directly",
            "give it another one: openssl rand -base64 32",
        );
    }
    if !behind.has_secret {
        return look(
            "no secret is shown to the server behind: one that asks for none takes every user of its host",
            "have it ask for a token, and name that: upstream: { token: { file: PATH } }",
        );
    }
    ok("the server behind has one of its own")
}

fn openclaw(seen: &Seen) -> Option<Finding> {
    let openclaw = seen.openclaw.as_ref()?;
    if openclaw.past {
        let found = format!(
            "`openclaw` of this user speaks with {}, past the gateway",
            openclaw.url
        );
        return wrong(found, &openclaw.remedy);
    }
    let speaks = format!("`openclaw` of this user speaks with {}", openclaw.url);
    let not_ours = |what: &str| wrong(format!("{speaks}, and {what}"), &openclaw.remedy);
    match openclaw.shows {
        // The configuration is that of the server behind too, which is told what to do elsewhere.
        Some(Shows::Own) if openclaw.holds => ok(format!(
            "{speaks}; its configuration holds the secret of the server behind, as the server's \
             own must"
        )),
        Some(Shows::Own) => ok(speaks),
        Some(Shows::OfBehind) => {
            not_ours("its token is that of the server behind, not the gateway's")
        }
        Some(Shows::Other) => not_ours("its token is not the gateway's"),
        None if openclaw.holds => look(
            "`openclaw` of this user has the secret of the server behind, and can go past the gateway",
            &openclaw.remedy,
        ),
        Some(Shows::Nothing) => look(
            format!("{speaks}, and has no token for it: only as a paired device it comes in"),
            &openclaw.remedy,
        ),
        None => ok(speaks),
    }
}

fn files(seen: &Seen) -> Option<Finding> {
    let open = |who: Readers| seen.files.iter().find(move |file| file.1 == who);
    let (file, who) = match (open(Readers::Everybody), open(Readers::Group)) {
        (Some((file, _)), _) => (file, "every user of this host"),
        (None, Some((file, _))) => (file, "its group"),
        (None, None) if seen.files.is_empty() => return None,
        (None, None) => return ok("nobody else may read what holds secrets"),
    };
    let next = format!("chmod go-rwx {}", shell_word(file));
    wrong(format!("{who} may read {file}"), next)
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::super::super::next::Next;
    use super::super::seen::{Answer, Behind, Configuration, Doors, OpenClaw, Serving};
    use super::*;
    use crate::client::Target;

    const LAN: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 168, 1, 5));

    /// A set-up in which all is well.
    fn well() -> Seen {
        Seen {
            next: Next::new(&[("--state", Some("/s"))]),
            started: Next::new(&[("--state", Some("/s")), ("--port", Some("1"))]),
            configuration: Configuration {
                told: "gw.yaml: it will do".to_owned(),
                ..Configuration::default()
            },
            gateway: Some(Gateway::Serves(serving())),
            digest: Some("0123456789abcdef".to_owned()),
            built_in: false,
            unknown: Vec::new(),
            doors: Some(doors(&["ws://127.0.0.1:1", "ws://[::1]:1"])),
            behind: Some(behind()),
            openclaw: Some(openclaw()),
            files: vec![("/s/token".to_owned(), Readers::Nobody)],
        }
    }

    fn serving() -> Serving {
        Serving {
            at: "/s/gw.sock".to_owned(),
            digest: "0123456789abcdef".to_owned(),
            upstream: Some("ws://127.0.0.1:2".to_owned()),
            ..Serving::default()
        }
    }

    fn doors(urls: &[&str]) -> Doors {
        Doors {
            urls: urls.iter().map(|url| Target::parse(url).unwrap()).collect(),
            ..Doors::default()
        }
    }

    fn behind() -> Behind {
        Behind {
            target: Target::parse("ws://127.0.0.1:2").unwrap(),
            openclaw: true,
            pages: true,
            has_secret: true,
            shares_secret: false,
            answer: answer(Place::Here(Vec::new()), 0),
        }
    }

    fn answer(place: Place, ahead_ms: i64) -> Result<Answer, String> {
        Ok(Answer {
            place,
            ahead_ms: Some(ahead_ms),
        })
    }

    fn openclaw() -> OpenClaw {
        OpenClaw {
            url: "ws://127.0.0.1:1".to_owned(),
            past: false,
            holds: false,
            shows: Some(Shows::Own),
            remedy: "export A=b".to_owned(),
        }
    }

    /// What each check comes to that does not come to `ok`, with what was seen otherwise.
    fn troubles(change: impl FnOnce(&mut Seen)) -> Vec<(&'static str, &'static str, String)> {
        let mut seen = well();
        change(&mut seen);
        let found = CHECKS
            .iter()
            .filter_map(|check| Some((check.name, (check.judge)(&seen)?)));
        let told = found.filter(|(_, finding)| finding.level != Level::Ok);
        told.map(|(name, finding)| (name, finding.level.name(), finding.next.unwrap()))
            .collect()
    }

    #[test]
    fn each_check_hears_of_its_own_trouble_alone() {
        type Change = fn(&mut Seen);
        let cases: &[(Change, &str, &str, &str)] = &[
            (
                |seen| seen.configuration.error = Some("no".to_owned()),
                "configuration",
                "wrong",
                "gw config check --state /s --port 1",
            ),
            (
                |seen| seen.configuration.warnings = true,
                "configuration",
                "look",
                "gw config check --state /s --port 1",
            ),
            (
                |seen| seen.gateway = Some(Gateway::Absent("nobody".to_owned())),
                "gateway",
                "wrong",
                "gw serve --state /s --port 1",
            ),
            (
                |seen| seen.gateway = Some(Gateway::Other("ws://127.0.0.1:1".to_owned())),
                "gateway",
                "wrong",
                "move it to another port, or this gateway (docs/openclaw.md)",
            ),
            (
                |seen| seen.gateway = Some(Gateway::Silent("no".to_owned())),
                "gateway",
                "wrong",
                "gw status --state /s",
            ),
            (
                |seen| {
                    seen.gateway = Some(Gateway::Serves(Serving {
                        upstream: None,
                        ..serving()
                    }));
                },
                "gateway",
                "look",
                "end it, and then: gw serve --state /s --port 1",
            ),
            (
                |seen| seen.behind = None,
                "gateway",
                "look",
                "gw doctor --upstream ws://127.0.0.1:2 --state /s --port 1",
            ),
            (
                |seen| {
                    seen.behind = None;
                    seen.gateway = Some(Gateway::Serves(Serving {
                        elsewhere: Some("gw doctor --config /c".to_owned()),
                        ..serving()
                    }));
                },
                "gateway",
                "look",
                "gw doctor --config /c",
            ),
            (
                |seen| {
                    seen.gateway = Some(Gateway::Serves(Serving {
                        stays: true,
                        ..serving()
                    }));
                },
                "policy",
                "wrong",
                "gw policy status --state /s",
            ),
            (
                |seen| seen.digest = Some("another".to_owned()),
                "policy",
                "wrong",
                "gw policy reload --state /s",
            ),
            (
                |seen| {
                    seen.gateway = Some(Gateway::Serves(Serving {
                        next_start: vec!["metrics".to_owned()],
                        ..serving()
                    }));
                },
                "next-start",
                "look",
                "restart the gateway",
            ),
            (
                |seen| {
                    seen.gateway = Some(Gateway::Serves(Serving {
                        unkept: Some("the disk is full".to_owned()),
                        ..serving()
                    }));
                },
                "store",
                "wrong",
                "mend that; the gateway need not be restarted for it",
            ),
            (
                |seen| {
                    seen.unknown = vec![Unavailable {
                        fact: "peer-uid",
                        why: "nobody says".to_owned(),
                        helps: "ask".to_owned(),
                    }];
                },
                "unknown",
                "look",
                "ask",
            ),
            (
                |seen| {
                    seen.doors = Some(Doors {
                        open: true,
                        origins: vec!["https://gw.example".to_owned()],
                        ..doors(&["ws://0.0.0.0:1"])
                    });
                },
                "listeners",
                "wrong",
                "gw serve --auth token --state /s",
            ),
            (
                |seen| {
                    seen.doors = Some(Doors {
                        origins: vec!["https://gw.example".to_owned()],
                        ..doors(&["wss://[::]:1", "ws://192.168.1.5:1"])
                    });
                },
                "listeners",
                "look",
                "gw serve --tls auto --state /s",
            ),
            (
                |seen| seen.doors = Some(doors(&["wss://0.0.0.0:1"])),
                "pages",
                "look",
                "write in the configuration: controlUi: { allowedOrigins: [https://NAME:PORT] }",
            ),
            (
                |seen| seen.doors.as_mut().unwrap().origins.push("*".to_owned()),
                "pages",
                "look",
                "list your own pages: controlUi: { allowedOrigins: [https://NAME:PORT] }",
            ),
            (
                |seen| seen.behind.as_mut().unwrap().answer = Err("nobody".to_owned()),
                "upstream",
                "wrong",
                "start it, or mend `upstream` in the configuration",
            ),
            (
                |seen| {
                    seen.gateway = Some(Gateway::Serves(Serving {
                        trouble: Some("wrong token".to_owned()),
                        ..serving()
                    }));
                },
                "upstream",
                "wrong",
                "gw connect --tcp --state /s",
            ),
            (
                |seen| {
                    seen.behind.as_mut().unwrap().openclaw = false;
                    seen.gateway = Some(Gateway::Serves(Serving {
                        trouble: Some("look at `upstream.token`".to_owned()),
                        ..serving()
                    }));
                },
                "upstream",
                "wrong",
                "mend `upstream.token`, or the file that it names",
            ),
            (
                |seen| seen.behind.as_mut().unwrap().answer = answer(Place::Here(vec![]), 120_001),
                "clock",
                "wrong",
                "set both clocks: timedatectl set-ntp true",
            ),
            (
                |seen| {
                    seen.behind.as_mut().unwrap().answer = answer(Place::Here(vec![LAN]), -120_000)
                },
                "way-past",
                "wrong",
                "on its host: openclaw config set gateway.bind loopback",
            ),
            (
                |seen| seen.behind.as_mut().unwrap().shares_secret = true,
                "secrets",
                "wrong",
                "give it another one: openssl rand -base64 32",
            ),
            (
                |seen| seen.behind.as_mut().unwrap().has_secret = false,
                "secrets",
                "look",
                "have it ask for a token, and name that: upstream: { token: { file: PATH } }",
            ),
            (
                |seen| seen.openclaw.as_mut().unwrap().past = true,
                "openclaw",
                "wrong",
                "export A=b",
            ),
            (
                |seen| {
                    let openclaw = seen.openclaw.as_mut().unwrap();
                    (openclaw.holds, openclaw.shows) = (true, None);
                },
                "openclaw",
                "look",
                "export A=b",
            ),
            (
                |seen| seen.openclaw.as_mut().unwrap().shows = Some(Shows::Nothing),
                "openclaw",
                "look",
                "export A=b",
            ),
            (
                |seen| seen.openclaw.as_mut().unwrap().shows = Some(Shows::Other),
                "openclaw",
                "wrong",
                "export A=b",
            ),
            (
                |seen| seen.openclaw.as_mut().unwrap().shows = Some(Shows::OfBehind),
                "openclaw",
                "wrong",
                "export A=b",
            ),
            (
                |seen| seen.files.push(("/s/a b".to_owned(), Readers::Group)),
                "files",
                "wrong",
                "chmod go-rwx '/s/a b'",
            ),
        ];
        assert_eq!(troubles(|_| {}), []);
        for (change, check, level, next) in cases {
            assert_eq!(troubles(change), [(*check, *level, (*next).to_owned())]);
        }
        let named = |check: &Check| cases.iter().any(|case| case.1 == check.name);
        assert!(CHECKS.iter().all(named), "a check has no case");
    }

    /// A policy that is part of the program has no file that could say anything.
    #[test]
    fn a_built_in_policy_is_no_file() {
        let mut seen = Seen {
            built_in: true,
            ..well()
        };
        let found = policy(&seen).unwrap().found;
        assert_eq!(found, "0123456789ab is in force, as configured");
        seen.digest = Some("another".to_owned());
        let found = policy(&seen).unwrap().found;
        assert!(!found.contains("file"), "{found}");
    }

    #[test]
    fn the_page_has_every_check_in_this_order() {
        let page = include_str!("../../../docs/relay.md");
        let (_, page) = page.split_once("| check | looks at |").unwrap();
        let rows = page.lines().skip(2).take_while(|line| !line.is_empty());
        let named: Vec<&str> = rows.filter_map(|row| row.split('`').nth(1)).collect();
        let checks: Vec<&str> = CHECKS.iter().map(|check| check.name).collect();
        assert_eq!(named, checks);
    }

    /// Where it is called as it should be, the configuration that it shares with the server is none
    /// of its business.
    #[test]
    fn a_command_line_that_comes_as_a_client_may_hold_the_secret_of_the_server() {
        let told = troubles(|seen| seen.openclaw.as_mut().unwrap().holds = true);
        assert_eq!(told, []);
    }

    #[test]
    fn a_server_on_another_host_is_looked_at_for_its_way_and_for_those_beside() {
        let told = troubles(|seen| {
            seen.behind.as_mut().unwrap().answer = answer(Place::Elsewhere(LAN), 0);
        });
        let names: Vec<&str> = told.iter().map(|told| told.0).collect();
        assert_eq!(names, ["upstream", "way-past"]);
        assert!(told.iter().all(|told| told.1 == "look"));
    }

    #[test]
    fn what_was_not_seen_is_not_judged() {
        let seen = Seen::default();
        let judged = CHECKS.iter().filter(|check| (check.judge)(&seen).is_some());
        let judged: Vec<&str> = judged.map(|check| check.name).collect();
        assert_eq!(judged, ["configuration"]);
    }
}
