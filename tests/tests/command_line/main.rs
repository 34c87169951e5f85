//! The command line that `executor::run()` gives to every application, as a user types it.

mod app;
mod bulk;
mod control;
mod following;
mod quickstart;
mod schedules;
mod usage;
