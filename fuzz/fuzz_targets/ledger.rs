//! Is a log read to its end and summed up, whatever stands in it?

#![no_main]

use std::ops::ControlFlow;

use libfuzzer_sys::fuzz_target;
use sealpost::host::{
    ledger::{Wanted, entry::Entry, read_stream, summary::Summary},
    world::{Pretend, World as _},
};

fuzz_target!(|bytes: &[u8]| {
    let mut summary = Summary::new(Pretend::default().now().time_zone().clone());
    let mut seen = 0;
    let mut visit = |text: &str, entry: Entry| {
        assert!(!text.contains('\n'), "a record of two lines");
        // What a record says does not depend on what stands beside it.
        let (again, same) = Entry::parse(text.as_bytes()).expect("it was a record before");
        assert_eq!((again, same.time, &same.status), (text, entry.time, &entry.status));
        summary.add(&entry);
        seen += u64::from(entry.is_send());
        ControlFlow::Continue(())
    };
    let gaps = read_stream(bytes, &Wanted::default(), &mut visit);
    assert!(gaps.failures.is_empty());
    let counted: u64 = summary.hosts.values().map(|host| host.total().attempts).sum();
    assert_eq!(counted + summary.crowd, seen);
    for sessions in summary.hosts.values().flat_map(|host| host.sessions.values()) {
        assert_eq!(sessions.failures.values().map(|failed| failed.sessions).sum::<u64>(), sessions.bad);
    }
});
