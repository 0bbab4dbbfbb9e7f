//! How does a value become one line of JSON that nothing in it can break? (RFC 8259 section 7)

use std::io;

use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};

use crate::error::is_treacherous;

/// The value as one line, its newline included.
///
/// # Errors
/// None that a record of the log can cause; serde's signature allows for one.
pub fn line(value: &impl Serialize) -> serde_json::Result<Vec<u8>> {
    let mut line = Vec::with_capacity(2048);
    value.serialize(&mut Serializer::with_formatter(&mut line, Guarded))?;
    line.push(b'\n');
    Ok(line)
}

/// The compact form of `serde_json`, which escapes C0 controls only, with the rest of what a terminal or a line-based reader may
/// act upon escaped too. JSON gives the same string back either way.
struct Guarded;

impl Formatter for Guarded {
    fn write_string_fragment<W: ?Sized + io::Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        // Of ASCII serde has escaped all that is treacherous but DEL.
        if fragment.is_ascii() && !fragment.contains('\x7f') {
            return writer.write_all(fragment.as_bytes());
        }
        let mut rest = fragment;
        while let Some(at) = rest.find(is_treacherous) {
            let (plain, tail) = rest.split_at(at);
            writer.write_all(plain.as_bytes())?;
            let mut chars = tail.chars();
            if let Some(c) = chars.next() {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    write!(writer, "\\u{unit:04x}")?;
                }
            }
            rest = chars.as_str();
        }
        writer.write_all(rest.as_bytes())
    }
}
