//! What an owner grants a paired device without a request: more than it was approved for, or less.
//!
//! OpenClaw has no such call. What it writes is what an approval writes, so that every release
//! reads the record alike.

use super::approve::Denied;
use super::change::{Change, Fresh, Write};
use super::lists::{belongs_to, carried, united};
use super::record::{Record, Token, Via};
use super::token::renewed;
use crate::facts::Role;
use crate::facts::scopes::{covers, outside_roles};
use crate::settings::Compatibility;

/// Lets a device have a role, and with `scopes` exactly these scopes of it. What it is approved
/// for in other roles stays, and so does the time at which its record ends.
///
/// The token of the role carries what is granted. Where there is none, or it was revoked, another
/// one is made, and the device is told it when it comes in next. A request that waits stays.
///
/// # Errors
///
/// [`Denied`] when a scope is not the role's, or `granter` does not hold it: nobody grants what
/// they could not approve.
pub fn grant(
    record: &Record,
    role: Role,
    scopes: Option<&[Box<str>]>,
    granter: &[Box<str>],
    fresh: &mut Fresh<'_>,
    now_ms: i64,
    rules: &Compatibility,
) -> Result<Change, Denied> {
    let name = role.name();
    let had = record.baseline();
    let of_role: Vec<&str> = match scopes {
        Some(scopes) => scopes.iter().map(AsRef::as_ref).collect(),
        None => had
            .iter()
            .map(AsRef::as_ref)
            .filter(|scope| belongs_to(scope, name))
            .collect(),
    };
    if let Some(scope) = outside_roles(&[name], &of_role) {
        return Err(Denied::ScopeOutsideRoles(scope.trim().into()));
    }
    covers(rules.scope_rule, Role::Operator.name(), &of_role, granter)
        .map_err(|scope| Denied::MissingScope(scope.trim().into()))?;
    let of_others = had.iter().filter(|scope| !belongs_to(scope, name));
    let approved = united(of_others, &of_role);
    let mut tokens = record.tokens.clone().unwrap_or_default();
    let token = match tokens.get(name) {
        Some(old) if old.revoked_at_ms.is_none() => Token {
            scopes: carried(&of_role).into(),
            ..old.clone()
        },
        old => {
            let granted = united(&of_role, [""; 0]);
            renewed(old, name, &granted, None, fresh, now_ms)
        }
    };
    tokens.insert(name.into(), token);
    Ok(Change {
        record: Write::Put(Record {
            roles: Some(united(record.approved_roles(), [name])),
            scopes: rules.pairing.list(approved.clone()),
            approved_scopes: rules.pairing.list(approved),
            tokens: Some(tokens),
            approved_at_ms: Some(now_ms),
            approved_via: rules.pairing.provenance.then_some(Via::Owner),
            ..record.clone()
        }),
        ..Change::none(&*record.device_id)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    fn granted(
        record: &Record,
        role: Role,
        scopes: Option<&[&str]>,
        granter: &[&str],
    ) -> Result<Record, Denied> {
        let boxed =
            |list: &[&str]| -> Vec<Box<str>> { list.iter().map(|it| (*it).into()).collect() };
        let scopes = scopes.map(boxed);
        let mut request_id = || Box::from("request");
        let mut secret = || Secret::new("fresh");
        let mut fresh = Fresh {
            request_id: &mut request_id,
            secret: &mut secret,
        };
        let rules = Compatibility::default();
        let granter = boxed(granter);
        let change = grant(
            record,
            role,
            scopes.as_deref(),
            &granter,
            &mut fresh,
            9,
            &rules,
        )?;
        match change.record {
            Write::Put(record) => Ok(record),
            Write::Keep | Write::Remove => panic!("nothing is granted"),
        }
    }

    fn record() -> Record {
        serde_json::from_value(serde_json::json!({
            "deviceId": "d", "publicKey": "k", "roles": ["operator"],
            "scopes": ["operator.read"], "approvedScopes": ["operator.read"],
            "tokens": { "operator": { "token": "old", "role": "operator", "scopes": ["operator.read"] } },
            "expiresAtMs": 100,
        }))
        .unwrap()
    }

    #[test]
    fn a_device_has_what_is_granted_and_keeps_its_token() {
        let raised = granted(
            &record(),
            Role::Operator,
            Some(&["operator.write", "operator.pairing"]),
            &["operator.admin"],
        )
        .unwrap();
        let expected = ["operator.write", "operator.pairing"].map(Box::from);
        assert_eq!(raised.baseline(), expected);
        let token = raised.token("operator").unwrap();
        assert!(token.token.matches(&Secret::new("old")));
        assert_eq!(
            *token.scopes,
            ["operator.pairing", "operator.read", "operator.write"].map(Box::from)
        );
        assert_eq!(
            (raised.approved_at_ms, raised.expires_at_ms),
            (Some(9), Some(100))
        );
        let lowered = granted(&raised, Role::Operator, Some(&[]), &["operator.pairing"]).unwrap();
        assert!(lowered.baseline().is_empty());
        assert!(lowered.token("operator").unwrap().scopes.is_empty());
    }

    #[test]
    fn a_role_is_granted_with_a_token_and_takes_nothing_from_others() {
        let both = granted(&record(), Role::Node, None, &["operator.admin"]).unwrap();
        assert_eq!(
            both.approved_roles().collect::<Vec<_>>(),
            ["operator", "node"]
        );
        assert_eq!(both.baseline(), record().baseline());
        assert!(
            both.token("node")
                .unwrap()
                .token
                .matches(&Secret::new("fresh"))
        );
        let mut revoked = both;
        for token in revoked
            .tokens
            .iter_mut()
            .flat_map(|tokens| tokens.values_mut())
        {
            token.revoked_at_ms = Some(1);
        }
        let back = granted(&revoked, Role::Operator, None, &["operator.admin"]).unwrap();
        assert!(
            back.token("operator")
                .unwrap()
                .token
                .matches(&Secret::new("fresh"))
        );
        assert!(back.token("node").is_none(), "nobody granted it again");
    }

    #[test]
    fn nobody_grants_what_they_could_not_approve() {
        let missing = granted(
            &record(),
            Role::Operator,
            Some(&["operator.read", "operator.admin"]),
            &["operator.pairing", "operator.read"],
        );
        assert_eq!(missing, Err(Denied::MissingScope("operator.admin".into())));
        let outside = granted(
            &record(),
            Role::Node,
            Some(&["operator.read"]),
            &["operator.admin"],
        );
        assert_eq!(
            outside,
            Err(Denied::ScopeOutsideRoles("operator.read".into()))
        );
        // What it had is granted anew with the role, so it has to be held as well.
        let again = granted(&record(), Role::Operator, None, &["operator.pairing"]);
        assert_eq!(again, Err(Denied::MissingScope("operator.read".into())));
    }
}
