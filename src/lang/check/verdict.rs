//! Verdicts: their names, arguments and reasons, and which may stand where.

use super::{Checker, restricts};
use crate::diagnostic::{Code, Diagnostic, suggest};
use crate::facts::{AttributeId, Stage};
use crate::lang::ast::{Argument, Literal, Operand, VerdictText};
use crate::lang::checked::{Answer, Expected, Role};
use crate::source::Spanned;
use crate::verdict::{Grant, PairingReason, Reason, ScopeBound, VerdictKind, show_scopes};

/// What other languages call the verdicts.
const ALIASES: [(&str, &[&str]); 4] = [
    (
        "approve",
        &["allow", "accept", "permit", "pass", "grant", "ok"],
    ),
    (
        "reject(not-permitted)",
        &["deny", "drop", "block", "refuse", "forbid", "disallow"],
    ),
    (
        "require-pairing",
        &["pair", "ask", "prompt", "pairing", "pending"],
    ),
    (
        "silent-approve",
        &["auto-approve", "autoapprove", "silent", "trust"],
    ),
];

/// The verdict that was meant by a word, when other languages have that word.
#[must_use]
pub(in crate::lang) fn meant(word: &str) -> Option<&'static str> {
    let word = word.to_ascii_lowercase();
    ALIASES
        .iter()
        .find(|(_, names)| names.contains(&word.as_str()))
        .map(|(verdict, _)| *verdict)
}

/// What a verdict is written for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    /// A clause gives it.
    Given,
    /// A claim or a test asks for it: then it may say what guards left of it.
    Expected,
}

impl Checker {
    /// What a clause answers, and the hint among its arguments.
    pub(super) fn answer(
        &mut self,
        text: &VerdictText,
        role: Role,
    ) -> Option<(Answer, Option<String>)> {
        let mut hint = None;
        let arguments: Vec<&Argument> = text
            .arguments
            .iter()
            .filter(|argument| match (&argument.key, &argument.value) {
                (Some(key), Operand::One(value)) if key.value == "hint" => {
                    hint = Some(match &value.value {
                        Literal::Text(text) | Literal::Word(text) | Literal::Address(text) => {
                            text.clone()
                        }
                    });
                    false
                }
                _ => true,
            })
            .collect();
        self.each_once(&text.arguments)?;
        let answer = self.plain_answer(text, &arguments, Use::Given)?;
        self.fits(text, answer, role)?;
        Some((answer, hint))
    }

    /// An argument that is given twice would mean one or the other.
    fn each_once(&mut self, arguments: &[Argument]) -> Option<()> {
        for (at, argument) in arguments.iter().enumerate() {
            let first = arguments
                .iter()
                .take(at)
                .find(|other| key(other) == key(argument));
            if let (Some(first), Some(name)) = (first, key(argument)) {
                self.report(
                    Diagnostic::error(Code::UnknownVerdict, format!("`{name}` is given twice"))
                        .label(argument.value.span(), "given again")
                        .label(first.value.span(), "given here")
                        .help("remove one of them"),
                );
                return None;
            }
        }
        Some(())
    }

