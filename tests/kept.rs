//! Does one connection serve several messages, and is a message none the worse where it does not? (RFC 5321 3.3, 3.8)

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test says what is wrong by panicking")]

mod common;

#[path = "kept/account.rs"]
mod account;
#[path = "kept/reuse.rs"]
mod reuse;
#[path = "kept/settled.rs"]
mod settled;
