//! Setup codes, on the wire `auth.bootstrapToken`: what an owner hands to a new device so that
//! it may pair itself.
//!
//! Making one up, keeping it and forgetting it is not here; each step gives the code as it is
//! to be kept afterwards.

use super::claims::{Claims, DeviceClaim};
use crate::facts::scopes::{Scope, ScopeRule, ScopeSet, covers};
use crate::facts::word::words;
use crate::facts::{Role, Text, scopes::outside_roles};
use crate::pairing::key::same_key;
use crate::secret::Secret;

words! {
    /// What a setup code is for.
    Purpose {
        General "general" "an app that is a node and an operator, without administration",
        ControlUi "control-ui" "a dashboard",
        ControlUiOwner "control-ui-owner" "the owner's dashboard: all of it",
        MobileFull "mobile-full" "an app that is a node and an administrator",
        NodeOnly "node-only" "a node and nothing else",
        VoiceNode "voice-node" "a node that one talks to",
    }
}

impl Purpose {
    /// The roles that it may be redeemed for.
    #[must_use]
    pub fn roles(self) -> &'static [Role] {
        match self {
            Purpose::General | Purpose::MobileFull | Purpose::VoiceNode => {
                &[Role::Node, Role::Operator]
            }
            Purpose::ControlUi | Purpose::ControlUiOwner => &[Role::Operator],
            Purpose::NodeOnly => &[Role::Node],
        }
    }

    /// The scopes that an operator may get by it.
    #[must_use]
    pub fn scopes(self) -> ScopeSet {
        let general = ScopeSet::of(&[
            Scope::Approvals,
            Scope::Questions,
            Scope::Read,
            Scope::TalkSecrets,
            Scope::Write,
        ]);
        match self {
            Purpose::General | Purpose::ControlUi => general,
            Purpose::ControlUiOwner => general.union(ScopeSet::of(&[Scope::Admin, Scope::Pairing])),
            Purpose::MobileFull => general.union(ScopeSet::of(&[Scope::Admin])),
            Purpose::VoiceNode => ScopeSet::of(&[Scope::Read, Scope::Talk]),
            Purpose::NodeOnly => ScopeSet::EMPTY,
        }
    }

    fn allows(self, role: Role, scopes: &[Box<str>]) -> bool {
        let approved: Vec<&str> = match role {
            Role::Operator => self.scopes().iter().map(Scope::name).collect(),
            Role::Node => Vec::new(),
        };
        // Exactly the listed ones and what they cover: a code hands out nothing by a name that
        // only a later release knows.
        self.roles().contains(&role)
            && outside_roles(&[role.name()], scopes).is_none()
            && covers(ScopeRule::FineGrained, role.name(), scopes, &approved).is_ok()
    }
}

/// A setup code that was issued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetupCode {
    secret: Secret,
    purpose: Purpose,
    expires_ms: i64,
    bound: Option<BoundDevice>,
    spent: Vec<Role>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct BoundDevice {
    id: Text,
    public_key: Text,
}

/// What became of a setup code that was redeemed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redeemed {
    /// The code as it is to be kept; none when it is spent and to be forgotten.
    pub kept: Option<SetupCode>,
    /// The roles that the device gets by it: the one it asked for first, then those that are
    /// handed over with it.
    pub roles: Vec<Role>,
    /// What an operator's token of it carries.
    pub scopes: ScopeSet,
}

/// Why a setup code is not good. A client is told one thing for all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SetupCodeError {
    /// No such code was issued, or it was forgotten.
    #[error("no such setup code")]
    Unknown,
    /// It was issued too long ago.
    #[error("the setup code has expired")]
    Expired,
    /// Another device presented it before.
    #[error("the setup code belongs to another device")]
    OtherDevice,
    /// It was redeemed for this role before.
    #[error("the setup code was used for this role")]
    Spent,
    /// It is for other roles or scopes.
    #[error("the setup code does not allow this role with these scopes")]
    NotAllowed,
}

impl SetupCode {
    /// How long a code may be presented, in milliseconds.
    pub const LIFE_MS: i64 = 600_000;