    fn plain_answer(
        &mut self,
        text: &VerdictText,
        arguments: &[&Argument],
        used: Use,
    ) -> Option<Answer> {
        let span = text.span.0;
        match VerdictKind::parse(&text.name.value) {
            Some(VerdictKind::Reject) => self.reject(text, arguments),
            Some(VerdictKind::RequirePairing) => {
                let mut reason = None;
                for argument in arguments {
                    match (key(argument), word(argument)) {
                        (Some("reason"), Some(word)) => {
                            reason = Some(self.pairing_reason(&word)?);
                        }
                        _ => {
                            return self.unknown_argument(argument, "require-pairing", &["reason"]);
                        }
                    }
                }
                Some(Answer::RequirePairing(reason))
            }
            Some(VerdictKind::Approve) => {
                let grant = self.grant(VerdictKind::Approve, arguments, used)?;
                Some(Answer::Approve(grant))
            }
            Some(VerdictKind::SilentApprove) => {
                let grant = self.grant(VerdictKind::SilentApprove, arguments, used)?;
                Some(Answer::SilentApprove(grant))
            }
            None if text.name.value == "cap" => match arguments {
                [argument] if key(argument) == Some("scopes") => {
                    let row = AttributeId::named("scopes")?.row();
                    Some(Answer::Cap(self.scopes(row, &argument.value)?))
                }
                _ => {
                    self.report(
                        Diagnostic::error(
                            Code::UnknownVerdict,
                            "`cap` needs the scopes that may be had",
                        )
                        .label(span, "no scopes")
                        .help("write `cap(scopes={ operator.read })`"),
                    );
                    None
                }
            },
            None => self.unknown_verdict(&text.name),
        }
    }

    fn reject(&mut self, text: &VerdictText, arguments: &[&Argument]) -> Option<Answer> {
        match arguments {
            [argument] if matches!(key(argument), None | Some("reason")) => {
                let Some(word) = word(argument) else {
                    return self.unknown_argument(argument, "reject", &[]);
                };
                if word.value == "as-found" {
                    return Some(Answer::RejectAsFound);
                }
                self.reason(&word).map(Answer::Reject)
            }
            [] => {
                self.report(
                    Diagnostic::error(Code::UnknownVerdict, "`reject` needs a reason: the client is told it")
                        .label(text.span.0, "no reason")
                        .help("write `reject(not-permitted)`, or `reject(as-found)` for what the facts carry; `gw schema` lists the reasons"),
                );
                None
            }
            [_, extra, ..] => self.unknown_argument(extra, "reject", &[]),
            [argument] => self.unknown_argument(argument, "reject", &[]),
        }
    }

    fn grant(&mut self, kind: VerdictKind, arguments: &[&Argument], used: Use) -> Option<Grant> {
        let records = kind == VerdictKind::SilentApprove;
        let known: &[&str] = match (records, used) {
            (true, Use::Given) => &["scopes", "token", "ttl"],
            (true, Use::Expected) => &["scopes", "cap", "token", "ttl"],
            (false, Use::Given) => &["scopes", "token"],
            (false, Use::Expected) => &["scopes", "cap", "token"],
        };
        let mut grant = Grant::default();
        for argument in arguments {
            match (key(argument), word(argument)) {
                (Some("scopes"), word) => match word.as_ref().map(|word| word.value.as_str()) {
                    Some("requested") => grant.scopes = ScopeBound::Requested,
                    Some("none") => grant.scopes = ScopeBound::None,
                    Some("approved") => grant.scopes = ScopeBound::Approved,
                    _ => {
                        let row = AttributeId::named("scopes")?.row();
                        grant.scopes = ScopeBound::Within(self.scopes(row, &argument.value)?);
                    }
                },
                (Some("cap"), _) if used == Use::Expected => {
                    let row = AttributeId::named("scopes")?.row();
                    grant.cap = self.scopes(row, &argument.value)?;
                }
                (Some("cap"), _) => {
                    return self.bad_argument(
                        argument,
                        "`cap` is what guards make of an answer: a rule does not say it",
                        &format!(
                            "write `guard CONDITION → cap(scopes={{ … }})`, or bound this rule alone: `{kind}(scopes={{ … }})`"
                        ),
                    );
                }
                (Some("token"), Some(word)) if word.value == "no" => grant.token = false,
                (Some("token"), Some(word)) if word.value == "yes" => grant.token = true,
                (Some("token"), _) => {
                    return self.bad_argument(
                        argument,
                        "`token` is `yes` or `no`",
                        "write `token=no`",
                    );
                }
                (Some("ttl"), _) if records => match text(argument).as_deref().and_then(seconds) {
                    Some(seconds) => grant.ttl_seconds = Some(seconds),
                    None => {
                        return self.bad_argument(
                            argument,
                            "`ttl` is a length of time, of a second at least and ten years at most",
                            "write a number and `s`, `m`, `h` or `d`, such as `ttl=\"30d\"`",
                        );
                    }
                },
                _ => return self.unknown_argument(argument, kind.name(), known),
            }
        }
        Some(grant)
    }

