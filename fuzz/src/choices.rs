//! Bytes as choices: each byte picks one of several things, so that a small change of an input is a
//! small change of what is tried. Where the bytes end, the first thing is picked.

/// The choices that are left.
pub(crate) struct Choices<'a>(&'a [u8]);

impl<'a> Choices<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Choices(bytes)
    }

    /// Whether none are left.
    pub(crate) fn is_over(&self) -> bool {
        self.0.is_empty()
    }

    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        *first
    }

    /// A number below another, which is at most 256.
    pub(crate) fn below(&mut self, many: usize) -> usize {
        usize::from(self.byte()) % many.max(1)
    }

    /// One of two.
    pub(crate) fn flag(&mut self) -> bool {
        self.below(2) == 1
    }

    /// Once in eight.
    pub(crate) fn rarely(&mut self) -> bool {
        self.below(8) == 7
    }

    /// One of several.
    pub(crate) fn one<'t, T>(&mut self, all: &'t [T]) -> &'t T {
        &all[self.below(all.len())]
    }

    /// Any of several, in their order.
    pub(crate) fn some<'t, T>(&mut self, all: &'t [T]) -> Vec<&'t T> {
        let mut which = self.below(256);
        let mut chosen = Vec::new();
        for one in all {
            if which & 1 == 1 {
                chosen.push(one);
            }
            which >>= 1;
        }
        chosen
    }

    /// The bytes that are left.
    pub(crate) fn rest(self) -> &'a [u8] {
        self.0
    }
}
