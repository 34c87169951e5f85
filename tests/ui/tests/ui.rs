//! What the compiler says of mistakes, and that it says nothing of what is right.
//!
//! `TRYBUILD=overwrite cargo test -p executor-ui-tests` records the messages anew. Read them as a user will: each says
//! in words what is wrong and what to write instead, at the very token, and says it once.

use std::{
    env, fs,
    io::{self, Write},
    path::PathBuf,
    process::Command,
};

use trybuild::TestCases;

#[test]
fn mistakes_are_explained() {
    let compiler = compiler();
    let pinned = concat!("rustc ", env!("CARGO_PKG_RUST_VERSION"), ".");
    if compiler.starts_with(pinned) {
        TestCases::new().compile_fail("fail/*.rs");
    } else {
        // Not by `eprintln!`, which is shown of failing tests only.
        let left_out =
            format!("LEFT OUT: the messages are those of {pinned}*, and this is {compiler}");
        writeln!(io::stderr(), "{left_out}").expect("a standard error");
    }
}

#[test]
fn right_programs_compile() {
    TestCases::new().pass("pass/*.rs");
}

/// The standard library's lines are shown where its sources are installed, and a path of this machine nowhere else.
#[test]
fn messages_are_the_same_on_other_machines() {
    let mut recorded = 0;
    for message in recorded_messages() {
        let text = fs::read_to_string(&message).expect("a message");
        recorded += 1;
        for elsewhere in [
            "$RUST",
            "/home/",
            "/root/",
            "/rustc/",
            env!("CARGO_MANIFEST_DIR"),
        ] {
            assert!(
                !text.contains(elsewhere),
                "{elsewhere} in {}",
                message.display()
            );
        }
        assert!(
            message.with_extension("rs").exists(),
            "{} is of no case",
            message.display()
        );
    }
    assert!(recorded > 0);
}

fn recorded_messages() -> impl Iterator<Item = PathBuf> {
    let folder = [env!("CARGO_MANIFEST_DIR"), "fail"]
        .iter()
        .collect::<PathBuf>();
    let files = fs::read_dir(folder)
        .expect("the cases")
        .map(|entry| entry.expect("a case").path());
    files.filter(|path| path.extension().is_some_and(|it| it == "stderr"))
}

/// The words of a compiler are its own: another version says the same a little otherwise.
fn compiler() -> String {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = Command::new(rustc)
        .arg("--version")
        .output()
        .expect("a compiler");
    String::from_utf8_lossy(&version.stdout).trim().to_owned()
}
