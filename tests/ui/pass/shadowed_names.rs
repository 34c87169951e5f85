//! What the macros generate takes nothing from the scope that it stands in.
#![no_implicit_prelude]

use ::executor::{Output, Saved, job, program};

#[allow(dead_code)]
mod shadows {
    pub(crate) struct String;
    pub(crate) struct Option;
    pub(crate) struct Box;
    pub(crate) struct Vec;
    pub(crate) struct Self_;
    pub(crate) trait Default {}
    pub(crate) trait Send {}
    pub(crate) trait Sync {}
    pub(crate) trait Into {}
    pub(crate) trait From {}
    pub(crate) trait Future {}
    pub(crate) trait Serialize {}
    pub(crate) trait Deserialize {}
    pub(crate) enum Any {
        Ok,
        Err,
        Some,
        None,
    }
    pub(crate) fn drop() {}
}

#[allow(unused_imports)]
use shadows::{Any::*, *};

#[allow(dead_code)]
mod core {}
#[allow(dead_code)]
mod std {}
#[allow(dead_code)]
mod executor {}
#[allow(dead_code)]
mod serde {}

#[job]
async fn count(
    text: ::std::string::String,
    most: ::std::option::Option<u8>,
    page: Saved<u32>,
) -> ::std::result::Result<u32, ::executor::JobError> {
    let _ = (text, most);
    ::std::result::Result::Ok(*page)
}

#[job(blocking)]
fn report(length: Output<Count>) -> ::std::result::Result<(), ::executor::JobError> {
    let _ = *length;
    ::std::result::Result::Ok(())
}

#[job]
async fn ping() -> ::std::result::Result<(), ::executor::JobError> {
    ::std::result::Result::Ok(())
}

#[program]
fn counting(text: ::std::string::String, loud: bool) -> impl ::executor::IntoProgram {
    let _ = loud;
    ::executor::Program::new(())
        .then(Count::new(text))
        .then(Report)
        .then(Ping)
}

#[derive(::std::fmt::Debug, ::executor::JobError)]
#[job_error(retry)]
struct Timeout;

impl ::std::fmt::Display for Timeout {
    fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
        f.write_str("too late")
    }
}

impl ::std::error::Error for Timeout {}

fn main() {
    let _ = Timeout;
    let _: Ping = ::std::default::Default::default();
}
