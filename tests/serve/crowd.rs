//! Do many at once get their answers, each message exactly once?

use std::{collections::BTreeSet, fs, net::TcpListener, os::unix::net::UnixStream, sync::Barrier, thread};

use crate::{
    client::Client,
    common::{barrier::at_once, say},
    kit::{Service, arrive, can_be_others, sink, text},
};

#[test]
fn fifty_at_once_hand_in_ten_messages_each_and_none_is_lost_or_doubled() {
    let sink = sink();
    let service = Service::new(sink.address, "").start();
    let (clients, each) = (50, 10);
    let barrier = Barrier::new(clients);
    let ids: Vec<String> = thread::scope(|scope| {
        let work = |number: usize| {
            let (service, barrier) = (&service, &barrier);
            move || {
                let mut client = service.client();
                client.hello();
                barrier.wait();
                let one = |n: usize| client.message("root", &["you@sink.test"], &format!("Subject: {number}-{n}\r\n\r\nhi\r\n"));
                (0..each).map(one).collect::<Vec<_>>()
            }
        };
        let running: Vec<_> = (0..clients).map(|number| scope.spawn(work(number))).collect();
        running.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), clients * each);
    let subject = |text: String| text.lines().find_map(|line| line.strip_prefix("Subject: ").map(str::to_owned)).unwrap();
    let arrived: Vec<String> = arrive(&sink, clients * each).iter().map(text).map(subject).collect();
    assert_eq!(arrived.iter().collect::<BTreeSet<_>>().len(), clients * each);
    service.ends();
    assert_eq!(service.waiting(), 0);
}

#[test]
fn where_no_account_works_the_queue_is_not_gone_through_whenever_a_message_comes() {
    if std::process::Command::new("strace").arg("-V").output().is_err() {
        assert!(std::env::var_os("CI").is_none(), "strace is not installed");
        return say("SKIPPED: who looks at the queue: strace is not installed");
    }
    let gone = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = gone.local_addr().unwrap();
    drop(gone);
    let mut service = Service::new(address, "");
    let trace = service.scratch.path().join("trace");
    let words = ["strace", "-D", "-f", "-q", "-e", "trace=newfstatat", "-o", trace.to_str().unwrap()];
    service.wrapper = words.map(str::to_owned).to_vec();
    let service = service.start();
    let mut client = service.client();
    client.hello();
    client.message("root", &["you@sink.test"], "Subject: first\r\n\r\nhi\r\n");
    service.until_logged("deferred");
    let each = 40;
    let ids: Vec<String> =
        (0..each).map(|n| client.message("root", &["you@sink.test"], &format!("Subject: {n}\r\n\r\nhi\r\n"))).collect();
    service.ends();
    // Whoever traces it ends after it.
    let calls = loop {
        let calls = fs::read_to_string(&trace).unwrap();
        if calls.lines().last().is_some_and(|line| line.contains("+++ exited with 0 +++")) {
            break calls;
        }
    };
    let looks = calls.lines().filter(|line| ids.iter().any(|id| line.contains(&format!("\"{id}\"")))).count();
    assert!(looks < each, "{looks} looks at {each} messages that nobody can send");
    assert_eq!(service.waiting(), each + 1);
}

#[test]
fn five_hundred_that_wait_for_the_same_moment_are_all_taken_though_few_are_let_in_at_a_time() {
    const ALL: usize = 500;
    let sink = sink();
    let service = Service::new(sink.address, "").start();
    let program = service.scratch.path().join("sendmail");
    crate::common::install(&program);
    let others = can_be_others("five_hundred_that_wait_for_the_same_moment_are_all_taken").then_some(64_124);
    // Root, for whom there is more room, and a user.
    for user in [None].into_iter().chain(others.map(Some)) {
        let (codes, said) = at_once(ALL, |n| {
            let command = service.sendmail_command(user, &[&format!("n{n}@sink.test")]);
            (command, b"Subject: x\n\nhi\n".to_vec())
        });
        assert_eq!((codes.iter().filter(|code| **code == Some(0)).count(), said.as_str()), (ALL, ""));
        let to: BTreeSet<String> = arrive(&sink, ALL).iter().map(|mail| mail.transaction.recipients[0].address.clone()).collect();
        assert_eq!(to.len(), ALL);
    }
    service.ends();
    assert_eq!(service.waiting(), 0);
}

#[test]
fn thousands_of_connections_shut_nobody_out_for_longer_than_they_last() {
    let sink = sink();
    let service = Service::new(sink.address, "connections = 50").start();
    crate::kit::raise_file_limit();
    let (mut inside, mut refused) = (Vec::new(), 0);
    for _ in 0..3000 {
        let mut client = Client::new(UnixStream::connect(service.socket()).unwrap());
        let greeting = client.reply();
        if greeting.starts_with("220 ") {
            inside.push(client);
        } else {
            assert!(greeting.starts_with("421 4."), "{greeting:?}");
            refused += 1;
        }
    }
    // Root, who plays everybody here, has ten more than all others.
    assert!((50..=60).contains(&inside.len()) && refused > 2900, "{} {refused}", inside.len());
    drop(inside);
    // Who comes next may still be counted with those who just left.
    let mut client = loop {
        let mut client = service.client();
        if client.reply().starts_with("220 ") {
            break client;
        }
    };
    client.says("EHLO x", "250-");
    client.message("root", &["you@sink.test"], "Subject: x\r\n\r\nhi\r\n");
    arrive(&sink, 1);
    let told = service.log().iter().filter(|record| record["status"] == "rejected").count();
    assert!((1..200).contains(&told), "{told} records of the same thing");
}

#[test]
fn with_few_descriptors_fewer_are_let_in_and_those_are_served() {
    let sink = sink();
    let mut service = Service::new(sink.address, "connections = 500");
    service.wrapper = ["prlimit", "--nofile=90:90"].map(str::to_owned).into();
    let service = service.start();
    let mut inside: Vec<_> =
        (0..200).map(|_| service.client()).filter_map(|mut client| client.reply().starts_with("220 ").then_some(client)).collect();
    assert!((5..50).contains(&inside.len()), "{}", inside.len());
    for (n, client) in inside.iter_mut().enumerate() {
        client.says("EHLO x", "250-");
        client.message("root", &["you@sink.test"], &format!("Subject: {n}\r\n\r\nhi\r\n"));
    }
    assert_eq!(arrive(&sink, inside.len()).len(), inside.len());
    assert_eq!(service.errors(), "");
}
