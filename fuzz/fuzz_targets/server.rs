//! Does the server's side of SMTP keep its promises, whatever a client says?

#![no_main]

use libfuzzer_sys::fuzz_target;
use sealpost::smtp::server::{Action, Answer, Promise, Seal, Server, Settings, Stored};

fuzz_target!(|input: (u8, bool, Vec<u8>)| {
    let (step, lmtp, bytes) = input;
    let mut server = Server::new(Settings {
        lmtp,
        seal: Seal::Offered,
        requiretls: Promise::Sealed,
        consult: true,
        private: true,
        message_size: 10_000,
        recipients: 10,
        ..Settings::new("fuzz.test")
    });
    let mut waiting = server.greet();
    for chunk in bytes.chunks(usize::from(step).max(1)) {
        waiting.extend(server.receive(chunk));
        // What an action leads to is done before the next chunk, as the listener does it.
        while !waiting.is_empty() {
            for action in std::mem::take(&mut waiting) {
                match action {
                    Action::Say(said) => assert!(said.ends_with(b"\r\n"), "half a line: {said:?}"),
                    Action::Ask(_) => waiting.extend(server.answered(Answer::Fine)),
                    Action::Handshake => waiting.extend(server.sealed()),
                    Action::Deliver { .. } => waiting.extend(server.stored(&Stored::Kept("x".to_owned()))),
                    Action::Begin(_) | Action::Body(_) | Action::Discard | Action::Close | Action::Flood(_) | Action::Stall => {}
                }
            }
        }
    }
});