    /// Whether an answer may stand in such a clause.
    fn fits(&mut self, text: &VerdictText, answer: Answer, role: Role) -> Option<()> {
        let span = text.span.0;
        match role {
            Role::Guard(_) if !restricts(answer) => {
                self.report(
                    Diagnostic::error(
                        Code::GuardAdmits,
                        "a guard can only restrict, and this lets someone in",
                    )
                    .label(span, "admits")
                    .help("remove `guard` to make it a rule")
                    .help("write `cap(scopes={ … })` to bound what is admitted"),
                );
                None
            }
            Role::Guard(Stage::Upgrade) if !matches!(answer, Answer::Reject(_)) => {
                self.report(
                    Diagnostic::error(
                        Code::UnknownVerdict,
                        "a guard at upgrade can only reject, with a reason of its own",
                    )
                    .label(span, "there is no frame yet to answer otherwise")
                    .help("write `reject(reason)`, or remove `at upgrade`"),
                );
                None
            }
            Role::Rule | Role::Trial | Role::Default if matches!(answer, Answer::Cap(_)) => {
                self.report(
                    Diagnostic::error(
                        Code::UnknownVerdict,
                        "only a guard can cap: a rule says what happens",
                    )
                    .label(span, "not a verdict of rules")
                    .help("write `approve(scopes={ … })`"),
                );
                None
            }
            Role::Guard(_) | Role::Rule | Role::Trial | Role::Default => Some(()),
        }
    }

    /// A verdict in a claim or a test.
    pub(super) fn expected(&mut self, text: &VerdictText) -> Option<Expected> {
        let bare = text.arguments.is_empty();
        if text.name.value == "admit" && bare {
            return Some(Expected::Admit);
        }
        if bare && let Some(kind) = VerdictKind::parse(&text.name.value) {
            return Some(Expected::Kind(kind));
        }
        let arguments: Vec<&Argument> = text.arguments.iter().collect();
        self.each_once(&text.arguments)?;
        match self.plain_answer(text, &arguments, Use::Expected)? {
            Answer::Reject(reason) => Some(Expected::Reject(reason)),
            Answer::RequirePairing(Some(reason)) => Some(Expected::RequirePairing(reason)),
            Answer::RequirePairing(None) => Some(Expected::Kind(VerdictKind::RequirePairing)),
            Answer::Approve(grant) => Some(Expected::Grant(VerdictKind::Approve, grant)),
            Answer::SilentApprove(grant) => {
                Some(Expected::Grant(VerdictKind::SilentApprove, grant))
            }
            Answer::Cap(scopes) => {
                let cap = show_scopes(scopes);
                self.report(
                    Diagnostic::error(
                        Code::UnknownVerdict,
                        "a cap by itself is no outcome of a connection",
                    )
                    .label(text.span.0, "bounds what is admitted")
                    .help(format!(
                        "write what a connection is admitted with under it: `approve(cap={cap})`"
                    )),
                );
                None
            }
            Answer::RejectAsFound => {
                self.report(
                    Diagnostic::error(Code::UnknownVerdict, "this is no outcome of a connection")
                        .label(text.span.0, "depends on the facts")
                        .help("write `reject`, or `reject` with the reason that you expect"),
                );
                None
            }
        }
    }

