//! The table of what a remedy changes: a change gives just the facts that it names their values,
//! whatever all the others are.

use std::collections::BTreeMap;

use gw::facts::{AttributeId, Facts};
use gw::verdict::Reason;
use gw::verdict::change::{APPROVED, Change};

use crate::values::values;

/// Every change of the table.
fn changes() -> Vec<Change> {
    let all = Reason::ALL
        .iter()
        .flat_map(|reason| reason.changes().iter().copied());
    let mut all: Vec<Change> = all.chain([APPROVED]).collect();
    all.sort_by_key(|change| change.done);
    all.dedup_by_key(|change| change.done);
    all
}

/// Facts that differ in one, and two that differ in all.
fn bases() -> Vec<Facts> {
    let mut all = vec![Facts::default(), Facts::default(), Facts::default()];
    for id in AttributeId::all() {
        for value in values(id) {
            let mut facts = Facts::default();
            id.assign(&mut facts, &value).unwrap();
            all.push(facts);
        }
        let ends = [values(id).into_iter().next(), values(id).into_iter().last()];
        for (value, facts) in ends.into_iter().flatten().zip(&mut all) {
            id.assign(facts, &value).unwrap();
        }
    }
    all
}

#[test]
fn change_what_they_name_and_nothing_else() {
    let changes = changes();
    assert!(changes.len() > 10);
    for change in changes {
        let mut given: BTreeMap<&str, String> = BTreeMap::new();
        let mut changed = Vec::new();
        for base in bases() {
            let mut facts = base.clone();
            (change.apply)(&mut facts);
            for id in AttributeId::all() {
                let name = id.row().name;
                let after = id.show(&facts);
                let is_changed = after != id.show(&base);
                if !change.about.contains(&name) {
                    assert!(!is_changed, "\"{}\" changes {name}", change.done);
                    continue;
                }
                changed.extend(is_changed.then_some(name));
                let known = given.entry(name).or_insert_with(|| after.clone());
                assert_eq!(
                    *known, after,
                    "\"{}\": {name} depends on others",
                    change.done
                );
            }
        }
        for name in change.about {
            assert!(changed.contains(name), "\"{}\" leaves {name}", change.done);
        }
    }
}
