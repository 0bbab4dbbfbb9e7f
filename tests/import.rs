//! Does `sealpost config import` carry over what is there, tell what it changed, and keep secrets to their owner?
//!
//! `import/cases/` has a machine for each configuration: its files, `arguments`, and what has to come out. With `BLESS=1` in the
//! environment what comes out is written down instead of compared, to be read before it is committed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test says what is wrong by panicking")]

mod common;

#[path = "import/files.rs"]
mod files;
#[path = "import/golden.rs"]
mod golden;
#[path = "import/kit.rs"]
mod kit;
#[path = "import/peers.rs"]
mod peers;
#[path = "import/posted.rs"]
mod posted;
#[path = "differential/postfix.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod postfix;
#[path = "import/pretend.rs"]
mod pretend;
#[path = "callers/recorder.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod recorder;
