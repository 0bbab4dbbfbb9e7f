//! Does sealpost keep its promises against servers that lie, stall and break off? (sealpost(1))

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test says what is wrong by panicking")]

mod common;

#[path = "hostile/case.rs"]
mod case;
#[path = "hostile/handshake.rs"]
mod handshake;
#[path = "hostile/kit.rs"]
mod kit;
#[path = "hostile/noise.rs"]
mod noise;
#[path = "hostile/outcome.rs"]
mod outcome;
#[path = "hostile/path.rs"]
mod path;
#[path = "hostile/starting_tls.rs"]
mod starting_tls;
