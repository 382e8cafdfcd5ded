//! Text on lines that a terminal holds.

/// How many columns a line takes at most.
const WIDTH: usize = 100;

/// Parts one behind the other, broken between them: the first line indented by so many columns,
/// the others by so many. Without a line break at the end.
pub(super) fn folded(first: usize, rest: usize, parts: &[String]) -> String {
    let mut text = " ".repeat(first);
    let mut column = first;
    for (at, part) in parts.iter().enumerate() {
        let width = part.chars().count();
        if at > 0 && column + 1 + width > WIDTH {
            text.push('\n');
            text.push_str(&" ".repeat(rest));
            column = rest;
        } else if at > 0 {
            text.push(' ');
            column += 1;
        }
        text.push_str(part);
        column += width;
    }
    text
}

/// The words of a text.
pub(super) fn words(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}

/// A condition, or a test, in parts that begin where it joins.
pub(super) fn joined(condition: &str) -> Vec<String> {
    let parts = condition.split(" and ").enumerate();
    let parts = parts.map(|(at, part)| match at {
        0 => part.to_owned(),
        _ => format!("and {part}"),
    });
    parts.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_broken_between_parts_only() {
        let long = "x".repeat(60);
        let condition = format!("a and {long} and {long}");
        assert_eq!(
            folded(2, 4, &joined(&condition)),
            format!("  a and {long}\n    and {long}")
        );
        assert_eq!(
            folded(0, 2, &words("no more than this")),
            "no more than this"
        );
        let wide = "y".repeat(120);
        assert_eq!(folded(0, 2, std::slice::from_ref(&wide)), wide);
    }
}
