//! Does every address that comes out of a list stand alone, and mean the same when it is read again?

#![no_main]

use libfuzzer_sys::fuzz_target;
use sealpost::mail::{address::Address, list};

fuzz_target!(|bytes: &[u8]| {
    for mailbox in list::parse_bytes(bytes).mailboxes {
        let Ok(address) = mailbox.spec.qualify("client.test") else { continue };
        let text = address.to_string();
        assert!(!text.chars().any(|c| c.is_control()), "a control character in {text:?}");
        assert_eq!(Address::parse(&text).as_ref(), Ok(&address), "{text:?} is read otherwise");
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = list::parse_word(text);
        for localhost in [false, true] {
            if let Some(qualified) = list::qualify_header(text, "client.test", localhost) {
                let again = list::qualify_header(&qualified, "client.test", localhost);
                assert_eq!(again, None, "{qualified:?} is not qualified yet");
            }
        }
    }
});
