//! Are replies the same wherever the network cuts them, and the bounds kept?

#![no_main]

use libfuzzer_sys::fuzz_target;
use sealpost::{
    mail::outcome::Reply,
    smtp::reply::{Capabilities, Malformed, Parser},
};

fn all(bytes: &[u8], step: usize) -> (Vec<Reply>, Option<Malformed>) {
    let mut parser = Parser::default();
    let mut replies = Vec::new();
    for chunk in bytes.chunks(step) {
        parser.push(chunk);
        loop {
            match parser.next_reply() {
                Ok(Some(reply)) => replies.push(reply),
                Ok(None) => break,
                Err(malformed) => return (replies, Some(malformed)),
            }
        }
    }
    (replies, None)
}

fuzz_target!(|bytes: &[u8]| {
    let (whole, _) = all(bytes, bytes.len().max(1));
    for step in [1, 7] {
        assert_eq!(all(bytes, step).0, whole, "cut every {step} octets");
    }
    for reply in &whole {
        assert!((200..600).contains(&reply.code), "{reply:?}");
        assert!(!reply.lines.is_empty());
        let _ = Capabilities::of(reply);
    }
});
