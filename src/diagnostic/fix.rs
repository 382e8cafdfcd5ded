//! Edits of a text that do away with a diagnostic. Whether they may be made is not known here.

use crate::source::Span;

/// A piece of text in the place of another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// What goes; empty where something is only added.
    pub span: Span,
    /// What comes.
    pub text: String,
}

/// What edits are meant to do to what is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Every verdict stays as it is.
    Keeps,
    /// Somebody gets less, and nobody more.
    Narrows,
    /// Which verdicts become others is for the author to judge.
    Changes,
}

/// What would do away with a diagnostic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fix {
    /// What it does, in a few words: `delete [lan]`.
    pub says: String,
    /// What it is meant to do to what is decided.
    pub effect: Effect,
    /// The edits, in the order of the text, none of which overlaps another one.
    pub edits: Vec<Edit>,
}

impl Fix {
    /// Whether it is meant to leave every verdict as it is.
    #[must_use]
    pub fn keeps_meaning(&self) -> bool {
        self.effect == Effect::Keeps
    }
}

/// A text after edits, and which part of it came from where: the first byte of each part now, and
/// where that was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edited {
    /// The text now.
    pub text: String,
    parts: Vec<(usize, usize)>,
}

impl Edited {
    /// Makes edits of one text; `None` where two of them overlap, or one does not fit.
    #[must_use]
    pub fn new(text: &str, edits: &[&Edit]) -> Option<Self> {
        let mut edits = edits.to_vec();
        edits.sort_by_key(|edit| (edit.span.start, edit.span.end));
        let mut edited = Edited {
            text: String::with_capacity(text.len()),
            parts: Vec::new(),
        };
        let mut from = 0;
        for edit in edits {
            let range = edit.span.range();
            edited.part(text.get(from..range.start)?, from);
            edited.part(&edit.text, range.start);
            from = range.end;
        }
        edited.part(text.get(from..)?, from);
        Some(edited)
    }

    fn part(&mut self, text: &str, was: usize) {
        self.parts.push((self.text.len(), was));
        self.text.push_str(text);
    }

    /// Where a byte of the text was before.
    #[must_use]
    pub fn was(&self, at: usize) -> usize {
        let behind = self.parts.partition_point(|(now, _)| *now <= at);
        let part = behind.checked_sub(1).and_then(|last| self.parts.get(last));
        part.map_or(at, |(now, was)| was + (at - now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::SourceId;

    fn edit(start: usize, end: usize, text: &str) -> Edit {
        Edit {
            span: Span::new(SourceId::default(), start..end),
            text: text.to_owned(),
        }
    }

    #[test]
    fn what_stays_knows_where_it_was() {
        let (first, second) = (edit(2, 4, ""), edit(6, 6, "+++"));
        let edited = Edited::new("abcdefgh", &[&second, &first]).unwrap();
        assert_eq!(edited.text, "abef+++gh");
        let was = |now: &str| edited.was(edited.text.find(now).unwrap());
        assert_eq!([was("a"), was("e"), was("g")], [0, 4, 6]);
    }

    #[test]
    fn edits_that_overlap_or_do_not_fit_are_not_made() {
        let overlapping = [&edit(0, 3, ""), &edit(2, 4, "x")];
        assert_eq!(Edited::new("abcd", &overlapping), None);
        assert_eq!(Edited::new("abcd", &[&edit(3, 9, "")]), None);
        assert_eq!(Edited::new("aé", &[&edit(2, 3, "")]), None);
    }
}
