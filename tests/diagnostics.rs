//! The pages of the diagnostics.

fn main() {}
