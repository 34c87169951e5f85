//! What a claim reads of the programs that it has locked.

use diesel::sql_types::{BigInt, Nullable, Text};

use super::{
    MySession,
    claim::Pair,
    rows::{by_id, list},
};
use crate::store::{
    ClaimRequest, ClaimedProgram, Fence, Floor,
    sql::{Outcome, statement::sql},
};

/// A program that this claim has locked.
pub(super) struct Locked {
    pub(super) order_key: i64,
    pub(super) id: i64,
    pub(super) suspect: bool,
    pub(super) pair: usize,
}

/// Reads what is locked, and no more than there is room for in memory: first as many as fit if each were
/// large, and then as many as fit if the others are like them.
pub(super) async fn read(
    s: &mut MySession,
    request: &ClaimRequest,
    pairs: &[Pair],
    locked: &[Locked],
    floors: &mut Vec<Floor>,
) -> Outcome<Vec<ClaimedProgram>> {
    const LARGE: usize = 512 << 10;
    let first = (request.bytes / LARGE).clamp(1, 64);
    let mut programs: Vec<ClaimedProgram> = Vec::with_capacity(locked.len());
    let mut bytes = 0;
    while programs.len() < locked.len() {
        let next = match bytes / programs.len().max(1) {
            0 if programs.is_empty() => first,
            average => (request.bytes.saturating_sub(bytes) / average.max(1)).max(1),
        };
        let from = programs.len();
        let rows = &locked[from..locked.len().min(from + next)];
        let mut found = data(s, rows).await?;
        for row in rows {
            // A locked row is there.
            let Some(at) = found.iter().position(|program| program.fence.id == row.id) else {
                continue;
            };
            let mut program = found.swap_remove(at);
            bytes += program.bytes;
            // One is always let in, or a large one would wait for ever.
            if bytes > request.bytes && !programs.is_empty() {
                return Ok(programs);
            }
            let Pair { queue, job, .. } = &pairs[row.pair];
            let reached = Floor {
                queue: queue.clone(),
                job: job.clone(),
                order_key: row.order_key,
                id: row.id,
            };
            reached.note(floors);
            program.queue.clone_from(queue);
            program.job.clone_from(job);
            program.suspect = row.suspect;
            programs.push(program);
        }
        if programs.len() == from {
            break;
        }
    }
    Ok(programs)
}

async fn data(s: &mut MySession, rows: &[Locked]) -> Outcome<Vec<ClaimedProgram>> {
    // What came from elsewhere, or was changed by hand, may be NULL.
    const DATA: &str = concat!(
        "SELECT p.id, p.token, p.rev, p.run_id, p.jobs, p.program_data, p.job_data, p.outputs,
           {step}, COALESCE(p.step_retry_count, 0), p.child_ordinal, COALESCE(p.shared_keys, 0)
         FROM ",
        by_id!()
    );
    type Words = Nullable<Text>;
    type Sql = (
        (BigInt, BigInt, BigInt),
        (Words, Words, Words, Words, Words),
        (BigInt, BigInt, BigInt, BigInt),
    );
    type OptText = Option<String>;
    type Row = (
        (i64, i64, i64),
        (OptText, OptText, OptText, OptText, OptText),
        (i64, i64, i64, i64),
    );
    let data = sql(DATA).text(list(rows.iter().map(|row| row.id)));
    let rows = s.rows::<Sql, Row>(data).await?;
    let program = |((id, token, rev), texts, (step, retried, ordinal, shared)): Row| {
        let (run_id, jobs, program_data, job_data, outputs) = texts;
        let jobs = jobs.unwrap_or_default();
        let program_data = program_data.unwrap_or_else(|| "null".to_owned());
        let job_data = job_data.unwrap_or_else(|| "{}".to_owned());
        let outputs = outputs.unwrap_or_default();
        ClaimedProgram {
            fence: Fence { id, token, rev },
            run_id: run_id.unwrap_or_default().into(),
            queue: String::new(),
            job: String::new(),
            bytes: jobs.len() + program_data.len() + job_data.len() + outputs.len(),
            jobs,
            program_data,
            job_data,
            outputs,
            step: usize::try_from(step).unwrap_or(0),
            retry_count: u32::try_from(retried).unwrap_or(0),
            ordinal: u32::try_from(ordinal).unwrap_or(0),
            shared_keys: shared == 1,
            suspect: false,
            hold: None,
        }
    };
    Ok(rows.into_iter().map(program).collect())
}
