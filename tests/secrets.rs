//! Does each place for a secret give it, cost nothing where it is not named, and leave no trace of it anywhere?

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test says what is wrong by panicking")]

mod common;

#[path = "secrets/cost.rs"]
mod cost;
#[path = "secrets/echo.rs"]
mod echo;
#[path = "secrets/hygiene.rs"]
mod hygiene;
#[path = "secrets/keyring.rs"]
mod keyring;
#[path = "secrets/kit.rs"]
mod kit;
#[path = "secrets/process.rs"]
mod process;
#[path = "secrets/recipes.rs"]
mod recipes;
#[path = "secrets/shortage.rs"]
mod shortage;
#[path = "secrets/system_log.rs"]
mod system_log;