    /// A code that is issued at `now_ms`, in Unix milliseconds.
    #[must_use]
    pub fn issue(secret: Secret, purpose: Purpose, now_ms: i64) -> Self {
        SetupCode {
            secret,
            purpose,
            expires_ms: now_ms.saturating_add(Self::LIFE_MS),
            bound: None,
            spent: Vec::new(),
        }
    }

    /// Whether nobody can redeem it any more, at `now_ms` in Unix milliseconds.
    #[must_use]
    pub fn is_expired(&self, now_ms: i64) -> bool {
        now_ms >= self.expires_ms
    }

    /// Whether the device may redeem it for what it asks, at `now_ms` in Unix milliseconds. The
    /// device must be proven.
    ///
    /// # Errors
    ///
    /// [`SetupCodeError`], the first that holds; never `Unknown`.
    pub fn check(
        &self,
        claims: &Claims,
        device: &DeviceClaim,
        now_ms: i64,
    ) -> Result<(), SetupCodeError> {
        let others = self.bound.as_ref().is_some_and(|bound| {
            *bound.id != *device.id || !same_key(&bound.public_key, &device.public_key)
        });
        if self.is_expired(now_ms) {
            Err(SetupCodeError::Expired)
        } else if others {
            Err(SetupCodeError::OtherDevice)
        } else if self.spent.contains(&claims.role) {
            Err(SetupCodeError::Spent)
        } else if !self.purpose.allows(claims.role, &claims.scopes) {
            Err(SetupCodeError::NotAllowed)
        } else {
            Ok(())
        }
    }

    /// Binds the code to the device that presents it, and spends the role that it asks for. A
    /// node is handed all other roles at once, so its code is spent. Call it for a connection
    /// that is admitted, and keep what it gives in the place of this code.
    ///
    /// # Errors
    ///
    /// As [`SetupCode::check`].
    pub fn redeem(
        &self,
        claims: &Claims,
        device: &DeviceClaim,
        now_ms: i64,
    ) -> Result<Redeemed, SetupCodeError> {
        self.check(claims, device, now_ms)?;
        let mut roles = vec![claims.role];
        if claims.role == Role::Node {
            let others = self.purpose.roles().iter();
            roles.extend(others.filter(|role| **role != claims.role && !self.spent.contains(role)));
        }
        let spent: Vec<Role> = self.spent.iter().chain(&roles).copied().collect();
        let left = self
            .purpose
            .roles()
            .iter()
            .any(|role| !spent.contains(role));
        Ok(Redeemed {
            kept: left.then(|| SetupCode {
                bound: Some(BoundDevice {
                    id: device.id.clone(),
                    public_key: device.public_key.clone(),
                }),
                spent,
                ..self.clone()
            }),
            roles,
            scopes: self.purpose.scopes(),
        })
    }
}

/// The place of the code that was sent, if the device may redeem it for what it asks. Every
/// code is compared in constant time.
///
/// # Errors
///
/// [`SetupCodeError`].
pub fn find(
    codes: &[SetupCode],
    sent: &Secret,
    claims: &Claims,
    device: &DeviceClaim,
    now_ms: i64,
) -> Result<usize, SetupCodeError> {
    let same =
        codes
            .iter()
            .enumerate()
            .fold(None, |same, (at, code)| match code.secret.matches(sent) {
                true => Some((at, code)),
                false => same,
            });
    let (at, code) = same.ok_or(SetupCodeError::Unknown)?;
    code.check(claims, device, now_ms).map(|()| at)
}

#[cfg(test)]
mod tests {
    use super::super::claims::Credentials;
    use super::*;
    use crate::facts::{Client, Mode};

    const NOW: i64 = 1_770_000_000_000;

    fn asks(role: Role, scopes: &[&str]) -> Claims {
        Claims {
            client: Client::Ios,
            mode: Mode::Node,
            role,
            scopes: scopes.iter().map(|scope| (*scope).into()).collect(),
            platform: "ios".into(),
            device_family: None,
            device: None,
            credentials: Credentials::default(),
        }
    }

