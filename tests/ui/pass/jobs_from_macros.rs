//! A macro of the user's own makes jobs of names, types and options.
#![deny(warnings)]

use executor::prelude::*;

macro_rules! jobs {
    ($($(#[$attribute:meta])* $name:ident: $stored:literal, $timeout:literal, $ty:ty => $returns:ty;)*) => {
        $(
            $(#[$attribute])*
            #[job(name = $stored, timeout = $timeout)]
            async fn $name(value: $ty, page: Saved<$ty>, state: State<$ty>) -> Result<$returns, JobError> {
                drop((page, state));
                Ok(<$returns>::from(value))
            }
        )*
    };
}

jobs! {
    /// Doubles.
    double: "n.double", "10s", u8 => u16;
    name_it: "n.name", "1m", String => Box<str>;
}

macro_rules! after {
    ($job:ident reads $output:ty) => {
        #[job]
        async fn $job(output: Output<$output>) -> Result<(), JobError> {
            drop(output);
            Ok(())
        }
    };
}

after!(read reads Double);

fn main() {
    let program = Program::new(())
        .then(Double::new(1))
        .then(NameIt::new(String::new()))
        .then(Read);
    assert!(program.erase().check().is_ok());
    assert_eq!(Double::NAME, "n.double");
}
