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

/// A condition, or a test, in parts that begin where it joins. What is quoted stays in one part.
pub(super) fn joined(condition: &str) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    for part in condition.split(" and ") {
        match parts.last_mut() {
            Some(open) if open.matches('"').count() % 2 == 1 => {
                open.push_str(" and ");
                open.push_str(part);
            }
            Some(_) => parts.push(format!("and {part}")),
            None => parts.push(part.to_owned()),
        }
    }
    parts
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
        assert_eq!(
            joined("test \"a and b and c\": d and e=\"f and g\" and h"),
            ["test \"a and b and c\": d", "and e=\"f and g\"", "and h"]
        );
        let wide = "y".repeat(120);
        assert_eq!(folded(0, 2, std::slice::from_ref(&wide)), wide);
    }
}
