//! What the compiler says of mistakes, and that it says nothing of what is right.
//!
//! `TRYBUILD=overwrite cargo test -p executor-ui-tests` records the messages anew. Read them as the user will:
//! each says in words what is wrong and what to write instead, at the very token.

use std::{
    env,
    io::{self, Write},
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
        let left_out = format!(
            "LEFT OUT: the messages of mistakes are recorded for {pinned}x, and this is {compiler}"
        );
        writeln!(io::stderr(), "{left_out}").expect("a standard error");
    }
}

#[test]
fn right_programs_compile() {
    TestCases::new().pass("pass/*.rs");
}

/// The words of a compiler are its own: other versions say the same a little otherwise.
fn compiler() -> String {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = Command::new(rustc).arg("--version").output().expect("a compiler");
    String::from_utf8_lossy(&version.stdout).trim().to_owned()
}
