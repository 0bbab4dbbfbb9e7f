//! How is a message re-encoded where it can't go as it is? (RFC 2045, 2046, 6152 3)
//!
//! Two passes over the stored message, and only for a message that needs them: a [`Survey`] notes for each entity what is in
//! it, a [`Recoder`] then writes the message, each entity's encoding being known when its header goes by.

mod entity;
mod recode;
mod survey;
mod walk;

pub use recode::Recoder;
pub use survey::{Plan, Survey};

/// Entities deeper than this are not looked into.
const DEEPEST: usize = 20;

/// Entities in one message that are planned for.
const MOST_ENTITIES: usize = 10_000;

/// The message can't be re-encoded: why, as the end of "the message can't be re-encoded: …".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused(pub &'static str);

#[cfg(test)]
mod tests;
