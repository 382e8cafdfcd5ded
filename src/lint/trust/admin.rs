//! Rules by which a process of this host administers the gateway for the asking.

use super::{View, attacker, holes};
use crate::analysis::OverBudget;
use crate::analysis::attacker::{Gain, most};
use crate::diagnostic::{Code, Diagnostic};
use crate::facts::{Facts, Scope, ScopeSet};

pub(in super::super) fn find(view: &mut View<'_>) -> Result<Vec<Diagnostic>, OverBudget> {
    let processes = attacker(view, "local-process", "")?;
    let wanted = ScopeSet::of(&[Scope::Admin]);
    let asking = view.ground.asking(&Facts {
        scopes: wanted,
        ..Facts::default()
    })?;
    let asking = view.ground.arena.and(processes, asking)?;
    let mut found = Vec::new();
    for mut hole in holes(view, asking, |it| most(it.grant()) == Gain::Admin)? {
        hole.facts.scopes = wanted;
        let message = "any process on this host administers the gateway, whoever runs it: it has to ask for \
                       operator.admin, and to prove nothing";
        let remedies = [
            "peer-uid=same-user",
            "auth in { token, password }",
            "pairing=paired",
        ];
        found.push(hole.told(
            view,
            Code::UnverifiedAdmin,
            message.to_owned(),
            &remedies,
            None,
        )?);
    }
    Ok(found)
}
