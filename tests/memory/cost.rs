//! What does the memory cost a send, in system calls?

use std::fs;

use crate::{
    common::{Sealpost, needs::has},
    kit::{self, Door, client, send},
};

/// The calls of one send that name the memory, or anything beside it, and how many files were forced to disk.
fn traced(sealpost: &mut Sealpost) -> (Vec<String>, usize) {
    let file = sealpost.scratch.path().join("trace").display().to_string();
    sealpost.wrapper = ["strace", "-f", "-qq", "-s", "256", "-o", &file].map(str::to_owned).to_vec();
    let run = send(sealpost);
    sealpost.wrapper.clear();
    assert_eq!(run.records.len(), 1, "{run:?}");
    let text = fs::read_to_string(&file).unwrap();
    let calls = text.lines().filter_map(|line| line.trim_start().split_once(' ')).map(|(_, call)| call.trim_start().to_owned());
    let (mut named, mut synced) = (Vec::new(), 0);
    for call in calls {
        synced += usize::from(call.starts_with("fsync(") || call.starts_with("fdatasync("));
        let name = call.split('(').next().unwrap_or_default();
        if call.contains("memory.json") && !call.starts_with("read(") && !call.starts_with("write") {
            named.push(format!("{name}{}", if call.contains("memory.json.new") { " new" } else { "" }));
        }
    }
    (named, synced)
}

#[test]
fn who_needs_no_memory_opens_none_and_who_does_reads_once_and_writes_once_a_day() {
    if !has("strace") {
        return;
    }
    let (good, bad) = (kit::sink(&[]), kit::sink(&["no-starttls"]));
    let nothing: (&[&str], usize) = (&[], 0);
    let reads: (&[&str], usize) = (&["openat"], 0);
    // Under the lock it is read again, since somebody may have been faster.
    let writes: (&[&str], usize) = (&["openat", "openat", "openat new", "renameat new"], 2);
    // The keys of TLS; then the first, the second and the third mail to a good server, and one to a server without TLS.
    let table = [
        ("ca_file = \"ca.pem\"", [nothing, nothing, nothing, reads]),
        ("trust = \"any\"", [nothing, nothing, nothing, reads]),
        ("policy = \"off\", trust = \"any\"", [nothing; 4]),
        ("policy = \"off\", trust = \"tofu\"", [nothing; 4]),
        ("trust = \"tofu\"", [writes, writes, reads, reads]),
        ("policy = \"opportunistic\", trust = \"any\"", [writes, reads, reads, reads]),
        ("policy = \"opportunistic\", ca_file = \"ca.pem\"", [writes, reads, reads, reads]),
        ("policy = \"opportunistic\", trust = \"tofu\"", [writes, writes, reads, reads]),
    ];
    for (tls, expected) in table {
        let door = Door::to(&good);
        let mut sealpost = client(&door, tls, "");
        sealpost.scratch.write("ca.pem", good.ca_pem.as_deref().unwrap());
        for (index, (calls, synced)) in expected.into_iter().enumerate() {
            if index == 3 {
                door.lead_to(&bad);
            }
            let seen = traced(&mut sealpost);
            assert_eq!(
                (seen.0.iter().map(String::as_str).collect::<Vec<_>>(), seen.1),
                (calls.to_vec(), synced),
                "{tls}, mail {index}"
            );
        }
    }
    let implicit = kit::implicit();
    for (tls, first) in [("policy = \"opportunistic\", trust = \"any\"", nothing), ("trust = \"tofu\"", writes)] {
        let mut sealpost = client(&Door::to(&implicit), &format!("start = \"implicit\", {tls}"), "");
        let (calls, synced) = traced(&mut sealpost);
        assert_eq!((calls.iter().map(String::as_str).collect::<Vec<_>>(), synced), (first.0.to_vec(), first.1), "{tls}");
    }
}
