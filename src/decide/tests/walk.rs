//! A walk through facts: each step gives a few of them other values, and lets the rest follow or
//! leaves it, so that most of what is met can be, and some of it cannot.

use proptest::prelude::Rng as _;
use proptest::test_runner::{RngAlgorithm, TestRng};

use crate::facts::assumptions::{Named, complete};
use crate::facts::attributes::{Value, every_value};
use crate::facts::{AttributeId, Facts};

/// The facts that a walk comes by, without end.
pub(crate) struct Walk {
    start: Facts,
    at: Facts,
    random: TestRng,
    values: Vec<(AttributeId, Vec<Value>)>,
}

impl Walk {
    /// From some facts on; the same seed goes the same way.
    pub(crate) fn new(start: Facts, seed: u8) -> Self {
        Walk {
            at: start.clone(),
            start,
            random: TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]),
            values: AttributeId::all().map(|id| (id, every_value(id))).collect(),
        }
    }

    fn below(&mut self, many: usize) -> usize {
        usize::try_from(self.random.next_u64() % many as u64).unwrap()
    }
}

impl Iterator for Walk {
    type Item = Facts;

    fn next(&mut self) -> Option<Facts> {
        if self.below(16) == 0 {
            self.at = self.start.clone();
        }
        let mut named = Named::default();
        for _ in 0..=self.below(4) {
            let place = self.below(self.values.len());
            let value = self.below(self.values[place].1.len());
            let (id, values) = &self.values[place];
            id.assign(&mut self.at, &values[value]).unwrap();
            named.add(*id);
        }
        if self.below(8) != 0 {
            complete(&mut self.at, &named, |_| true);
        }
        Some(self.at.clone())
    }
}
