use executor::prelude::*;

struct Segment(String);

#[program]
fn campaign(segment: Segment, limit: Option<Segment>) -> impl IntoProgram {
    drop(limit);
    Program::new(segment.0)
}

fn main() {}
