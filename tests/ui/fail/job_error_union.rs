use executor::prelude::*;

#[derive(JobError)]
union Bits {
    int: u32,
    float: f32,
}

fn main() {}
