//! A policy as a picture (SVG): the way of a connection past its clauses, from top to bottom, each
//! with its condition, its verdicts, and how much it decides. It fits a page of A4 where it can.
//!
//! All text is of one width for each character, so that what fits is known without fonts.

use std::fmt::Write as _;

use super::markup::{colour, escaped};
use super::sheet::{Part, Sheet, Shown};
use crate::cli::share::percent;
use crate::verdict::VerdictKind;

/// Height of text, the distance of lines, and the most that a character is wide, in units. 794 units
/// are as wide as a page of A4.
const SIZE: f64 = 9.0;
const LINE: f64 = 11.5;
const WIDE: f64 = 5.45;
/// What is left empty around everything, and between columns.
const MARGIN: f64 = 26.0;
const GAP: f64 = 10.0;
/// Where the line stands that a connection goes down.
const SPINE: f64 = MARGIN + 8.0;
/// Where conditions begin.
const LEFT: f64 = SPINE + 18.0;
/// How high a title of clauses is.
const SECTION: f64 = 26.0;
/// The columns of verdicts and of shares, in characters.
const VERDICT: usize = 34;
const SHARE: usize = 10;
/// The height of a page for its width.
const PAGE: f64 = 297.0 / 210.0;
/// How wide it is drawn: the first that makes one page of it. What is wider is printed smaller.
const WIDTHS: [f64; 6] = [794.0, 840.0, 890.0, 940.0, 1_000.0, 1_060.0];

/// The sheet as a picture.
pub(super) fn svg(sheet: &Sheet) -> String {
    let drawn = WIDTHS.map(|width| Drawn::new(sheet, width));
    let fitting = drawn.iter().find(|it| it.y <= it.width * PAGE);
    fitting
        .or(drawn.first())
        .map_or_else(String::new, |it| it.document(sheet))
}

/// What is drawn, and how far down it is.
struct Drawn {
    width: f64,
    y: f64,
    is_under_way: bool,
    body: String,
}

/// A clause's text on lines; the first characters of the first are its name.
fn lines(clause: &Shown, room: usize) -> Vec<String> {
    let condition = clause
        .condition
        .as_deref()
        .unwrap_or("every other connection");
    broken(&format!("{} {condition}", clause.name), room)
}

/// A text on lines of at most so many characters, broken between words where it can be.
fn broken(text: &str, room: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        let length = |text: &str| text.chars().count();
        if !line.is_empty() && length(&line) + 1 + length(word) > room {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        for character in word.chars() {
            if length(&line) >= room {
                lines.push(std::mem::take(&mut line));
            }
            line.push(character);
        }
    }
    lines.push(line);
    lines
}

impl Drawn {
    fn new(sheet: &Sheet, width: f64) -> Self {
        let mut drawn = Drawn {
            width,
            y: MARGIN,
            is_under_way: false,
            body: String::new(),
        };
        drawn.head(sheet);
        for part in Part::ALL {
            drawn.part(sheet, part);
        }
        drawn.foot(sheet);
        drawn
    }

    /// Where verdicts begin, and where shares end.
    fn columns(&self) -> (f64, f64) {
        let right = self.width - MARGIN;
        let wide = |characters: usize| characters as f64 * WIDE;
        (right - wide(SHARE) - GAP - wide(VERDICT), right)
    }

    /// How many characters fit.
    fn room(wide: f64) -> usize {
        (wide / WIDE) as usize
    }

    fn text(&mut self, x: f64, y: f64, class: &str, text: &str) {
        let _ = writeln!(
            self.body,
            "<text x=\"{x:.1}\" y=\"{y:.1}\" class=\"{class}\">{}</text>",
            escaped(text)
        );
    }

    fn head(&mut self, sheet: &Sheet) {
        self.y += 12.0;
        self.text(MARGIN, self.y, "title", &sheet.policy);
        self.y += 18.0;
        let mut x = MARGIN + 6.0;
        for (kind, share) in &sheet.kinds {
            let told = format!("{} {}", kind.name(), percent(*share));
            self.mark(*kind, x, self.y - 3.0);
            self.text(x + 9.0, self.y, "", &told);
            let wide = told.chars().count() as f64 * WIDE;
            x += wide + 30.0;
        }
        self.y += 14.0;
        let shares = "Percentages are exact shares of all that can be said of a connection: not a likelihood.";
        self.text(MARGIN, self.y, "quiet", shares);
    }

