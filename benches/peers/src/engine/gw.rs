//! gw itself: its program, on the facts as they are.

use gw::{Facts, Policy};

use super::{Load, Outcome, Peer, Subject, load};

struct Gw(Policy);

impl Peer for Gw {
    type Input<'f> = &'f Facts;

    fn input<'f>(&self, facts: &'f Facts) -> Result<&'f Facts, String> {
        Ok(facts)
    }

    fn decide(&mut self, facts: &&Facts) -> Result<Outcome, String> {
        let decision = gw::decide(self.0.program(), facts);
        Ok(Outcome::Rule(decision.rule.0 as usize))
    }
}

pub(super) fn translate<'f>(subject: &Subject<'_>) -> Result<Load<'f>, String> {
    let files = subject.files.clone();
    Ok(load(move || Ok(Gw(files.load()?))))
}
