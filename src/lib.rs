//! sealpost, the sendmail that seals: this page is the map.
//!
//! Imports point down only: `cmd` -> `host` -> `smtp` -> `mail`; `error` is usable by all. `tests/layers.rs` holds it.

pub mod error;

/// What a message and a promise are: no clock, no file, no socket, no environment.
pub mod mail {
    pub mod address;
    pub mod aliases;
    pub mod authors;
    pub mod bounce;
    pub mod content;
    mod demand;
    pub mod envelope;
    pub mod find;
    pub mod fold;
    pub mod header;
    pub mod lines;
    pub mod list;
    pub mod message;
    pub mod mime;
    pub mod outcome;
    pub mod phrase;
    pub mod policy;
    pub mod qp;
    pub mod queued;
    pub mod recipients;
    pub mod resent;
    pub mod retry;
    pub mod scan;
    pub mod stray;
    pub mod tls;
    pub mod trouble;
    pub mod words;
}

/// How it is said: bytes in, actions out.
pub mod smtp {
    pub mod action;
    pub mod advice;
    pub mod anchors;
    pub mod certificate;
    pub mod client;
    pub mod command;
    pub mod hello;
    mod issuer;
    pub mod leaf;
    pub mod reply;
    pub mod sasl;
    pub mod server;
    pub mod tlsa;
    mod transaction;
    pub mod wire;
}

/// The machine: every effect, each behind a small type.
pub mod host {
    pub mod alarm;
    pub mod alias_file;
    pub mod autoconfig;
    mod careful;
    pub mod config;
    pub mod converse;
    pub mod dial;
    pub mod dns;
    pub mod http;
    pub mod hybrid;
    pub mod import;
    pub mod inquiry;
    pub mod journal;
    pub mod ledger;
    pub mod listen;
    mod made;
    pub mod memory;
    pub mod narrate;
    pub mod net;
    mod private;
    pub mod probe;
    pub mod pump;
    pub mod replace;
    pub mod sandbox;
    pub mod secrets;
    pub mod service;
    pub mod signals;
    mod socks;
    pub mod spool;
    pub mod stamp;
    pub mod store;
    pub mod terminal;
    pub mod tls;
    pub mod world;
}

/// One file per thing that a user asks for: glue that reads like a story.
pub mod cmd {
    pub mod addressing;
    pub mod aliases;
    pub mod args;
    pub mod background;
    pub mod caller;
    pub mod check;
    pub mod completing;
    pub mod config;
    pub mod deliver;
    pub mod demo;
    pub mod dispatch;
    mod door;
    pub mod flags;
    pub mod getopt;
    pub mod import;
    pub mod ink;
    pub mod log;
    pub mod queue;
    pub mod reception;
    pub mod report;
    pub mod runner;
    pub mod screen;
    pub mod selection;
    pub mod sendmail;
    pub mod serve;
    pub mod setup;
    pub mod sink;
    pub mod submit;
    pub mod trust;
    pub mod when;
    pub mod wrap;
}

pub use cmd::dispatch::run;
