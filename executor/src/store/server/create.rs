//! Creation of programs.

use std::{collections::HashSet, sync::Arc, time::Duration};

use super::{Begin, Database, FOR_EVER, Inner, Whose, ear::Turn, session::Borrowed, verb};
use crate::{
    error::{Error, ErrorKind, Result},
    store::{
        Created, NewProgram,
        sql::{Outcome, Session, create::holder},
    },
};

/// Stores programs. Those with a unique key go by themselves: they may have to wait for somebody
/// whose transaction holds the key.
///
/// When a connection is lost while they are stored, nobody can tell what has become of them. They
/// are then sent again, and inserted only where their run ids are not there.
pub(super) async fn create<D: Database>(
    store: &Arc<Inner<D>>,
    programs: &[NewProgram],
) -> Result<Vec<Result<Created>>> {
    let mut turn = store.bell.turn(store);
    let had_turn = turn.is_some();
    let (created, keyed) = in_turn(store, programs, &mut turn).await?;
    let told = had_turn && turn.is_none();
    drop(turn);
    if !told || keyed {
        store.bell.ring(store);
    }
    Ok(created)
}

/// The same, and tells nobody.
pub(super) async fn create_quietly<D: Database>(
    store: &Arc<Inner<D>>,
    programs: &[NewProgram],
) -> Result<Vec<Result<Created>>> {
    let (created, _) = in_turn(store, programs, &mut None).await?;
    Ok(created)
}

/// Stores programs; also whether some have a unique key, of which nobody was told yet.
async fn in_turn<D: Database>(
    store: &Inner<D>,
    programs: &[NewProgram],
    turn: &mut Option<Turn<D>>,
) -> Result<(Vec<Result<Created>>, bool)> {
    let (keyed, free): (Vec<_>, Vec<_>) = programs
        .iter()
        .partition(|program| program.program.options.unique_key.is_some());
    let mut created = store_all(store, &free, turn).await?;
    let any_keyed = !keyed.is_empty();
    created.extend(store_all(store, &keyed, &mut None).await?);
    // Back into the order in which they came.
    let (mut free, mut keyed) = {
        let keyed = created.split_off(free.len());
        (created.into_iter(), keyed.into_iter())
    };
    let in_order = programs.iter().map(|program| {
        let next = match program.program.options.unique_key {
            Some(_) => keyed.next(),
            None => free.next(),
        };
        next.unwrap_or_else(|| Err(not_stored()))
    });
    Ok((in_order.collect(), any_keyed))
}

/// Stores programs on a connection of the application's: they are there if its transaction commits.
pub(super) async fn create_in<D: Database>(
    store: &Inner<D>,
    conn: &mut D::Conn,
    programs: &[NewProgram],
) -> Result<Vec<Result<Created>>> {
    let mut session = Borrowed::<D>::new(conn, Arc::clone(&store.texts));
    let programs: Vec<_> = programs.iter().collect();
    // No deadline: the connection is not ours to be closed.
    let created = async {
        let created = insert::<D, _>(&mut session, &programs, false).await?;
        D::ring(&mut session, store, Whose::Anybodys).await?;
        Ok(created)
    };
    store.within(FOR_EVER, created).await
}

