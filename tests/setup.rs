//! Does `sealpost setup` lead from an address to an account that sends, and leave nothing where somebody breaks off? (sealpost(1))

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test says what is wrong by panicking")]

mod common;

#[path = "setup/breaking.rs"]
mod breaking;
#[path = "setup/finding.rs"]
mod finding;
#[path = "setup/kit.rs"]
mod kit;
#[path = "setup/silent.rs"]
mod silent;
#[path = "setup/talking.rs"]
mod talking;
#[path = "setup/terminal.rs"]
mod terminal;
#[path = "setup/web.rs"]
mod web;
