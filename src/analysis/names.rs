//! The names that policies give to conditions and to sets, for what is told of them.

use super::cube::Runs;
use super::diagram::{ClassId, Id, OverBudget, Var};
use super::ground::Ground;
use super::term;
use crate::compile::networks::Networks;
use crate::compile::program::{Instruction, Test};
use crate::compile::{Lone, Program, lone};
use crate::facts::{AttributeId, Kind};
use crate::lang::check::Vocabulary;
use crate::lang::checked::Members;

/// What may be said by name, and how often each attribute is asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names {
    definitions: Vec<(String, Lone)>,
    sets: Vec<(String, AttributeId, Members)>,
    /// Networks that are written where they are asked for.
    listed: Vec<(AttributeId, Networks)>,
    /// What is asked of sets of scopes.
    of_scopes: Vec<(AttributeId, Test)>,
    asked: Vec<usize>,
}

impl Names {
    /// Those of some policies.
    pub(crate) fn new(policies: &[(&Program, &Vocabulary)]) -> Self {
        let mut names = Names {
            asked: AttributeId::all().map(|_| 0).collect(),
            ..Names::default()
        };
        for (program, vocabulary) in policies {
            for (name, condition) in vocabulary.definitions() {
                let lone = lone(condition);
                names.compare(&lone.instructions);
                names.definitions.push((name.to_owned(), lone));
            }
            for id in AttributeId::all() {
                let sets = vocabulary.sets(id).into_iter();
                let named = sets.map(|(name, members)| (name.to_owned(), id, members));
                names.sets.extend(named);
            }
            names.compare(&program.instructions);
            for instruction in &program.instructions {
                if let Test::Address(_, 0, networks) = &instruction.test
                    && !networks.is_empty()
                {
                    let listed = (instruction.attribute, networks.clone());
                    names.listed.push(listed);
                }
                if let Some(count) = names.asked.get_mut(usize::from(instruction.attribute.0)) {
                    *count += 1;
                }
            }
        }
        names
    }

    /// With what sets are compared elsewhere: regions over a space that tells that apart are told by
    /// it, too.
    pub(crate) fn compare(&mut self, instructions: &[Instruction]) {
        for instruction in instructions {
            if let Kind::Set { .. } = instruction.attribute.row().kind {
                let test = (instruction.attribute, instruction.test.clone());
                self.of_scopes.push(test);
            }
        }
    }

    /// The conditions, so that what they ask for is told apart.
    pub(crate) fn beside(&self) -> Vec<Lone> {
        let all = self.definitions.iter();
        all.map(|(_, lone)| lone.clone()).collect()
    }

    /// What is asked of an attribute that is a set.
    pub(super) fn tests(&self, attribute: AttributeId) -> impl Iterator<Item = &Test> {
        let own = self.of_scopes.iter().filter(move |it| it.0 == attribute);
        own.map(|(_, test)| test)
    }

    /// How often policies ask for an attribute.
    pub(super) fn asked(&self, attribute: AttributeId) -> usize {
        let count = self.asked.get(usize::from(attribute.0));
        count.copied().unwrap_or_default()
    }

    /// The definitions over a ground that tells apart what they ask for. A name that policies use
    /// differently is nobody's.
    pub(super) fn drawn(&self, ground: &mut Ground) -> Result<Vec<(String, Id)>, OverBudget> {
        let mut drawn: Vec<(String, Id)> = Vec::new();
        let mut differing = Vec::new();
        for (name, lone) in &self.definitions {
            let holds = ground.holds(lone)?;
            match drawn.iter().find(|(known, _)| known == name) {
                Some((_, known)) if *known != holds => differing.push(name.clone()),
                Some(_) => {}
                None => drawn.push((name.clone(), holds)),
            }
        }
        drawn.retain(|(name, _)| !differing.contains(name));
        Ok(drawn)
    }

    /// The sets that a variable's attribute can be compared with, each with the classes in it: by
    /// name, then as they are written. One that divides a class is left out, and the name that
    /// policies use differently.
    pub(super) fn sets(&self, ground: &Ground, var: Var) -> Vec<(String, Vec<ClassId>)> {
        let Some(domain) = ground.space.domain(var) else {
            return Vec::new();
        };
        let own = self.sets.iter().filter(|it| it.1 == domain.attribute);
        let all: Vec<&(String, AttributeId, Members)> = own.collect();
        let alone = all.iter().filter(|it| {
            let same = |other: &&&(String, AttributeId, Members)| other.0 == it.0;
            all.iter().filter(same).all(|other| other.2 == it.2)
        });
        let mut sets: Vec<(String, Vec<ClassId>)> = Vec::new();
        for (name, _, members) in alone {
            let classes = term::classes(domain, members);
            if let Some(classes) = classes
                && !sets.iter().any(|(known, _)| known == name)
            {
                sets.push((name.clone(), classes));
            }
        }
        let listed = self.listed.iter().filter(|it| it.0 == domain.attribute);
        for (_, networks) in listed {
            let text = format!("{{ {} }}", term::networks(networks.ranges()).join(", "));
            if let Some(classes) = term::classes_of(domain, networks)
                && !sets.iter().any(|(known, _)| *known == text)
            {
                sets.push((text, classes));
            }
        }
        sets
    }
}

/// Whether runs are just these classes.
pub(super) fn is_just(runs: &Runs, classes: &[ClassId]) -> bool {
    runs.len() as usize == classes.len() && classes.iter().all(|class| runs.contains(*class))
}
