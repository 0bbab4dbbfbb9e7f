//! sealpost, the sendmail that seals: this page is the map.
//!
//! Imports point down only: `cmd` -> `host` -> `smtp` -> `mail`; `error` is usable by all. `tests/layers.rs` holds it.

pub mod error;

/// What a message and a promise are: no clock, no file, no socket, no environment.
pub mod mail {
    pub mod address;
    pub mod aliases;
    pub mod content;
    pub mod envelope;
    pub mod list;
    pub mod outcome;
    pub mod policy;
    pub mod recipients;
    pub mod tls;
    pub mod words;
}

/// How it is said: bytes in, actions out.
pub mod smtp {
    pub mod sasl;
}

/// The machine: every effect, each behind a small type.
pub mod host {
    pub mod config;
    pub mod secrets;
    pub mod world;
}

/// One file per thing that a user asks for.
pub mod cmd {
    pub mod config;
}
