//! Does somebody agree once, and mail goes out from then on: with every answer of a provider, and with a real one? (RFC 6749, 8252, 8628)

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test says what is wrong by panicking")]

mod common;

#[path = "oauth/crowd.rs"]
mod crowd;
#[path = "oauth/drain.rs"]
mod drain;
#[path = "oauth/fake.rs"]
mod fake;
#[path = "oauth/kit.rs"]
mod kit;
#[path = "oauth/provider.rs"]
mod provider;
#[path = "oauth/real.rs"]
mod real;
#[path = "oauth/refresh.rs"]
mod refresh;
#[path = "oauth/setup.rs"]
mod setup;
