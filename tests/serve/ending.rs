//! What is left when the service ends, gently or not, and what when its configuration changes?

use std::{
    io::{BufRead as _, BufReader, Write as _},
    os::unix::net::UnixListener,
    process::{Command, Stdio},
};

use rustix::process::Signal;

use crate::kit::{Service, arrive, sink, text};

/// Nothing answers there.
fn nowhere() -> std::net::SocketAddr {
    ([127, 0, 0, 1], 9).into()
}

#[test]
fn a_message_under_way_is_finished_before_the_service_ends() {
    let service = Service::new(nowhere(), "").start();
    let (mut busy, mut idle) = (service.client(), service.client());
    busy.hello();
    idle.hello();
    idle.says("MAIL FROM:<root>", "250 ");
    busy.envelope("root", &["you@sink.test"]);
    busy.write(b"Subject: x\r\n\r\nha");
    service.signal(Signal::TERM);
    service.until_told("STOPPING=1");
    assert!(idle.reply().starts_with("421 4.3.2 "));
    assert_eq!(idle.reply(), "");
    busy.says("lf\r\n.", "250 2.0.0 kept as ");
    assert!(busy.reply().starts_with("421 4.3.2 "));
    assert_eq!(service.ended(), Some(0), "{}", service.errors());
    assert_eq!(service.waiting(), 1);
    assert!(!service.socket().exists());
}

#[test]
fn whoever_says_so_twice_does_not_wait() {
    let service = Service::new(nowhere(), "").start();
    let mut busy = service.client();
    busy.hello();
    busy.envelope("root", &["you@sink.test"]);
    service.signal(Signal::TERM);
    service.until_told("STOPPING=1");
    service.signal(Signal::TERM);
    assert_eq!(service.ended(), Some(0));
    assert_eq!((busy.reply().as_str(), service.waiting()), ("", 0));
}

/// What `sendmail -bs` ends with: the caller says half a message, or a whole dialogue, `then` something happens to the service.
fn spoken(service: &Service, said: &[u8], last_heard: &str, then: impl FnOnce()) -> std::process::Output {
    let mut command = Command::new(crate::common::binary());
    command.args(["sendmail", "-bs"]).env_clear().env("HOME", "/nonexistent").env("SEALPOST_SOCKET", service.socket());
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // Held open: the caller has more to say.
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(said).unwrap();
    let mut heard = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while !line.starts_with(last_heard) {
        line.clear();
        assert_ne!(heard.read_line(&mut line).unwrap(), 0, "{last_heard}");
        assert!(!line.starts_with('5'), "{line}");
    }
    then();
    let ended = child.wait_with_output().unwrap();
    drop(stdin);
    ended
}

#[test]
fn a_service_that_hangs_up_on_who_speaks_smtp_through_sendmail_is_no_success() {
    let service = Service::new(nowhere(), "").start();
    let quit = spoken(&service, b"EHLO x\r\nQUIT\r\n", "221 ", || ());
    assert_eq!((quit.status.code(), quit.stderr.as_slice()), (Some(0), &b""[..]));
    let half = b"EHLO x\r\nMAIL FROM:<root>\r\nRCPT TO:<you@sink.test>\r\nDATA\r\nSubject: half\r\n";
    let killed = spoken(&service, half, "354 ", || service.kill());
    let said = String::from_utf8_lossy(&killed.stderr);
    assert_eq!(killed.status.code(), Some(75), "{said}");
    assert!(said.contains("speaking with the service: "), "{said}");
    assert_eq!(service.waiting(), 0);
}

#[test]
fn a_program_that_knows_neither_ehlo_nor_crlf_is_heard_through_sendmail() {
    let service = Service::new(nowhere(), "").start();
    let dialogue = b"MAIL FROM:<root>\nRCPT TO:<you@sink.test>\nDATA\nSubject: x\n\nhi\n.\nQUIT\n";
    let spoken = spoken(&service, dialogue, "221 ", || ());
    assert_eq!((spoken.status.code(), service.waiting()), (Some(0), 1));
}

