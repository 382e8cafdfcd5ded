//! For each class of values the clauses that stand with it, one behind the other: found at once, and
//! as large as all of them together. For clauses that stand with many classes see
//! [`tree`](super::tree).

use super::choice::{Choice, Classes};
use crate::facts::Facts;

/// The clauses of each class.
#[derive(Clone, Debug)]
pub(crate) struct Lists {
    classes: Classes,
    /// Where the entries of each class begin; behind the last one, where they end.
    starts: Vec<u32>,
    entries: Vec<Entry>,
}

/// A word of clauses that is not empty.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(super) bits: u64,
    pub(super) word: u32,
}

impl Lists {
    /// The lists of a choice, if they have no more entries than so many.
    pub(super) fn new(choice: &Choice, most: usize) -> Option<Self> {
        let always = || {
            let words = (0_u32..).zip(choice.always.iter().copied());
            words.filter(|(_, bits)| *bits != 0)
        };
        let spread = choice.stretches.iter().map(|it| it.to - it.from);
        let classes = choice.classes.count();
        let all = spread.fold(classes * always().count(), usize::saturating_add);
        if all > most {
            return None;
        }
        let mut own: Vec<Vec<Entry>> = vec![Vec::new(); classes];
        for stretch in &choice.stretches {
            for list in own.iter_mut().take(stretch.to).skip(stretch.from) {
                match list.last_mut() {
                    Some(last) if last.word == stretch.word => last.bits |= stretch.bit,
                    _ => list.push(Entry {
                        bits: stretch.bit,
                        word: stretch.word,
                    }),
                }
            }
        }
        let mut lists = Lists {
            classes: choice.classes.clone(),
            starts: vec![0],
            entries: Vec::new(),
        };
        for own in own {
            let mut own = own.into_iter().peekable();
            for (word, bits) in always() {
                while let Some(before) = own.next_if(|entry| entry.word < word) {
                    lists.entries.push(before);
                }
                let same = own.next_if(|entry| entry.word == word);
                lists.entries.push(Entry {
                    bits: bits | same.map_or(0, |entry| entry.bits),
                    word,
                });
            }
            lists.entries.extend(own);
            lists.starts.push(super::narrow(lists.entries.len()));
        }
        Some(lists)
    }

    /// The words of the class of a connection, in order.
    #[inline]
    pub(super) fn of(&self, facts: &Facts) -> &[Entry] {
        let class = self.classes.of(facts);
        let bounds = self.starts.get(class..class + 2);
        let Some([start, end]) = bounds else {
            return &[];
        };
        let own = self.entries.get(*start as usize..*end as usize);
        own.unwrap_or_default()
    }
}

/// The clauses of a word in a list.
#[inline]
pub(super) fn word(list: &[Entry], word: u32) -> u64 {
    let found = list.binary_search_by_key(&word, |entry| entry.word);
    found
        .ok()
        .and_then(|at| list.get(at))
        .map_or(0, |entry| entry.bits)
}