    /// The clauses of a part, each with the line that leads to it.
    fn part(&mut self, sheet: &Sheet, part: Part) {
        let clauses: Vec<&Shown> = sheet.part(part).collect();
        if clauses.is_empty() {
            return;
        }
        // The way leads past the title, but begins at the first clause.
        if self.is_under_way {
            let _ = writeln!(
                self.body,
                "<path class=\"way\" d=\"M{SPINE:.1} {:.1}v{SECTION:.1}\"/>",
                self.y
            );
        }
        self.is_under_way = true;
        self.y += SECTION;
        let told = format!("{}: {}", part.title(), part.says());
        self.text(LEFT, self.y - 6.0, "part", &told);
        for clause in clauses {
            self.clause(clause, part == Part::Default);
        }
    }

    fn clause(&mut self, clause: &Shown, is_last: bool) {
        let (verdicts, right) = self.columns();
        let room = Self::room(verdicts - GAP - LEFT);
        let written = lines(clause, room);
        let told: Vec<(Option<VerdictKind>, String, String)> = answers(clause);
        let height = written.len().max(told.len()) as f64 * LINE + 5.0;
        let top = self.y;
        let first = top + LINE;
        let _ = writeln!(self.body, "<g>");
        if let Some(because) = &clause.because {
            let _ = writeln!(self.body, "<title>{}</title>", escaped(because));
        }
        // The way on, which ends at the default.
        let end = if is_last { first - 3.0 } else { top + height };
        let start = top.min(first);
        let _ = writeln!(
            self.body,
            "<path class=\"way\" d=\"M{SPINE:.1} {start:.1}V{end:.1}M{SPINE:.1} {:.1}H{:.1}\"/>",
            first - 3.0,
            LEFT - 4.0,
        );
        let kind = clause.decides.first().map(|it| it.kind);
        match kind {
            Some(kind) => self.mark(kind, SPINE, first - 3.0),
            None => {
                let _ = writeln!(
                    self.body,
                    "<circle class=\"idle\" cx=\"{SPINE:.1}\" cy=\"{:.1}\" r=\"3\"/>",
                    first - 3.0
                );
            }
        }
        let name = clause.name.chars().count();
        for (at, line) in written.iter().enumerate() {
            let y = first + at as f64 * LINE;
            match line.split_once(' ') {
                Some((label, rest)) if at == 0 && label.chars().count() == name => {
                    let _ = writeln!(
                        self.body,
                        "<text x=\"{LEFT:.1}\" y=\"{y:.1}\"><tspan class=\"name\">{}</tspan> {}</text>",
                        escaped(label),
                        escaped(rest)
                    );
                }
                _ if at == 0 => self.text(LEFT, y, "name", line),
                _ => self.text(LEFT, y, "", line),
            }
        }
        for (at, (kind, verdict, share)) in told.iter().enumerate() {
            let y = first + at as f64 * LINE;
            if let Some(kind) = kind {
                self.mark(*kind, verdicts - 2.0, y - 3.0);
            }
            self.text(verdicts + 6.0, y, "verdict", verdict);
            self.text(right, y, "share", share);
        }
        let _ = writeln!(
            self.body,
            "<path class=\"rule\" d=\"M{LEFT:.1} {0:.1}H{right:.1}\"/>\n</g>",
            top + height
        );
        self.y += height;
    }

