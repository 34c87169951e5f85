//! A job's own writes and its step are one commit (G4), on PostgreSQL.

#[path = "../bank.rs"]
mod bank;
#[path = "../transactions.rs"]
mod transactions;

type Db = executor::Pg;
const BANK: &str = env!("CARGO_BIN_EXE_bank-postgres");
