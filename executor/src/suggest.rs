//! The nearest known name, for errors that name what was meant.

/// The known name most like `wrong`, if one is like it at all.
pub(crate) fn nearest<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|name| (strsim::jaro_winkler(wrong, name), name))
        .filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}

/// `; did you mean "x"? known: a, b, c`, or what to do when nothing is known.
pub(crate) fn hint<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let mut known: Vec<&str> = known.into_iter().collect();
    known.sort_unstable();
    let mut text = String::new();
    if let Some(name) = nearest(wrong, known.iter().copied()) {
        text.push_str(&format!("; did you mean {name:?}?"));
    }
    const SHOWN: usize = 20;
    match known.len() {
        0 => text.push_str("; none is known in this binary"),
        n if n <= SHOWN => text.push_str(&format!("; known: {}", known.join(", "))),
        n => text.push_str(&format!("; known: {} and {} more", known[..SHOWN].join(", "), n - SHOWN)),
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_nearest_and_the_known() {
        assert_eq!(
            hint("cuont_contacts", ["send", "count_contacts"]),
            "; did you mean \"count_contacts\"? known: count_contacts, send"
        );
        assert_eq!(hint("x", []), "; none is known in this binary");
    }
}
