//! Which system calls does a send make, and which not?

use std::{collections::HashSet, fs};

use crate::smarthost::{Smarthost, send, smarthost};

/// The calls of one send through `service`, a line each, process ids removed.
fn traced(smarthost: &Smarthost, service: &str, tls: &str) -> (Vec<String>, String) {
    let mut client = smarthost.client(service, "", tls, "");
    let file = client.scratch.path().join("trace").display().to_string();
    client.wrapper = ["strace", "-f", "-qq", "-s", "256", "-o", &file].map(str::to_owned).to_vec();
    let (run, _) = send(&client, &format!("traced-{service}"), &["ok@sink.test"]);
    assert_eq!(run.code, 0, "{run:?}");
    let text = fs::read_to_string(&file).unwrap();
    let calls = text.lines().filter_map(|line| line.trim_start().split_once(' ')).map(|(_, call)| call.trim_start().to_owned());
    (calls.collect(), client.scratch.path().display().to_string())
}

/// The calls on the connection to the smarthost, from its `connect` to its `close`.
fn on_the_socket(calls: &[String], port: u16) -> Vec<&String> {
    let port = format!("htons({port})");
    let at = calls.iter().position(|c| c.starts_with("connect(") && c.contains(&port)).expect("no connect to the smarthost");
    let descriptor: String = calls[at]["connect(".len()..].chars().take_while(char::is_ascii_digit).collect();
    let own = |call: &&String| call.split_once('(').is_some_and(|(_, args)| args.starts_with(&format!("{descriptor},")));
    let closed =
        calls[at..].iter().position(|c| c.starts_with(&format!("close({descriptor})"))).map_or(calls.len(), |end| at + end);
    calls[at..closed].iter().filter(own).collect()
}

fn is_write(call: &str) -> bool {
    ["write(", "writev(", "sendto(", "sendmsg("].iter().any(|name| call.starts_with(name))
}

#[test]
fn a_small_send_takes_no_more_flights_than_the_protocol() {
    let Some(smarthost) = smarthost() else { return };
    // EHLO; MAIL, RCPT and DATA in one; the message; QUIT.
    // With TLS: EHLO; STARTTLS; ClientHello; Finished; EHLO; the envelope; the message; QUIT; close_notify.
    for (service, tls, most) in [("plain", "policy = \"off\"", 4), ("starttls-good", "policy = \"required\"", 9)] {
        let (calls, _) = traced(smarthost, service, tls);
        let writes: Vec<&String> = on_the_socket(&calls, smarthost.port(service)).into_iter().filter(|c| is_write(c)).collect();
        assert!((2..=most).contains(&writes.len()), "{service}: {} writes, not {most}:\n{writes:#?}", writes.len());
    }
}

#[test]
fn nobody_waits_for_the_answer_to_quit() {
    let Some(smarthost) = smarthost() else { return };
    let (calls, _) = traced(smarthost, "plain", "policy = \"off\"");
    let socket = on_the_socket(&calls, smarthost.port("plain"));
    let quit = socket.iter().position(|c| is_write(c) && c.contains("QUIT\\r\\n")).expect("no QUIT");
    let read = |call: &&&String| ["read(", "readv(", "recvfrom(", "recvmsg("].iter().any(|name| call.starts_with(name));
    let after: Vec<_> = socket[quit + 1..].iter().filter(read).collect();
    assert!(after.is_empty(), "{after:#?}");
    let from = calls.iter().position(|c| c.contains("QUIT\\r\\n")).unwrap();
    let polled = calls[from..].iter().find(|c| c.starts_with("poll(") || c.starts_with("ppoll("));
    assert_eq!(polled, None);
}

#[test]
fn no_file_of_ours_is_looked_at_before_it_is_opened() {
    let Some(smarthost) = smarthost() else { return };
    let (calls, scratch) = traced(smarthost, "starttls-good", "policy = \"required\"");
    // What was looked at by its name and then opened by its name may have been two files.
    let mut looked = HashSet::new();
    for call in &calls {
        let Some(path) = call.split('"').nth(1).filter(|p| p.starts_with(&scratch)) else { continue };
        let name = call.split('(').next().unwrap_or_default();
        if ["stat", "lstat", "newfstatat", "statx", "access", "faccessat", "faccessat2"].contains(&name) {
            looked.insert(path.to_owned());
        }
        assert!(!(name.starts_with("open") && looked.contains(path)), "{path} is looked at, then opened");
    }
    let opened = |call: &String| call.starts_with("open") && call.contains("config.toml");
    assert!(calls.iter().any(opened), "the trace is not of a send: nobody opened the configuration");
}
