//! Is a message that the spool took never lost, never sent half, and never sent as another one? (`sealpost::host::spool`)

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test says what is wrong by panicking")]

#[path = "spool/forged.rs"]
mod forged;
#[path = "spool/full.rs"]
mod full;
#[path = "spool/hostile.rs"]
mod hostile;
#[path = "spool/kill.rs"]
mod kill;
#[path = "spool/kit.rs"]
mod kit;
#[path = "spool/life.rs"]
mod life;
#[path = "spool/mutation.rs"]
mod mutation;
#[path = "spool/power.rs"]
mod power;
#[path = "spool/story.rs"]
mod story;
#[path = "spool/sweep.rs"]
mod sweep;
#[path = "common/text.rs"]
mod text;
#[path = "spool/trace.rs"]
mod trace;
