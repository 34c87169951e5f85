//! A job's own writes and its step are one commit (G4), on MySQL and MariaDB.

#[path = "../bank.rs"]
mod bank;
#[path = "../transactions.rs"]
mod transactions;

type Db = executor::MySql;
const BANK: &str = env!("CARGO_BIN_EXE_bank-mysql");
