//! Did you mean: the nearest known name, only when it is near.

/// The known name that is nearest to `word`: the same but for case, else within a third of
/// its length in edits. `None` when nothing is near.
#[must_use]
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // No name is that long, and comparing costs the product of both lengths.
    if word.len() > 64 {
        return None;
    }
    let allowed = (word.chars().count() / 3).clamp(1, 3);
    known
        .into_iter()
        .map(|name| {
            let same = name.eq_ignore_ascii_case(word);
            (if same { 0 } else { distance(word, name) }, name)
        })
        .filter(|(edits, name)| *edits <= allowed && *edits < name.chars().count())
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, name)| name)
}

/// Help of the form "did you mean `x`?".
#[must_use]
pub fn did_you_mean<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    nearest(word, known).map(|name| format!("did you mean `{name}`?"))
}

/// Edits between two words: insertions, deletions, replacements, and swapped neighbours.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    let mut last = None;
    for (i, x) in a.chars().enumerate() {
        let mut next = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let at = |row: &[usize], j: usize| row.get(j).copied().unwrap_or(usize::MAX / 2);
            let mut cost = (at(&row, j) + usize::from(x != *y))
                .min(at(&row, j + 1) + 1)
                .min(at(&next, j) + 1);
            let swapped = j > 0 && last == Some(*y) && b.get(j - 1) == Some(&x);
            if swapped && !before.is_empty() {
                cost = cost.min(at(&before, j - 1) + 1);
            }
            next.push(cost);
        }
        before = row;
        row = next;
        last = Some(x);
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_found_and_far_ones_are_not() {
        let known = ["client", "client-ip", "cli", "auth", "silent-approve"];
        assert_eq!(nearest("clinet", known), Some("client"));
        assert_eq!(nearest("CLIENT", known), Some("client"));
        assert_eq!(nearest("clii", known), Some("cli"));
        assert_eq!(nearest("silent-aprove", known), Some("silent-approve"));
        assert_eq!(nearest("transport", known), None);
        assert_eq!(nearest("x", ["y"]), None);
    }
}
