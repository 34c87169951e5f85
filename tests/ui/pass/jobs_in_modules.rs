//! Jobs stand in modules, and are as visible as their functions.
#![deny(warnings, missing_docs)]

use executor::prelude::*;

/// Jobs of the mail.
pub mod mail {
    use executor::prelude::*;

    /// Renders a mail.
    #[job(name = "mail::render")]
    pub async fn render(
        /// What it is made of.
        template: String,
    ) -> Result<String, JobError> {
        Ok(template)
    }

    pub(crate) mod inner {
        use executor::{JobError, Output, job};

        #[job]
        pub(in crate::mail) async fn log(text: Output<super::Render>) -> Result<(), JobError> {
            println!("{}", *text);
            Ok(())
        }
    }

    /// Renders and logs.
    pub fn program() -> impl IntoProgram {
        Program::new(())
            .then(Render {
                template: "{}".to_owned(),
            })
            .then(inner::Log)
    }
}

#[job]
async fn send(text: Output<mail::Render>, to: String) -> Result<(), executor::JobError> {
    println!("{to}: {}", text.len());
    Ok(())
}

fn main() {
    fn within_a_function() -> impl IntoProgram {
        #[job]
        async fn here(n: u8) -> Result<u8, JobError> {
            Ok(n)
        }
        Here { n: 1 }
    }

    let program = Program::new(7)
        .then(mail::Render::new("hello".to_owned()))
        .then(Send {
            to: "ada@example.org".to_owned(),
        });
    assert!(program.erase().check().is_ok());
    assert!(mail::program().erase().check().is_ok());
    assert!(within_a_function().erase().check().is_ok());
}