    fn device(id: &str) -> DeviceClaim {
        DeviceClaim {
            id: id.into(),
            public_key: id.into(),
            signature: "".into(),
            signed_at_ms: 0,
            nonce: "".into(),
        }
    }

    fn code(purpose: Purpose) -> SetupCode {
        SetupCode::issue(Secret::new("code"), purpose, NOW)
    }

    #[test]
    fn a_node_gets_all_roles_at_once_and_the_code_is_spent() {
        let redeemed = code(Purpose::General)
            .redeem(&asks(Role::Node, &[]), &device("a"), NOW)
            .unwrap();
        assert_eq!(redeemed.roles, [Role::Node, Role::Operator]);
        assert_eq!(redeemed.kept, None);
        assert!(!redeemed.scopes.contains(Scope::Admin));
    }

    #[test]
    fn an_operator_leaves_the_other_role_to_its_own_device() {
        let operator = asks(Role::Operator, &["operator.read", "operator.write"]);
        let redeemed = code(Purpose::General)
            .redeem(&operator, &device("a"), NOW)
            .unwrap();
        assert_eq!(redeemed.roles, [Role::Operator]);
        let kept = redeemed.kept.unwrap();
        let node = asks(Role::Node, &[]);
        assert_eq!(
            kept.check(&node, &device("b"), NOW),
            Err(SetupCodeError::OtherDevice)
        );
        assert_eq!(
            kept.check(&operator, &device("a"), NOW),
            Err(SetupCodeError::Spent)
        );
        assert_eq!(kept.redeem(&node, &device("a"), NOW).unwrap().kept, None);
    }

    #[test]
    fn a_code_lives_ten_minutes() {
        let node = asks(Role::Node, &[]);
        let check = |now_ms| code(Purpose::NodeOnly).check(&node, &device("a"), now_ms);
        assert_eq!(check(NOW + 599_999), Ok(()));
        assert_eq!(check(NOW + 600_000), Err(SetupCodeError::Expired));
    }

    #[test]
    fn a_code_gives_no_more_than_it_is_for() {
        let check = |purpose, role, scopes: &[&str]| {
            code(purpose)
                .check(&asks(role, scopes), &device("a"), NOW)
                .is_ok()
        };
        for (purpose, role, scopes, allowed) in [
            (Purpose::NodeOnly, Role::Node, &[][..], true),
            (Purpose::NodeOnly, Role::Operator, &[], false),
            (Purpose::NodeOnly, Role::Node, &["operator.read"], false),
            (Purpose::NodeOnly, Role::Node, &["node.exec"], false),
            (Purpose::ControlUi, Role::Node, &[], false),
            (Purpose::General, Role::Operator, &["operator.read"], true),
            (Purpose::General, Role::Operator, &["operator.admin"], false),
            (Purpose::General, Role::Operator, &["operator.later"], false),
            (Purpose::General, Role::Operator, &["foo"], false),
            (
                Purpose::MobileFull,
                Role::Operator,
                &["operator.admin"],
                true,
            ),
            (
                Purpose::VoiceNode,
                Role::Operator,
                &["operator.write"],
                false,
            ),
            (Purpose::VoiceNode, Role::Operator, &["operator.talk"], true),
        ] {
            assert_eq!(
                check(purpose, role, scopes),
                allowed,
                "{purpose} {role} {scopes:?}"
            );
        }
    }

    #[test]
    fn a_code_is_found_by_its_secret() {
        let codes = [code(Purpose::NodeOnly), {
            let other = Secret::new("other");
            SetupCode::issue(other, Purpose::General, NOW)
        }];
        let find = |sent: &str| {
            let node = asks(Role::Node, &[]);
            find(&codes, &Secret::new(sent), &node, &device("a"), NOW)
        };
        assert_eq!(find("other"), Ok(1));
        assert_eq!(find("Other"), Err(SetupCodeError::Unknown));
        assert_eq!(find(""), Err(SetupCodeError::Unknown));
    }
}
