//! The nearest known name, for errors that name what was meant.

/// The known name most like `wrong`, if one is like it at all.
pub(crate) fn nearest<'a>(
    wrong: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
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
    let mut text = match nearest(wrong, known.iter().copied()) {
        Some(name) => format!("; did you mean {name:?}? known: "),
        None if known.is_empty() => return "; none is known in this binary (a library of which nothing else is used is left out by the linker: name it in main, `use my_jobs as _;`)".to_owned(),
        None => "; known: ".to_owned(),
    };
    const SHOWN: usize = 20;
    text.push_str(&known[..known.len().min(SHOWN)].join(", "));
    if known.len() > SHOWN {
        text.push_str(&format!(" and {} more", known.len() - SHOWN));
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
        assert!(hint("x", []).contains("none is known in this binary"));
    }
}
