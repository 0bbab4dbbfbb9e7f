//! Does a send with `trust = "dane"` or `host = "srv:…"` do what a real signed zone says, and nothing that a false one says?
//!
//! Needs nsd, unbound and ldnsutils, which `tests/run` installs. Without them every test here says that it was skipped; with
//! `CI=true` that is a failure.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test says what is wrong by panicking")]

mod common;

#[path = "dane/check.rs"]
mod check;
#[path = "dane/kit.rs"]
mod kit;
#[path = "dane/outcome.rs"]
mod outcome;
#[path = "dane/server.rs"]
mod server;
#[path = "dane/service.rs"]
mod service;
