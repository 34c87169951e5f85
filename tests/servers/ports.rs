//! Ports of this machine.

use std::{
    hash::{BuildHasher, RandomState},
    net::{Ipv4Addr, TcpListener},
    ops::Range,
};

/// None of those that systems hand out to outgoing connections: a client that keeps trying while
/// its server is down would end up connected to itself, and take the port away.
const PORTS: Range<u16> = 20_000..32_000;

/// A port of this machine that nothing listens on.
pub(crate) fn free_port() -> u16 {
    let count = u64::from(PORTS.end - PORTS.start);
    let first = RandomState::new().hash_one(()) % count;
    (0..count)
        .map(|step| PORTS.start + u16::try_from((first + step) % count).expect("it fits"))
        .find(|&port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok())
        .expect("a free port")
}
