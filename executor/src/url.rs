//! Options of a URL that are ours, and not the driver's.

/// The URL without these options, and what they were; an option may have several names.
pub(crate) fn without<const N: usize>(
    url: &str,
    names: [&[&str]; N],
) -> (String, [Option<String>; N]) {
    let mut found = [const { None }; N];
    let Some((base, query)) = url.split_once('?') else {
        return (url.to_owned(), found);
    };
    let mut rest = Vec::new();
    for pair in query.split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        match names.iter().position(|names| names.contains(&name)) {
            Some(at) => found[at] = Some(decoded(value)),
            None => rest.push(pair),
        }
    }
    (format!("{base}?{}", rest.join("&")), found)
}

/// A text out of a URL.
pub(crate) fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let hex = tail.get(..2).and_then(|two| {
            let two = std::str::from_utf8(two).ok()?;
            u8::from_str_radix(two, 16).ok()
        });
        match (first, hex) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_of_ours_are_taken_out() {
        let url = "mysql://db/app?ssl-ca=%2Fa%20b&x=1&sslmode=required";
        let (url, [mode, root]) = without(url, [&["ssl-mode", "sslmode"], &["ssl-ca"]]);
        assert_eq!(url, "mysql://db/app?x=1");
        assert_eq!(mode.as_deref(), Some("required"));
        assert_eq!(root.as_deref(), Some("/a b"));
    }
}
