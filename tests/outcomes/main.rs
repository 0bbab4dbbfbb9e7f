//! Is what comes of every TLS situation what the contract says: through the client machine alone, through the binary against a live
//! server, and in the documentation? (sealpost(1), "TLS policy")

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test says what is wrong by panicking")]

#[path = "../common/mod.rs"]
mod common;

mod contract;
mod live;
mod machine;
mod pages;
mod table;
