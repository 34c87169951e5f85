//! The floors of ARCHITECTURE.md: an import never goes upward.

use std::{fs, path::Path};

const FLOORS: [&[&str]; 5] = [
    &[
        "certificates",
        "config",
        "error",
        "event",
        "hand_off",
        "job",
        "json",
        "program",
        "retry",
        "run_id",
        "schedule",
        "suggest",
        "time",
        "url",
    ],
    &["broker", "store"],
    &["handle"],
    &["worker"],
    &["cli", "run"],
];

fn floor(module: &str) -> Option<usize> {
    FLOORS.iter().position(|floor| floor.contains(&module))
}

#[test]
fn no_import_goes_upward() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("../executor/src");
    let mut files = Vec::new();
    collect(&src, &mut files);
    assert!(files.len() > 20, "the sources are there");
    let mut wrong = Vec::new();
    for file in files {
        let relative = file
            .strip_prefix(&src)
            .expect("below src")
            .to_string_lossy()
            .into_owned();
        let module = relative
            .trim_end_matches(".rs")
            .split('/')
            .next()
            .unwrap_or_default();
        let Some(own) = floor(module) else {
            assert_eq!(
                module, "lib",
                "{relative} is on no floor: name it in ARCHITECTURE.md"
            );
            continue;
        };
        let text = fs::read_to_string(&file).expect("readable");
        for used in imports(&text) {
            if floor(&used).is_some_and(|other| other > own) {
                wrong.push(format!("{relative} uses crate::{used}"));
            }
        }
    }
    assert!(wrong.is_empty(), "upward imports: {wrong:#?}");
}

fn collect(folder: &Path, files: &mut Vec<std::path::PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// The modules in `crate::x` and in `use crate::{x, y::z}`; paths in comments do not count.
fn imports(text: &str) -> Vec<String> {
    let code: String = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .flat_map(|line| [line, "\n"])
        .collect();
    let mut found = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        // `$crate::` stands in macros for users.
        if code[..at].ends_with('$') {
            continue;
        }
        let rest = &code[at + "crate::".len()..];
        if let Some(group) = rest.strip_prefix('{') {
            let mut depth = 0;
            let mut word = String::new();
            for c in group.chars() {
                match c {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' if depth == 0 => found.push(std::mem::take(&mut word)),
                    c if depth == 0 => word.push(c),
                    _ => {}
                }
            }
            found.push(word);
        } else {
            found.push(rest.to_owned());
        }
    }
    found
        .into_iter()
        .map(|path| {
            path.trim()
                .chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect()
        })
        .filter(|module: &String| !module.is_empty())
        .collect()
}
