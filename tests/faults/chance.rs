//! Chance that can be had again: numbers from a seed that is told.

use std::env;
use std::hash::{BuildHasher as _, RandomState};

/// Numbers that look like chance.
pub(crate) struct Chance {
    state: u64,
}

impl Chance {
    /// From the seed of this run, which is told where the test fails.
    pub(crate) fn new(what: &str) -> Self {
        let given = env::var("GW_FAULT_SEED").ok();
        let seed = given.map_or_else(
            || RandomState::new().hash_one(0),
            |seed| seed.parse().unwrap(),
        );
        println!("{what}: GW_FAULT_SEED={seed}");
        Chance { state: seed }
    }

    /// A number below a bound.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        // SplitMix64.
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut number = self.state;
        number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        number ^= number >> 31;
        usize::try_from(number % u64::try_from(bound.max(1)).unwrap()).unwrap()
    }
}

/// How often what depends on chance is tried.
pub(crate) fn rounds() -> usize {
    env::var("GW_FAULT_ROUNDS").map_or(2, |rounds| rounds.parse().unwrap())
}
