//! What must a transport know of a message, and how does it get at the bytes? (RFC 5321 2.3.7, 4.5.3, 6152)

use std::io;

/// What the scan of a complete message found; everything that decides how it may be sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Octets on the wire, every line ended by CRLF, before dot-stuffing: what SIZE declares (RFC 1870).
    pub size: u64,
    /// The body has an octet above 127: it wants BODY=8BITMIME, or re-encoding.
    pub eight_bit: bool,
    /// Its header says `TLS-Required: No` (RFC 8689 3).
    pub tls_waived: bool,
}

/// In which form the bytes are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// As they are (lines over 998 octets re-encoded already, whatever the form).
    EightBit,
    /// Re-encoded so that no octet is above 127, for a server without 8BITMIME (RFC 6152 3).
    SevenBit,
}

/// A whole message, ready to be said any number of times in constant memory.
///
/// What comes out are lines that end in CRLF, the last one included; there is no other CR or LF, no NUL, no line over 998
/// octets. Dot-stuffing is the transport's.
pub trait Content {
    /// What is known of it in the form in which it was stored.
    fn facts(&self) -> Facts;

    /// Starts over in `form` and says how many octets will come.
    ///
    /// # Errors
    /// `InvalidData` where the message can't be put into that form (a signed part that would have to be re-encoded).
    fn rewind(&mut self, form: Form) -> io::Result<u64>;

    /// Appends at most `limit` octets to `out`; true when this was the last of them.
    ///
    /// # Errors
    /// The store can't be read, or the message changed since it was scanned.
    fn fill(&mut self, out: &mut Vec<u8>, limit: usize) -> io::Result<bool>;
}