/// Stores programs; whoever has the turn to tell the others uses it where that costs no time.
async fn store_all<D: Database>(
    store: &Inner<D>,
    programs: &[&NewProgram],
    turn: &mut Option<Turn<D>>,
) -> Result<Vec<Result<Created>>> {
    if programs.is_empty() {
        return Ok(Vec::new());
    }
    let keyed = programs
        .iter()
        .any(|program| program.program.options.unique_key.is_some());
    let mut tried = 0;
    loop {
        let again = tried > 0;
        // A statement that may have to wait for somebody must not go through when nobody waits for
        // its answer any more.
        let created = if keyed || again {
            verb!(store, others, Engine, store.deadline, |s| insert::<D, _>(
                s, programs, again
            ))
        } else if turn.is_some() {
            let created = verb!(store, others, Alone, store.deadline, |s| async {
                let inserted = D::insert_and_ring(s, store, programs).await?;
                results::<D, _>(s, programs, inserted, again).await
            });
            if let (Ok(_), Some(turn)) = (&created, turn.take()) {
                turn.was_told();
            }
            created
        } else {
            verb!(store, others, Alone, store.deadline, |s| insert::<D, _>(
                s, programs, again
            ))
        };
        match created {
            Err(error) if error.kind() == ErrorKind::InvalidData => {
                return split(store, programs, error).await;
            }
            Err(error) if error.kind() == ErrorKind::Store && tried < 3 => {
                // What the database refuses is refused again, and soon told.
                if let Some(refused) = refused(store, programs).await {
                    return split(store, programs, refused).await;
                }
                tried += 1;
                tokio::time::sleep(Duration::from_millis(50 << (2 * tried))).await;
            }
            created => return created,
        }
    }
}

/// One of these the database can't hold: the others are stored.
async fn split<D: Database>(
    store: &Inner<D>,
    programs: &[&NewProgram],
    refused: Error,
) -> Result<Vec<Result<Created>>> {
    if programs.len() == 1 {
        return Ok(vec![Err(refused)]);
    }
    let (first, second) = programs.split_at(programs.len() / 2);
    let mut created = Box::pin(store_all(store, first, &mut None)).await?;
    created.extend(Box::pin(store_all(store, second, &mut None)).await?);
    Ok(created)
}

async fn refused<D: Database>(store: &Inner<D>, programs: &[&NewProgram]) -> Option<Error> {
    let json: Vec<&str> = programs
        .iter()
        .flat_map(|new| {
            let program = &new.program;
            [
                &*program.program_data,
                &*program.job_data,
                &*program.attributes,
            ]
        })
        .collect();
    store.refusal(&json, &[]).await
}

async fn insert<D: Database, S: Session>(
    s: &mut S,
    programs: &[&NewProgram],
    again: bool,
) -> Outcome<Vec<Result<Created>>> {
    let inserted = D::insert(s, programs, again).await?;
    results::<D, S>(s, programs, inserted, again).await
}

async fn results<D: Database, S: Session>(
    s: &mut S,
    programs: &[&NewProgram],
    inserted: Vec<String>,
    again: bool,
) -> Outcome<Vec<Result<Created>>> {
    let inserted: HashSet<String> = inserted.into_iter().collect();
    let mut created = Vec::with_capacity(programs.len());
    for program in programs {
        let run_id = program.run_id.clone();
        created.push(if inserted.contains(run_id.as_str()) {
            Ok(Created {
                run_id,
                existed: false,
            })
        } else {
            existing::<D, S>(s, program, again).await?
        });
    }
    Ok(created)
}

/// A program that was not inserted: it is there from the time before, or another one has its key.
async fn existing<D: Database, S: Session>(
    s: &mut S,
    program: &NewProgram,
    again: bool,
) -> Outcome<Result<Created>> {
    // The holder may end in between; then its key is free.
    for _ in 0..10 {
        if again
            && crate::store::sql::query::get(s, &program.run_id)
                .await?
                .is_some()
        {
            return Ok(Ok(Created {
                run_id: program.run_id.clone(),
                existed: false,
            }));
        }
        let Some(key) = &program.program.options.unique_key else {
            break;
        };
        if let Some(run_id) = holder(s, key).await? {
            return Ok(Ok(Created {
                run_id,
                existed: true,
            }));
        }
        if !D::insert(s, &[program], again).await?.is_empty() {
            return Ok(Ok(Created {
                run_id: program.run_id.clone(),
                existed: false,
            }));
        }
    }
    Ok(Err(not_stored()))
}

fn not_stored() -> Error {
    Error::new(
        ErrorKind::Store,
        "the program was not stored: another one took its unique key meanwhile; create it again \
         (within a transaction of yours: begin that again, or run it at READ COMMITTED)",
    )
}
