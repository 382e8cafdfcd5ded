//! The token of a device: given on admission, used, replaced, revoked.
//!
//! Whether a token that was sent is good is in [`super::standing`].

use std::collections::BTreeMap;
use std::sync::Arc;

use super::change::{Change, Fresh, Notes, Write};
use super::key::same_key;
use super::lists::carried;
use super::record::{Issuer, Record, Token};
use super::request::Ask;
use super::standing::Standing;
use crate::facts::scopes::covers;
use crate::facts::{Role, Text};
use crate::secret::Secret;
use crate::settings::Compatibility;

/// A token that goes to its device.
#[derive(Clone, Debug, PartialEq)]
pub struct IssuedToken {
    /// The secret.
    pub token: Secret,
    /// The role it is for.
    pub role: Text,
    /// The scopes it carries.
    pub scopes: Arc<[Box<str>]>,
    /// When it was made or last replaced, in Unix milliseconds.
    pub issued_at_ms: i64,
    /// Whether it is new; else the device may have it already.
    pub minted: bool,
}

impl IssuedToken {
    fn of(token: &Token, minted: bool, now_ms: i64) -> Self {
        let issued = token.rotated_at_ms.or(token.created_at_ms);
        IssuedToken {
            token: token.token.clone(),
            role: token.role.clone(),
            scopes: token.scopes.clone(),
            issued_at_ms: issued.unwrap_or(now_ms),
            minted,
        }
    }
}

/// The token that goes with an admission: the one the record has, if it carries what is asked
/// for, else a new one that carries exactly that.
///
/// None without a record, without an approved role or list of scopes, or for scopes beyond
/// the approved ones: an admission that the record does not bear out lasts for its session.
#[must_use]
pub fn ensure_token(
    standing: &Standing,
    ask: &Ask<'_>,
    fresh: &mut Fresh<'_>,
    now_ms: i64,
    rules: &Compatibility,
) -> (Option<IssuedToken>, Change) {
    let none = Change::none(ask.device_id.clone());
    let Some(record) = entitled(standing, ask, rules) else {
        return (None, none);
    };
    let role = ask.role.name();
    let issuer = ask
        .issuer
        .filter(|_| rules.pairing.page_tokens_follow_secret);
    let current = record
        .token(role)
        .filter(|token| is_enough(token, record, ask, issuer, rules));
    if let Some(token) = current {
        return (Some(IssuedToken::of(token, false, now_ms)), none);
    }
    let old = entry(record, role);
    let token = renewed(old, role, ask.scopes, issuer.cloned(), fresh, now_ms);
    let issued = IssuedToken::of(&token, true, now_ms);
    (Some(issued), put(record, token))
}

/// The record that a token may be given on.
fn entitled<'a>(
    standing: &'a Standing,
    ask: &Ask<'_>,
    rules: &Compatibility,
) -> Option<&'a Record> {
    let role = ask.role.name();
    let record = standing.record.as_ref().filter(|record| {
        *record.device_id == **ask.device_id
            && (rules.token_of_another_key || same_key(&record.public_key, ask.public_key))
    })?;
    let listed = record.approved_scopes.is_some() || record.scopes.is_some();
    let in_role =
        rules.pairing.token_without_role || record.approved_roles().any(|known| known == role);
    let within = covers(rules.scope_rule, role, ask.scopes, record.baseline()).is_ok();
    (listed && in_role && within).then_some(record)
}

fn is_enough(
    token: &Token,
    record: &Record,
    ask: &Ask<'_>,
    issuer: Option<&Issuer>,
    rules: &Compatibility,
) -> bool {
    let role = ask.role.name();
    let within = !rules.pairing.token_within_approval
        || covers(rules.scope_rule, role, &token.scopes, record.baseline()).is_ok();
    let bound = issuer.is_none() || token.issuer.as_ref() == issuer;
    within && bound && covers(rules.scope_rule, role, ask.scopes, &token.scopes).is_ok()
}