#[test]
fn a_caller_that_said_all_at_once_hears_of_a_service_that_did_not_answer_all() {
    let scratch = crate::common::Scratch::new();
    let socket = scratch.path().join("submit.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let message = "EHLO x\r\nMAIL FROM:<root>\r\nRCPT TO:<you@sink.test>\r\nDATA\r\nSubject: x\r\n\r\nhi\r\n.\r\n";
    let quit = format!("{message}QUIT\r\n");
    let two = format!("{message}{}", message.strip_prefix("EHLO x\r\n").unwrap());
    let chunk = format!("{}BDAT 2 LAST\r\nhi", message.split("DATA").next().unwrap());
    let (to_data, taken) = ("220 hi\r\n250 x\r\n250 ok\r\n250 ok\r\n354 go\r\n", "250 kept\r\n");
    for (said, answers, code) in [
        (&quit[..], format!("{to_data}{taken}221 bye\r\n"), 0),
        (&quit[..], format!("{to_data}{taken}"), 75),
        (&quit[..], to_data.to_owned(), 75),
        (&quit[..], "220 hi\r\n250 x\r\n250 ok\r\n".to_owned(), 75),
        (&quit[..], String::new(), 75),
        // Without a farewell.
        (message, format!("{to_data}{taken}"), 0),
        (message, to_data.to_owned(), 75),
        // It may be killed while it stores a message that came in one piece, before any reply has left.
        (message, "220 hi\r\n".to_owned(), 75),
        (message, "220 hi\r\n250 x\r\n250 ok\r\n250 ok\r\n".to_owned(), 75),
        (&two, format!("{to_data}{taken}250 ok\r\n"), 75),
        (&two, format!("{to_data}{taken}250 ok\r\n250 ok\r\n354 go\r\n{taken}"), 0),
        (&chunk, "220 hi\r\n250 x\r\n250 ok\r\n250 ok\r\n".to_owned(), 75),
        ("", "220 hi\r\n".to_owned(), 0),
        (message, format!("{to_data}421 going down\r\n"), 75),
        // In the middle of a message.
        (message.strip_suffix(".\r\n").unwrap(), to_data.to_owned(), 75),
    ] {
        let served = listener.try_clone().unwrap();
        let answered = answers.clone();
        let service = std::thread::spawn(move || {
            let (mut client, _) = served.accept().unwrap();
            // All has been said when it answers, and then it is gone.
            let heard = std::io::read_to_string(&client).unwrap();
            client.write_all(answered.as_bytes()).unwrap();
            heard
        });
        let mut command = Command::new(crate::common::binary());
        command.args(["sendmail", "-bs"]).env_clear().env("HOME", "/nonexistent").env("SEALPOST_SOCKET", &socket);
        let ended = crate::common::run(command, said.as_bytes());
        assert_eq!((ended.code, ended.stdout.as_str()), (code, &answers[..]), "{said:?}: {ended:?}");
        assert_eq!(service.join().unwrap(), said);
    }
}

#[test]
fn a_caller_with_too_few_descriptors_is_told_to_try_again_and_never_that_its_mail_is_hopeless() {
    let service = Service::new(nowhere(), "").start();
    let mut codes = Vec::new();
    for files in 4..16 {
        let mut command = Command::new("bash");
        command.args(["-c", "ulimit -n $0; exec \"$@\"", &files.to_string()]).arg(crate::common::binary());
        // What does not stay in memory takes a descriptor, too.
        command.args(["sendmail", "root"]).env_clear().env("HOME", "/nonexistent");
        command.env("SEALPOST_SOCKET", service.socket());
        let sent = crate::common::run(command, &[b"Subject: x\n\n", "hi\n".repeat(100_000).as_bytes()].concat());
        assert!([0, 75].contains(&sent.code), "{files}: {sent:?}");
        codes.push(sent.code);
    }
    // There were too few, and then there were enough.
    assert_eq!([codes.first(), codes.last()], [Some(&75), Some(&0)]);
    assert_eq!(service.waiting(), codes.iter().filter(|code| **code == 0).count());
}

#[test]
fn a_service_that_is_killed_in_the_middle_of_a_message_has_all_that_it_acknowledged_and_nothing_else() {
    let sink = sink();
    let service = Service::new(nowhere(), "").start();
    let mut done = service.client();
    done.hello();
    let mut ids: Vec<String> =
        (0..5).map(|n| done.message("root", &["you@sink.test"], &format!("Subject: {n}\r\n\r\nhi\r\n"))).collect();
    // Two of the same millisecond come in no order.
    ids.sort();
    let mut halves: Vec<_> = (0..5).map(|_| service.client()).collect();
    for half in &mut halves {
        half.hello();
        half.envelope("root", &["you@sink.test"]);
        half.write("Subject: half\r\n\r\n".as_bytes());
        half.write("0123456789abcde\r\n".repeat(50_000).as_bytes());
    }
    service.kill();
    let mut waiting = service.names("queue");
    waiting.sort();
    assert_eq!(waiting, ids);
    service.configure(sink.address, "");
    // Its socket is still there, and nobody listens at it.
    assert!(service.socket().exists());
    service.start_again();
    let mut root = service.client();
    root.hello();
    root.says("XQUEUE flush", "250 ");
    let arrived: Vec<String> = arrive(&sink, 5).iter().map(text).collect();
    assert!(arrived.iter().all(|text| !text.contains("half")));
    service.ends();
    assert_eq!(service.names("queue"), [""; 0]);
    let room: u64 =
        std::fs::read_dir(service.scratch.path().join("spool")).unwrap().map(|e| e.unwrap().metadata().unwrap().len()).sum();
    assert!(room < 100_000, "half messages lie in the spool");
}

#[test]
fn a_changed_configuration_is_in_force_for_who_comes_next_and_a_broken_one_changes_nothing() {
    let (one, other) = (sink(), sink());
    let service = Service::new(one.address, "").start();
    let mut before = service.client();
    before.hello();
    service.configure_with(other.address, "", "from_policy = \"fixed\"\nfrom = \"noreply@client.test\"");
    service.reload();
    let mut after = service.client();
    after.hello();
    after.message("root", &["you@sink.test"], "Subject: after\r\n\r\nhi\r\n");
    before.message("root", &["you@sink.test"], "Subject: before\r\n\r\nhi\r\n");
    let arrived = arrive(&other, 2);
    let sent: Vec<(String, bool)> =
        arrived.iter().map(|d| (d.transaction.sender.clone(), text(d).contains("Subject: after"))).collect();
    assert!(sent.contains(&("noreply@client.test".to_owned(), true)), "{sent:?}");

    service.scratch.write("config.toml", "acounts = 1\n");
    service.reload();
    assert!(service.errors().contains("acounts"), "{}", service.errors());
    let mut still = service.client();
    still.hello();
    still.message("root", &["you@sink.test"], "Subject: still\r\n\r\nhi\r\n");
    assert_eq!(arrive(&other, 1)[0].transaction.sender, "noreply@client.test");

    service.configure(other.address, "socket_ = 1");
    service.reload();
    service.scratch.write(
        "config.toml",
        std::fs::read_to_string(service.config()).unwrap().replace("socket_ = 1", "listen = [\"127.0.0.1:9\"]"),
    );
    service.reload();
    assert!(service.errors().contains("`listen` under [serve] has changed"), "{}", service.errors());
    service.ends();
}

#[test]
fn a_queue_that_is_removed_under_the_service_is_made_again() {
    let sink = sink();
    for (removed, arguments) in [("spool/queue", &[][..]), ("spool", &["--no-sandbox"]), ("spool/run.lock", &[])] {
        let mut service = Service::new(sink.address, "");
        service.arguments = arguments.iter().map(|word| (*word).to_owned()).collect();
        let service = service.start();
        let mut client = service.client();
        client.hello();
        for round in 0..3 {
            client.message("root", &["you@sink.test"], &format!("Subject: {round}\r\n\r\nhi\r\n"));
            assert!(text(&arrive(&sink, 1)[0]).contains(&format!("Subject: {round}")));
            let path = service.scratch.path().join(removed);
            // What was sent is removed from the queue when that is written down.
            while path.is_dir() && std::fs::remove_dir_all(&path).is_err() {}
            let _ = std::fs::remove_file(&path);
        }
        // A message that was too large for the memory, and one of somebody who comes later.
        client.message("root", &["you@sink.test"], &format!("Subject: large\r\n\r\n{}", "0123456789\r\n".repeat(200_000)));
        let mut other = service.client();
        other.hello();
        other.message("root", &["you@sink.test"], "Subject: last\r\n\r\nhi\r\n");
        arrive(&sink, 2);
        assert_eq!(service.errors().contains("was removed or replaced"), removed != "spool/run.lock", "{}", service.errors());
        service.ends();
    }
}

#[test]
fn a_service_that_may_not_make_its_queue_again_says_so_and_takes_nothing() {
    let service = Service::new(nowhere(), "").start();
    let mut client = service.client();
    client.hello();
    let spool = service.scratch.path().join("spool");
    std::fs::rename(&spool, service.scratch.path().join("moved")).unwrap();
    // What stands there now is nobody's directory.
    std::fs::write(&spool, "").unwrap();
    client.says(
        "MAIL FROM:<root>",
        "451 4.3.0 opening the queue again: somebody removed or replaced it under the service: opening the spool ",
    );
    std::fs::remove_file(&spool).unwrap();
    std::fs::rename(service.scratch.path().join("moved"), &spool).unwrap();
    client.message("root", &["you@sink.test"], "Subject: x\r\n\r\nhi\r\n");
    assert_eq!(service.waiting(), 1);
}
