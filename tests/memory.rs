//! Is it remembered what servers showed, and is that never a reason to lose a mail? (sealpost(1), "The memory of servers")

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test says what is wrong by panicking")]

mod common;

#[path = "memory/command.rs"]
mod command;
#[path = "memory/cost.rs"]
mod cost;
#[path = "memory/crowd.rs"]
mod crowd;
#[path = "memory/downgrade.rs"]
mod downgrade;
#[path = "memory/hostile.rs"]
mod hostile;
#[path = "memory/kit.rs"]
mod kit;
#[path = "memory/life.rs"]
mod life;