    fn unknown_verdict(&mut self, name: &Spanned<String>) -> Option<Answer> {
        let word = name.value.to_ascii_lowercase();
        let kinds = || VerdictKind::WORDS.iter().map(|word| word.name);
        let help = match (meant(&word), word.as_str()) {
            (_, "admit") => {
                "`admit` is for claims and tests; write `approve` or `silent-approve`".to_owned()
            }
            (Some(verdict), _) => format!("write `{verdict}`"),
            (None, _) => suggest::did_you_mean(&word, kinds()).unwrap_or_else(|| {
                format!(
                    "the verdicts are {}",
                    kinds().collect::<Vec<_>>().join(", ")
                )
            }),
        };
        self.report(
            Diagnostic::error(
                Code::UnknownVerdict,
                format!("`{}` is not a verdict", name.value),
            )
            .label(name.span, "no such verdict")
            .help(help),
        );
        None
    }

    fn reason(&mut self, word: &Spanned<String>) -> Option<Reason> {
        let reason = Reason::parse(&word.value);
        if reason.is_none() {
            let names = Reason::WORDS.iter().map(|reason| reason.name);
            let help = suggest::did_you_mean(&word.value, names.chain(["as-found"]))
                .unwrap_or_else(|| "`gw schema` lists the reasons".to_owned());
            self.report(
                Diagnostic::error(
                    Code::UnknownVerdict,
                    format!("`{}` is not a reason", word.value),
                )
                .label(word.span, "clients would not know it")
                .help(help),
            );
        }
        reason
    }

    fn pairing_reason(&mut self, word: &Spanned<String>) -> Option<PairingReason> {
        let reason = PairingReason::parse(&word.value);
        if reason.is_none() {
            let names: Vec<&str> = PairingReason::WORDS
                .iter()
                .map(|reason| reason.name)
                .collect();
            self.report(
                Diagnostic::error(
                    Code::UnknownVerdict,
                    format!("`{}` is not a reason to ask for pairing", word.value),
                )
                .label(word.span, "clients would not know it")
                .help(format!("the reasons are {}", names.join(", "))),
            );
        }
        reason
    }

    fn unknown_argument<T>(
        &mut self,
        argument: &Argument,
        verdict: &str,
        known: &[&str],
    ) -> Option<T> {
        let span = argument
            .key
            .as_ref()
            .map_or(argument.value.span(), |key| key.span);
        let help = match known {
            [] => format!("write `{verdict}` with one reason"),
            known => format!(
                "`{verdict}` takes {}, such as `{verdict}({}=…)`",
                known.join(", "),
                known.first().unwrap_or(&"")
            ),
        };
        self.report(
            Diagnostic::error(
                Code::UnknownVerdict,
                format!("`{verdict}` has no such argument"),
            )
            .label(span, "not known here")
            .help(help),
        );
        None
    }

    fn bad_argument<T>(&mut self, argument: &Argument, message: &str, help: &str) -> Option<T> {
        self.report(
            Diagnostic::error(Code::UnknownVerdict, message)
                .label(argument.value.span(), "cannot be read")
                .help(help),
        );
        None
    }
}

fn key(argument: &Argument) -> Option<&str> {
    argument.key.as_ref().map(|key| key.value.as_str())
}

fn word(argument: &Argument) -> Option<Spanned<String>> {
    match &argument.value {
        Operand::One(value) => match &value.value {
            Literal::Word(word) => Some(Spanned::new(word.clone(), value.span)),
            Literal::Text(_) | Literal::Address(_) => None,
        },
        Operand::Many(_) => None,
    }
}

fn text(argument: &Argument) -> Option<String> {
    match &argument.value {
        Operand::One(value) => match &value.value {
            Literal::Text(text) => Some(text.clone()),
            Literal::Word(_) | Literal::Address(_) => None,
        },
        Operand::Many(_) => None,
    }
}

/// `30d`, `12h`, `5m`, `90s`, in seconds; at least one, at most ten years.
fn seconds(text: &str) -> Option<u32> {
    let unit = text.chars().last()?;
    let number: u32 = text.strip_suffix(unit)?.parse().ok()?;
    let factor = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return None,
    };
    number
        .checked_mul(factor)
        .filter(|seconds| (1..=315_360_000).contains(seconds))
}
