//! A program of a hundred typed jobs, each of which reads what the one before it returned, and the last what the
//! first did.
#![deny(warnings)]

use executor::prelude::*;

#[job]
async fn first() -> Result<u64, JobError> {
    Ok(1)
}

#[job]
async fn last(first: Output<First>, before: Output<J98>) -> Result<u64, JobError> {
    Ok(*first + *before)
}

macro_rules! chain {
    ($before:ty, $($job:ident $struct:ident)*) => {
        chain!(@ $before, $($job $struct)*);

        fn program() -> impl IntoProgram {
            Program::new(7).then(First)$(.then($struct))*.then(Last)
        }
    };
    (@ $before:ty,) => {};
    (@ $before:ty, $job:ident $struct:ident $($rest:tt)*) => {
        #[job]
        async fn $job(before: Output<$before>) -> Result<u64, JobError> {
            Ok(*before + 1)
        }

        chain!(@ $struct, $($rest)*);
    };
}

chain! {
    First,
    j1 J1 j2 J2 j3 J3 j4 J4 j5 J5 j6 J6 j7 J7
    j8 J8 j9 J9 j10 J10 j11 J11 j12 J12 j13 J13 j14 J14
    j15 J15 j16 J16 j17 J17 j18 J18 j19 J19 j20 J20 j21 J21
    j22 J22 j23 J23 j24 J24 j25 J25 j26 J26 j27 J27 j28 J28
    j29 J29 j30 J30 j31 J31 j32 J32 j33 J33 j34 J34 j35 J35
    j36 J36 j37 J37 j38 J38 j39 J39 j40 J40 j41 J41 j42 J42
    j43 J43 j44 J44 j45 J45 j46 J46 j47 J47 j48 J48 j49 J49
    j50 J50 j51 J51 j52 J52 j53 J53 j54 J54 j55 J55 j56 J56
    j57 J57 j58 J58 j59 J59 j60 J60 j61 J61 j62 J62 j63 J63
    j64 J64 j65 J65 j66 J66 j67 J67 j68 J68 j69 J69 j70 J70
    j71 J71 j72 J72 j73 J73 j74 J74 j75 J75 j76 J76 j77 J77
    j78 J78 j79 J79 j80 J80 j81 J81 j82 J82 j83 J83 j84 J84
    j85 J85 j86 J86 j87 J87 j88 J88 j89 J89 j90 J90 j91 J91
    j92 J92 j93 J93 j94 J94 j95 J95 j96 J96 j97 J97 j98 J98
}

fn main() {
    assert!(program().erase().check().is_ok());
}
