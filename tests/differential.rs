//! Does `sendmail -t` find the recipients that Postfix's finds? The same generated headers through both, to the same smarthost.
//!
//! Needs root and Postfix. A sample runs always, the same one every time; `SEALPOST_DIFFERENTIAL=10000` runs as many headers,
//! and with `SEALPOST_DIFFERENTIAL_SEED` others. Whatever differs must have its reason in `differential/reasons.rs`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test says what is wrong by panicking")]

mod common;

#[path = "differential/headers.rs"]
mod headers;
#[path = "differential/postfix.rs"]
mod postfix;
#[path = "differential/reasons.rs"]
mod reasons;
#[path = "callers/recorder.rs"]
#[allow(dead_code, reason = "the recorded callers use the rest")]
mod recorder;

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    process::{Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use common::{Scratch, binary, needs::or_skip, run, say};
use headers::{Generator, Header};
use postfix::Postfix;
use recorder::{Mail, Recorder};

/// How many headers are tried where the environment does not ask for more.
const SAMPLE: usize = 1000;

/// What one header led to: nothing was sent, or to whom, and whether a blind copy could be seen.
type Found = (BTreeSet<String>, bool);

#[test]
fn the_recipients_of_a_header_are_those_that_postfix_finds() {
    let wanted = |name: &str, otherwise: u64| env::var(name).map_or(otherwise, |text| text.parse().unwrap());
    let count = usize::try_from(wanted("SEALPOST_DIFFERENTIAL", SAMPLE as u64)).unwrap();
    let mut generator = Generator::new(wanted("SEALPOST_DIFFERENTIAL_SEED", 1));
    let headers: Vec<Header> = (0..count).map(|_| generator.header()).collect();
    let Some(theirs) = or_skip(through_postfix(&headers)) else { return };
    let ours = through_sealpost(&headers);
    let (mut counts, mut same, mut unexplained) = (BTreeMap::new(), 0, Vec::new());
    for (at, header) in headers.iter().enumerate() {
        let (theirs, ours) = (theirs.get(&at).cloned(), ours.get(&at).cloned());
        if theirs == ours {
            same += 1;
            continue;
        }
        match reasons::why(header, theirs.as_ref(), ours.as_ref()) {
            Some(reasons) => reasons.into_iter().for_each(|reason| *counts.entry(reason).or_insert(0) += 1),
            None => unexplained.push(format!("{header:?}\n  Postfix  {theirs:?}\n  sealpost {ours:?}")),
        }
    }
    say(&format!("{count} headers: {same} the same, {} not explained; reasons: {counts:#?}", unexplained.len()));
    // A generator that made nothing ordinary any more, or a Postfix that took nothing, would prove nothing.
    assert!(same * 2 > count, "only {same} of {count} are the same");
    assert!(
        unexplained.is_empty(),
        "{} of {count}, such as\n{}",
        unexplained.len(),
        unexplained[..unexplained.len().min(25)].join("\n")
    );
}

/// Every header through Postfix's sendmail and its queue.
fn through_postfix(headers: &[Header]) -> Result<BTreeMap<usize, Found>, String> {
    let recorder = Recorder::start(false);
    let postfix = Postfix::start(recorder.port())?;
    in_parallel(headers, |sender, message| {
        let mut command = postfix.sendmail();
        command.args(["-t", "-i", "-f", sender]);
        run(command, message);
    });
    postfix.drain();
    drop(postfix);
    Ok(found(&recorder.finish().mails))
}

fn through_sealpost(headers: &[Header]) -> BTreeMap<usize, Found> {
    let recorder = Recorder::start(false);
    let scratch = Scratch::new();
    let account =
        format!("[accounts.relay]\nhost = \"127.0.0.1\"\nport = {}\n[accounts.relay.tls]\npolicy = \"off\"\n", recorder.port());
    let head = "mail_domain = \"client.example\"\naliases = \"\"\n[log]\nfile = \"\"\nsyslog = false\n[queue]\nmode = \"off\"\n[memory]\nfile = \"\"\n";
    let config = scratch.write("config.toml", format!("{head}{account}"));
    in_parallel(headers, |sender, message| {
        let mut command = Command::new(binary());
        command.args(["sendmail", "-t", "-i", "-f", sender, "-C"]).arg(&config).env_clear().stdout(Stdio::null());
        run(command, message);
    });
    found(&recorder.finish().mails)
}

/// Calls `send` with the sender that tells the number of the header, and the message, for each.
fn in_parallel(headers: &[Header], send: impl Fn(&str, &[u8]) + Sync) {
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some((at, header)) =
                    Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|at| Some((at, headers.get(at)?)))
                {
                    send(&format!("m{at}@client.example"), format!("{}\nbody\n", header.text).as_bytes());
                }
            });
        }
    });
}

/// By number. What Postfix itself writes (bounces) has no sender and is left out.
fn found(mails: &[Mail]) -> BTreeMap<usize, Found> {
    let mut found: BTreeMap<usize, Found> = BTreeMap::new();
    for mail in mails {
        let Some(at) = mail.from.strip_prefix('m').and_then(|rest| rest.split('@').next()?.parse().ok()) else { continue };
        let (recipients, blind) = found.entry(at).or_default();
        let lower = |address: &str| match address.rsplit_once('@') {
            Some((local, domain)) => format!("{local}@{}", domain.to_lowercase()),
            None => address.to_owned(),
        };
        recipients.extend(mail.recipients.iter().map(|recipient| lower(&recipient.address)));
        let data = String::from_utf8_lossy(&mail.data).to_lowercase();
        let head = data.split("\r\n\r\n").next().unwrap_or_default();
        *blind |= head.lines().any(|line| line.split(':').next().is_some_and(|name| name.trim_end().ends_with("bcc")));
    }
    found
}