/// Notes that the token of the role was what let the device in.
#[must_use]
pub fn use_token(standing: &Standing, role: Role, now_ms: i64) -> Change {
    let Some(record) = &standing.record else {
        return Change::default();
    };
    Change {
        notes: Notes {
            token_used: record.token(role.name()).map(|_| (role, now_ms)),
            ..Notes::default()
        },
        ..Change::none(&*record.device_id)
    }
}

/// Why a token is not replaced or revoked. The client is told one sentence for all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenDenied {
    /// No such device, or it has no token for the role.
    #[error("unknown deviceId/role")]
    Unknown,
    /// The record names no approved scopes.
    #[error("missing-approved-scope-baseline")]
    NoBaseline,
    /// The record does not approve this scope.
    #[error("scope-outside-approved-baseline: {0}")]
    OutsideBaseline(Box<str>),
    /// Whoever asks does not hold this scope.
    #[error("caller-missing-scope: {0}")]
    MissingScope(Box<str>),
}

/// Replaces the token of a role by a new one, with these scopes or those it had. The old one
/// is dead; a revoked one comes back to life.
///
/// # Errors
///
/// [`TokenDenied`] when there is no such token, or it would carry more than the record
/// approves or `holder` holds.
pub fn rotate(
    standing: &Standing,
    role: &str,
    scopes: Option<&[Box<str>]>,
    holder: &[Box<str>],
    fresh: &mut Fresh<'_>,
    now_ms: i64,
    rules: &Compatibility,
) -> Result<(IssuedToken, Change), TokenDenied> {
    let record = standing.record.as_ref().ok_or(TokenDenied::Unknown)?;
    let old = entry(record, role).ok_or(TokenDenied::Unknown)?;
    if !record.approved_roles().any(|known| known == role) {
        return Err(TokenDenied::Unknown);
    }
    if record.approved_scopes.is_none() && record.scopes.is_none() {
        return Err(TokenDenied::NoBaseline);
    }
    let scopes = carried(scopes.unwrap_or(&old.scopes));
    covers(rules.scope_rule, role, &scopes, record.baseline())
        .map_err(|scope| TokenDenied::OutsideBaseline(scope.into()))?;
    covers(rules.scope_rule, role, &scopes, holder)
        .map_err(|scope| TokenDenied::MissingScope(scope.into()))?;
    let token = renewed(Some(old), role, &scopes, old.issuer.clone(), fresh, now_ms);
    let issued = IssuedToken::of(&token, true, now_ms);
    Ok((issued, put(record, token)))
}

/// Revokes the token of a role: it matches nothing any more.
///
/// # Errors
///
/// [`TokenDenied::Unknown`] when there is no such token.
pub fn revoke(standing: &Standing, role: &str, now_ms: i64) -> Result<Change, TokenDenied> {
    let record = standing.record.as_ref().ok_or(TokenDenied::Unknown)?;
    let token = entry(record, role).ok_or(TokenDenied::Unknown)?;
    let revoked = Token {
        revoked_at_ms: Some(now_ms),
        ..token.clone()
    };
    Ok(put(record, revoked))
}

/// The token of a role, revoked or not.
fn entry<'a>(record: &'a Record, role: &str) -> Option<&'a Token> {
    record.tokens.as_ref()?.get(role)
}

/// A new token of the role, in the place of the old one.
pub(super) fn renewed(
    old: Option<&Token>,
    role: &str,
    scopes: &[Box<str>],
    issuer: Option<Issuer>,
    fresh: &mut Fresh<'_>,
    now_ms: i64,
) -> Token {
    Token {
        token: (fresh.secret)(),
        role: role.into(),
        scopes: carried(scopes).into(),
        created_at_ms: old.and_then(|old| old.created_at_ms).or(Some(now_ms)),
        rotated_at_ms: old.map(|_| now_ms),
        revoked_at_ms: None,
        last_used_at_ms: old.and_then(|old| old.last_used_at_ms),
        issuer,
    }
}

fn put(record: &Record, token: Token) -> Change {
    let mut tokens: BTreeMap<Box<str>, Token> = record.tokens.clone().unwrap_or_default();
    tokens.insert((&token.role).into(), token);
    Change {
        record: Write::Put(Record {
            tokens: Some(tokens),
            ..record.clone()
        }),
        ..Change::none(&*record.device_id)
    }
}
