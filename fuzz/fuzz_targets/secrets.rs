//! Are a netrc file, a token's JSON and an answer of HTTP read within bounds, whatever they hold, and wherever the network cuts them?

#![no_main]

use libfuzzer_sys::fuzz_target;
use sealpost::host::{
    http::answer::{Fault, Reader},
    secrets::{fields::Fields, netrc},
};

fn answer(bytes: &[u8], step: usize) -> Result<(u16, Vec<u8>), Fault> {
    let mut reader = Reader::default();
    for piece in bytes.chunks(step) {
        if let Some(answer) = reader.push(piece)? {
            return Ok((answer.status, answer.body.to_vec()));
        }
    }
    reader.end().map(|answer| (answer.status, answer.body.to_vec()))
}

fuzz_target!(|bytes: &[u8]| {
    let whole = answer(bytes, bytes.len().max(1));
    for step in [1, 7] {
        assert_eq!(answer(bytes, step), whole, "cut every {step} octets");
    }
    if let Some(fields) = Fields::parse(bytes) {
        let _ = (fields.text(&["access_token"]), fields.seconds(&["expires_in"]), fields.moment(&["expires_at"]));
    }
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Err(fault) = netrc::password(text, "a", "b")
    {
        assert!((1..=text.lines().count().max(1)).contains(&fault.line), "{fault:?}");
    }
});
