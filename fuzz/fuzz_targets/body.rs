//! Can a body end the data early, and does the measure agree with what is sent, wherever the chunks are cut?

#![no_main]

use libfuzzer_sys::fuzz_target;
use sealpost::{
    mail::scan::Scan,
    smtp::wire::{CrlfNormaliser, DotStuffer},
};

fuzz_target!(|input: (u8, Vec<u8>)| {
    let (step, bytes) = (usize::from(input.0).max(1), input.1);
    let (mut scan, mut normaliser, mut stuffer) = (Scan::default(), CrlfNormaliser::default(), DotStuffer::default());
    let (mut lines, mut wire) = (Vec::new(), Vec::new());
    for chunk in bytes.chunks(step) {
        scan.feed(chunk);
        normaliser.feed(chunk, &mut lines);
    }
    normaliser.finish(&mut lines);
    for chunk in lines.chunks(step) {
        stuffer.feed(chunk, &mut wire);
    }
    wire.extend_from_slice(stuffer.finish());
    assert_eq!(scan.finish().size, lines.len() as u64);
    let text = String::from_utf8_lossy(&wire);
    assert!(!text.replace("\r\n", "").contains(['\r', '\n', '\0']), "a bare CR, LF or NUL: {text:?}");
    let ends = [b"\r\n".as_slice(), &wire].concat().windows(5).filter(|five| *five == b"\r\n.\r\n").count();
    assert_eq!(ends, 1, "{text:?}");
});
