//! Shares of all that could be said of a connection. They are not how likely it is.

/// A share with four digits that count.
pub(super) fn rounded(share: f64) -> f64 {
    format!("{share:.3e}").parse().unwrap_or(share)
}

/// A share with two digits that count.
pub(super) fn percent(share: f64) -> String {
    let hundredths = share * 100.0;
    match hundredths {
        0.0 => "–".to_owned(),
        it if (99.95..100.0).contains(&it) => "> 99.9 %".to_owned(),
        it if it >= 10.0 => format!("{it:.1} %"),
        it if it >= 1.0 => format!("{it:.2} %"),
        it if it >= 0.01 => format!("{it:.3} %"),
        it if it >= 0.000_1 => format!("{it:.5} %"),
        _ => "< 0.0001 %".to_owned(),
    }
}
