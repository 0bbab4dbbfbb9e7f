//! Does a mail arrive whole, and only as the policy allows, through a real Postfix and a real Dovecot?
//!
//! Needs root (Postfix does) and the packages that `tests/run` installs. Without them every test here says that it was
//! skipped; with `CI=true` that is a failure.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test says what is wrong by panicking")]

mod common;

#[path = "system/bound.rs"]
mod bound;
#[path = "system/bytes.rs"]
mod bytes;
#[path = "system/check.rs"]
mod check;
#[path = "system/kept.rs"]
mod kept;
#[path = "system/login.rs"]
mod login;
#[path = "system/outcome.rs"]
mod outcome;
#[path = "system/setup.rs"]
mod setup;
#[path = "system/smarthost.rs"]
mod smarthost;
#[path = "system/tls.rs"]
mod tls;
#[path = "system/trace.rs"]
mod trace;
