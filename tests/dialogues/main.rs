//! Does the client say what RFC 5321 and its extensions want, in the order they want it? One dialogue per rule.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod kept;
mod kit;
mod login;
mod outcome;
mod requiretls;
mod seal;
mod transfer;
