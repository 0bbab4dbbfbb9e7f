//! What do `sealpost queue`, mailq and `sendmail -q` show and do, over queues in every state? (sealpost(1), sendmail(8))

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test says what is wrong by panicking")]

mod change;
#[path = "../common/mod.rs"]
mod common;
mod kit;
mod list;
mod mailq;
mod service;
#[path = "../common/text.rs"]
mod text;
