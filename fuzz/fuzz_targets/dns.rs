//! Does whatever a name server sends leave nothing but an answer to the question that was asked?

#![no_main]

use hickory_proto::{op::ResponseCode, rr::RecordType};
use libfuzzer_sys::fuzz_target;
use sealpost::host::dns::message::{Question, Reply};

fuzz_target!(|octets: &[u8]| {
    let question = Question::new("_25._tcp.mx.test", RecordType::TLSA).expect("it is a name");
    let id = octets.get(..2).map_or(0, |id| u16::from_be_bytes([id[0], id[1]]));
    match question.weigh(octets, id) {
        Reply::Answer(message) => {
            assert!(message.metadata.id == id && !message.metadata.truncation && message.queries.len() == 1);
            assert!(message.queries[0].name == question.name && message.queries[0].query_type == question.kind);
        }
        Reply::Failed(code) => assert!(code != ResponseCode::NoError && code != ResponseCode::NXDomain),
        Reply::Truncated | Reply::Foreign(_) => {}
    }
    assert!(matches!(question.weigh(octets, !id), Reply::Foreign(_)));
});
