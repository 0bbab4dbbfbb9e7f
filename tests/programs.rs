//! Do the programs that call sendmail get their mail through? Each the real one, on a machine whose sendmail is sealpost,
//! with a real Postfix behind the smarthost's port.
//!
//! Needs root, namespaces, and the programs that `tests/programs/unpack` lays below target/programs, which `tests/run` calls.
//! Without them every test here says that it was skipped; with `CI=true` that is a failure.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test says what is wrong by panicking")]

mod common;

#[path = "programs/daemons.rs"]
mod daemons;
#[path = "programs/kit.rs"]
mod kit;
#[path = "programs/libraries.rs"]
mod libraries;
#[path = "programs/mailers.rs"]
mod mailers;
#[path = "programs/schedulers.rs"]
mod schedulers;
#[path = "system/smarthost.rs"]
#[allow(dead_code, reason = "the system tests use the rest")]
mod smarthost;
