//! On speaking terms with the JavaScript program-executor (DESIGN §6, SEMANTICS §6).
//!
//! For it a message is the execution of a step, and a row shows no claim. So a message is an address here, and
//! no permit: it is settled when the program that it names is the store's, and from then on everything is as
//! it always is. Back it goes where a worker lacks the next job, or stops: that is the broker's
//! [`hand_over`](crate::broker::Broker::hand_over).
//!
//! What a worker has no slot for stays in RabbitMQ, where others find it.

mod ear;
mod inbox;
mod lane;
mod message;

pub(super) use self::{ear::InteropEar, inbox::Inbox, lane::InteropEars, message::write};
