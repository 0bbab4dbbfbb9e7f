//! Is a file of the spool refused, or does it come back as the same message when it is queued again, whatever stands in it?

#![no_main]

use std::{
    fs,
    path::{Path, PathBuf},
};

use libfuzzer_sys::fuzz_target;
use sealpost::{
    host::{
        journal::Id,
        spool::{Claim, Claimed, Place, Spool},
    },
    mail::content::{Content, Form},
};

fn octets(claim: &Claim<'_>) -> Vec<u8> {
    let (mut content, mut octets) = (claim.content().unwrap(), Vec::new());
    content.rewind(Form::EightBit).unwrap();
    while !content.fill(&mut octets, 4096).unwrap() {}
    octets
}

/// The parts with the checksums that the spool would give them: by chance nobody finds those.
fn sealed(head: &[u8], content: &[u8], states: &[u8]) -> Vec<u8> {
    let covered = format!("sealpost-queue 1 {:010} {:020} {:08x}", head.len(), content.len(), crc32fast::hash(content));
    let sum = crc32fast::hash(&[covered.as_bytes(), head].concat());
    let mut file = [format!("{covered} {sum:08x}\n").as_bytes(), head, content].concat();
    for state in states.split(|octet| *octet == b'\n') {
        file.extend_from_slice(format!("{:08x} ", crc32fast::hash(state)).as_bytes());
        file.extend_from_slice(state);
        file.push(b'\n');
    }
    file
}

fn place() -> PathBuf {
    let memory = Path::new("/dev/shm");
    let base = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    base.join(format!("sealpost-fuzz-{}", std::process::id()))
}

fuzz_target!(|input: (bool, &[u8], &[u8], &[u8])| {
    let (is_sealed, head, states, content) = input;
    let place = place();
    let spool = Spool::make(&place).unwrap();
    let [one, other] = [1, 2].map(|n| Id::new(jiff::Timestamp::UNIX_EPOCH, [n; 10]));
    let file = if is_sealed { sealed(head, content, states) } else { [head, states, content].concat() };
    fs::create_dir_all(place.join("queue")).unwrap();
    fs::write(place.join("queue").join(one.to_string()), file).unwrap();
    match spool.claim(Place::Queue, one).unwrap() {
        Claimed::Ours(claim) => {
            assert!(is_sealed && octets(&claim) == content);
            assert!(!claim.entry.head.envelope.recipients.is_empty());
            let mut again = spool.add(other, claim.entry.clone(), &mut claim.content().unwrap()).unwrap();
            assert_eq!(octets(&again), content);
            assert_eq!(again.entry, claim.entry);
            again.note(claim.entry.state.clone()).unwrap();
            drop(again);
            assert_eq!(spool.peek(Place::Queue, other).unwrap().as_ref(), Some(&claim.entry));
            fs::remove_file(place.join("queue").join(other.to_string())).unwrap();
        }
        Claimed::Odd(why) => assert!(!why.chars().any(char::is_control), "{why:?}"),
        other => panic!("{other:?}"),
    }
});