    /// A verdict as a shape, each of another one: what is refused, asked about, let in, let in and
    /// kept.
    fn mark(&mut self, kind: VerdictKind, x: f64, y: f64) {
        let colour = colour(kind);
        let shape = match kind {
            VerdictKind::Reject => format!("<path d=\"M{:.1} {:.1}h7v7h-7z\"", x - 3.5, y - 3.5),
            VerdictKind::RequirePairing => {
                format!(
                    "<path d=\"M{x:.1} {:.1}l4.5 4.5l-4.5 4.5l-4.5 -4.5z\"",
                    y - 4.5
                )
            }
            VerdictKind::Approve => {
                format!("<path d=\"M{:.1} {:.1}l8 0l-4 -7.5z\"", x - 4.0, y + 3.5)
            }
            VerdictKind::SilentApprove => {
                format!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\"")
            }
        };
        let _ = writeln!(self.body, "{shape} class=\"mark\" fill=\"{colour}\"/>");
    }

    fn foot(&mut self, sheet: &Sheet) {
        let room = Self::room(self.width - MARGIN - LEFT);
        if !sheet.names.is_empty() {
            self.y += SECTION;
            self.text(LEFT, self.y - 6.0, "part", "Names that conditions use");
        }
        for name in &sheet.names {
            for (at, line) in broken(name, room - 2).into_iter().enumerate() {
                self.y += LINE;
                let x = if at == 0 { LEFT } else { LEFT + 2.0 * WIDE };
                self.text(x, self.y, "", &line);
            }
        }
        let laws = sheet.laws();
        self.y += 8.0;
        if !laws.is_empty() {
            self.y += LINE;
            let told = "§ by a law that no policy can lift:";
            self.text(LEFT, self.y, "quiet", told);
        }
        for law in laws {
            self.y += LINE;
            self.text(LEFT + 2.0 * WIDE, self.y, "quiet", law.doc());
        }
        self.y += MARGIN;
    }

    fn document(&self, sheet: &Sheet) -> String {
        let height = self.y.ceil();
        let width = self.width;
        let name = escaped(&sheet.policy);
        let told = sheet.kinds.iter();
        let told = told.map(|(kind, share)| format!("{} {}", kind.name(), percent(*share)));
        let told = escaped(&told.collect::<Vec<_>>().join(", "));
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" aria-labelledby=\"title desc\" \
             width=\"210mm\" height=\"{:.1}mm\" viewBox=\"0 0 {width} {height}\">\n\
             <title id=\"title\">What {name} decides</title>\n\
             <desc id=\"desc\">Its guards, its rules and its default from top to bottom, each with \
             condition, verdicts and share. In all: {told}.</desc>\n\
             <style>\n\
             text {{ font: {SIZE}px ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, 'Courier New', monospace; fill: #1b1b1f; white-space: pre }}\n\
             .title {{ font-size: 15px; font-weight: 700 }}\n\
             .part {{ font-weight: 700; fill: #1b1b1f }}\n\
             .name, .verdict {{ font-weight: 700 }}\n\
             .share {{ text-anchor: end }}\n\
             .quiet {{ fill: #55555f }}\n\
             .way {{ stroke: #55555f; stroke-width: 1.2; fill: none }}\n\
             .rule {{ stroke: #d6d6de; stroke-width: .6 }}\n\
             .mark {{ stroke: #fff; stroke-width: .8 }}\n\
             .idle {{ fill: #fff; stroke: #55555f }}\n\
             </style>\n\
             <rect width=\"{width}\" height=\"{height}\" fill=\"#fff\"/>\n{}</svg>\n",
            210.0 * height / width,
            self.body,
        )
    }
}

/// What a clause answers: for each verdict its kind, its text and its share.
fn answers(clause: &Shown) -> Vec<(Option<VerdictKind>, String, String)> {
    if let Some(answer) = &clause.on_trial {
        return vec![(None, format!("{answer}, on trial"), "–".to_owned())];
    }
    if clause.decides.is_empty() {
        return vec![(None, "decides nothing".to_owned(), "–".to_owned())];
    }
    // Which law it was makes no difference here.
    let mut all: Vec<(VerdictKind, String, f64)> = Vec::new();
    for decided in &clause.decides {
        let verdict = match decided.law {
            Some(_) => format!("{} §", decided.verdict),
            None => decided.verdict.clone(),
        };
        match all.iter_mut().find(|known| known.1 == verdict) {
            Some(known) => known.2 += decided.share,
            None => all.push((decided.kind, verdict, decided.share)),
        }
    }
    let mut told = Vec::new();
    for (kind, verdict, share) in all {
        let lines = broken(&verdict, VERDICT - 1).into_iter();
        told.extend(lines.enumerate().map(|(at, line)| match at {
            0 => (Some(kind), line, percent(share)),
            _ => (None, line, String::new()),
        }));
    }
    told
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_line_is_too_long_and_nothing_is_lost(text in "[a-z{}=, ]{0,200}", room in 1_usize..40) {
            let lines = broken(&text, room);
            prop_assert!(lines.iter().all(|line| line.chars().count() <= room));
            let bare = |text: &str| text.split_whitespace().collect::<String>();
            prop_assert_eq!(bare(&lines.concat()), bare(&text));
        }
    }
}
