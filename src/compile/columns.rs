//! Columns of bitsets: which attributes share one, and which of its rows some facts are in. What the
//! rows hold is not here.

use super::sets::Sets;
use crate::facts::AttributeId;
use crate::facts::codes::{Codes, SETS, place};

/// How many rows columns may come to that are put together.
pub(super) const MOST_ROWS: usize = 256;
/// How many columns are made for terms of several attributes.
const MOST_GROUPS: usize = 8;
/// As many columns as there can be.
pub(super) const MOST_COLUMNS: usize = 48 + MOST_GROUPS;

/// Four columns, whose rows are found with one sum: sixteen bits of it are the row of each.
#[derive(Clone, Debug, Default)]
pub(super) struct Four {
    /// Four at a time; those that nothing is asked of make no row more.
    parts: Vec<[Part; 4]>,
    /// Which row of all is the first one of each. Where there is no column it is the first row, which
    /// has all clauses.
    first: [u32; 4],
}

/// An attribute of a column: the place of its code, and how many rows one more makes.
#[derive(Clone, Copy, Debug, Default)]
struct Part {
    place: u8,
    times: u64,
}

impl Four {
    /// Puts a column of some attributes in its lane, with its first row; says how many rows it has.
    pub(super) fn put(&mut self, lane: usize, together: &[Single], first: u32) -> usize {
        let mut rows = 1;
        let parts = together.iter().map(|single| {
            let times = (rows as u64) << (16 * lane);
            rows *= single.values;
            Part {
                place: single.place,
                times,
            }
        });
        let used = self.parts.iter().flatten().copied();
        let used = used.filter(|part| part.times != 0);
        let mut parts: Vec<Part> = used.chain(parts).collect();
        parts.resize(parts.len().next_multiple_of(4), Part::default());
        self.parts = parts.as_chunks().0.to_vec();
        if let Some(own) = self.first.get_mut(lane) {
            *own = first;
        }
        rows
    }

    /// The row of each column, among all rows. No row of a column is beyond its sixteen bits, so
    /// that nothing overflows.
    #[inline]
    pub(super) fn rows(&self, codes: &Codes) -> [u32; 4] {
        let mut sum = 0_u64;
        for four in &self.parts {
            for part in four {
                let rows = u64::from(codes.at(part.place)).wrapping_mul(part.times);
                sum = sum.wrapping_add(rows);
            }
        }
        let [a, b, c, d, e, f, g, h] = sum.to_le_bytes();
        let [i, j, k, l] = self.first;
        let row = |first: u32, low, high| first.wrapping_add(u32::from_le_bytes([low, high, 0, 0]));
        [row(i, a, b), row(j, c, d), row(k, e, f), row(l, g, h)]
    }
}

/// An attribute that tells clauses apart.
#[derive(Clone, Debug)]
pub(super) struct Single {
    pub(super) attribute: AttributeId,
    place: u8,
    pub(super) values: usize,
    /// A bitset for each of its values, where any clause cannot apply.
    pub(super) rows: Vec<u64>,
}

/// What each attribute of the table may tell apart: nothing for texts.
pub(super) fn singles(sets: Option<&Sets>) -> Vec<Option<Single>> {
    let single = |attribute: AttributeId| {
        let (place, values) = match sets.filter(|sets| sets.attribute == attribute) {
            Some(sets) => (SETS, sets.classes()),
            None => place(attribute)?,
        };
        Some(Single {
            attribute,
            place,
            values,
            rows: Vec::new(),
        })
    };
    AttributeId::all().map(single).collect()
}

/// How many rows a column of some attributes has.
fn rows_of(group: &[AttributeId], singles: &[Option<Single>]) -> usize {
    let values = group.iter().map(|id| {
        let single = singles.get(usize::from(id.0));
        let single = single.and_then(Option::as_ref);
        single.map_or(1, |single| single.values)
    });
    values.fold(1, usize::saturating_mul)
}

/// Whether some attributes are in a group, which is made or extended where that takes few rows.
pub(super) fn has_group(
    groups: &mut Vec<Vec<AttributeId>>,
    asked: &[AttributeId],
    singles: &[Option<Single>],
) -> bool {
    let fits = |group: &[AttributeId]| rows_of(group, singles) <= MOST_ROWS;
    if groups
        .iter()
        .any(|group| asked.iter().all(|id| group.contains(id)))
    {
        return true;
    }
    for group in groups.iter_mut() {
        let mut both = group.clone();
        both.extend(asked.iter().filter(|id| !group.contains(id)));
        if fits(&both) {
            *group = both;
            return true;
        }
    }
    let is_new = groups.len() < MOST_GROUPS && fits(asked);
    if is_new {
        groups.push(asked.to_vec());
    }
    is_new
}

/// The attributes of each column: those of a group, and what else fits beside them; few rows for
/// all of them together.
pub(super) fn columns(
    groups: Vec<Vec<AttributeId>>,
    singles: Vec<Option<Single>>,
) -> Vec<Vec<Single>> {
    let single = |id: &AttributeId| singles.get(usize::from(id.0)).cloned().flatten();
    let mut all: Vec<(usize, Vec<Single>)> = groups
        .iter()
        .map(|group| {
            let together: Vec<Single> = group.iter().filter_map(single).collect();
            (rows_of(group, &singles), together)
        })
        .collect();
    let mut others: Vec<Single> = singles
        .iter()
        .flatten()
        .filter(|single| {
            let is_in = groups.iter().any(|group| group.contains(&single.attribute));
            !single.rows.is_empty() && !is_in
        })
        .cloned()
        .collect();
    others.sort_by_key(|single| std::cmp::Reverse(single.values));
    for single in others {
        let fits = all
            .iter_mut()
            .find(|(rows, _)| rows.saturating_mul(single.values) <= MOST_ROWS);
        match fits {
            Some((rows, together)) => {
                *rows *= single.values;
                together.push(single);
            }
            None => all.push((single.values, vec![single])),
        }
    }
    // Those that leave fewest clauses come first.
    all.sort_by_cached_key(|(_, together)| {
        let left = together.iter().map(Single::left);
        left.fold(LEFT_OF_ALL, |all, left| all * left / LEFT_OF_ALL)
    });
    all.into_iter().map(|(_, together)| together).collect()
}

/// How finely it is told which part of all clauses is left.
const LEFT_OF_ALL: u64 = 1 << 20;

impl Single {
    /// Which part of all clauses is left of them, for a value among its values.
    fn left(&self) -> u64 {
        let ones = self.rows.iter().map(|word| u64::from(word.count_ones()));
        let all = self.rows.len() as u64 * 64;
        (ones.sum::<u64>() * LEFT_OF_ALL)
            .checked_div(all)
            .unwrap_or(LEFT_OF_ALL)
    }
}
