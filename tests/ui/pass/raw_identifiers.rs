//! Keywords as names.
#![deny(warnings)]

use executor::prelude::*;

mod r#type {
    use executor::prelude::*;

    #[job]
    pub(crate) async fn r#match(r#type: String, r#fn: Saved<u32>) -> Result<u32, JobError> {
        drop(r#type);
        Ok(*r#fn)
    }
}

#[job]
async fn r#loop(
    r#in: Output<r#type::Match>,
    #[serde(rename = "for")] r#for: u8,
) -> Result<u8, JobError> {
    Ok(r#for + u8::from(*r#in > 1))
}

#[program]
fn r#async(r#type: String, r#dyn: Option<u8>) -> impl IntoProgram {
    Program::new(r#dyn)
        .then(r#type::Match::new(r#type))
        .then(Loop { r#for: 1 })
}

fn main() {
    assert_eq!(Loop::NAME, "loop");
    assert_eq!(r#type::Match::NAME, "match");
    assert!(r#async(String::new(), None).erase().check().is_ok());
}
