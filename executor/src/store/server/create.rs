//! Creation of programs.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use super::{Begin, Database, FOR_EVER, Inner, Whose, ear::Turn, session::Borrowed, verb};
use crate::{
    error::{Error, ErrorKind, Result},
    run_id::RunId,
    store::{
        Created, NewProgram,
        sql::{self, Outcome, Session},
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
        .partition(|program| program.program.options.is_keyed());
    let mut created = store_all(store, &free, turn).await?;
    let any_keyed = !keyed.is_empty();
    created.extend(store_all(store, &keyed, &mut None).await?);
    if keyed.iter().any(|new| new.program.options.replace) {
        // One that waited may be due at another time now.
        store.will_be_due(Duration::ZERO);
    }
    // Back into the order in which they came.
    let (mut free, mut keyed) = {
        let keyed = created.split_off(free.len());
        (created.into_iter(), keyed.into_iter())
    };
    let in_order = programs.iter().map(|program| {
        let next = match program.program.options.is_keyed() {
            true => keyed.next(),
            false => free.next(),
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
        .any(|program| program.program.options.is_keyed());
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
                results::<D, _>(s, programs, inserted, HashMap::new(), again).await
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

/// Inserts programs, if `again` only those that are not there.
pub(super) async fn insert<D: Database, S: Session>(
    s: &mut S,
    programs: &[&NewProgram],
    again: bool,
) -> Outcome<Vec<Result<Created>>> {
    let taken = reserve(s, programs, again).await?;
    let mut left = Vec::with_capacity(programs.len());
    left.extend(
        programs
            .iter()
            .filter(|program| !taken.contains_key(&program.run_id)),
    );
    let inserted = D::insert(s, &left, again).await?;
    results::<D, S>(s, programs, inserted, taken, again).await
}

async fn results<D: Database, S: Session>(
    s: &mut S,
    programs: &[&NewProgram],
    inserted: Vec<String>,
    mut taken: HashMap<RunId, Created>,
    again: bool,
) -> Outcome<Vec<Result<Created>>> {
    let inserted: HashSet<String> = inserted.into_iter().collect();
    let mut created = Vec::with_capacity(programs.len());
    for program in programs {
        created.push(if let Some(other) = taken.remove(&program.run_id) {
            Ok(other)
        } else if inserted.contains(program.run_id.as_str()) {
            Ok(Created::anew(program.run_id.clone()))
        } else {
            existing::<D, S>(s, program, again).await?
        });
    }
    Ok(created)
}

/// Keeps the keys that are unique for a time, in their order, so that two who want the same ones wait
/// for each other one way only; what stands for the programs whose keys are taken.
async fn reserve<S: Session>(
    s: &mut S,
    programs: &[&NewProgram],
    again: bool,
) -> Outcome<HashMap<RunId, Created>> {
    let key = |program: &&&NewProgram| {
        let unique_for = program.program.options.unique_for.as_ref();
        unique_for.map(|unique_for| unique_for.key.clone())
    };
    let keyed = programs.iter().filter(|program| key(program).is_some());
    let mut keyed: Vec<_> = keyed.collect();
    keyed.sort_by_key(key);
    let mut taken = HashMap::new();
    for program in keyed {
        if let Some(other) = sql::create::reserve(s, program, again).await? {
            taken.insert(program.run_id.clone(), other);
        }
    }
    Ok(taken)
}

/// A program that was not inserted: it is there from the time before, or another one has its key.
async fn existing<D: Database, S: Session>(
    s: &mut S,
    program: &NewProgram,
    again: bool,
) -> Outcome<Result<Created>> {
    // The holder may end in between; then its key is free.
    for _ in 0..10 {
        if again && sql::query::get(s, &program.run_id).await?.is_some() {
            return Ok(Ok(Created::anew(program.run_id.clone())));
        }
        if program.program.options.unique_key.is_none() {
            break;
        }
        if let Some(other) = sql::create::stand_in(s, program).await? {
            return Ok(Ok(other));
        }
        if !D::insert(s, &[program], again).await?.is_empty() {
            return Ok(Ok(Created::anew(program.run_id.clone())));
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
