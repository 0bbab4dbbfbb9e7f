//! Does a service lose or forget anything when the clock jumps by a year under it, and back? (libfaketime moves it)

use std::{path::PathBuf, time::Instant};

use sealpost::host::listen::Event;

use crate::{
    common::say,
    kit::{PATIENCE, Service, sink},
};

/// The library that moves the clock of a process with threads.
fn library() -> Option<PathBuf> {
    let places = std::fs::read_dir("/usr/lib").unwrap().flatten().map(|entry| entry.path());
    let found = places.map(|place| place.join("faketime/libfaketimeMT.so.1")).find(|path| path.exists());
    if found.is_none() {
        assert!(std::env::var_os("CI").is_none(), "faketime is not installed");
        say("SKIPPED: a clock that jumps: faketime is not installed");
    }
    found
}

/// Nobody is told of a delay: it would be one more message.
fn without_warnings(service: &Service) {
    let text = std::fs::read_to_string(service.config()).unwrap();
    service.scratch.write("config.toml", text.replace("retry_first", "warn_after = \"\"\nretry_first"));
}

#[test]
fn a_clock_that_jumps_by_a_year_and_back_loses_nothing_and_keeps_nothing_back() {
    let Some(library) = library() else { return };
    for jump in ["+365d", "-365d"] {
        let sink = sink();
        let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut service = Service::new(gone, "");
        without_warnings(&service);
        let clock = service.scratch.write("clock", "+0d");
        for (name, value) in [
            ("LD_PRELOAD", library.display().to_string()),
            ("FAKETIME_TIMESTAMP_FILE", clock.display().to_string()),
            ("FAKETIME_NO_CACHE", "1".to_owned()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ] {
            service.environment.push((name.to_owned(), value));
        }
        let service = service.start();
        let mut client = service.client();
        client.hello();
        // Some are tried, in vain, under one clock or the other; some come while the account pauses.
        let mut years = Vec::new();
        for (number, at) in ["+0d", jump, "+0d", jump].into_iter().enumerate() {
            service.scratch.write("clock", at);
            let id = client.message("root", &["you@sink.test"], &format!("Subject: {number}\r\n\r\nhi\r\n"));
            let record = service.until_logged_so(|record| record["id"] == id.as_str());
            years.push(record["time"].as_str().unwrap()[..4].to_owned());
        }
        assert_ne!(years[0], years[1], "the clock does not jump");
        assert_eq!(service.waiting(), 4);
        service.configure(sink.address, "");
        without_warnings(&service);
        service.reload();
        // One that is being tried under the old configuration just now is flushed by the next word.
        let (deadline, mut arrived) = (Instant::now() + PATIENCE, 0);
        while arrived < 4 {
            client.says("XQUEUE flush", "250 ");
            arrived += sink.events.try_iter().filter(|event| matches!(event, Event::Delivered(_))).count();
            assert!(Instant::now() < deadline, "{arrived} of 4 have arrived");
        }
        service.ends();
        assert_eq!((service.waiting(), service.names("failed").len()), (0, 0), "{jump}");
    }
}
