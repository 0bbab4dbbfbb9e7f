//! Is nothing lost, and nothing sent twice, from a submission that can't go now to the last run of the queue? (sealpost(1), "The queue")

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test says what is wrong by panicking")]

#[path = "../common/mod.rs"]
mod common;

mod background;
mod crash;
mod crowd;
mod kit;
mod modes;
mod report;
mod retry;
mod service;
#[allow(dead_code, reason = "the tests of the queue use their part of it")]
#[path = "../system/smarthost.rs"]
mod smarthost;
mod strays;
mod trouble;
