//! Does the service tell its users apart, by the kernel's word, and keep each from the others' mail, and from the password?

use std::{fs, os::unix::fs::PermissionsExt as _};

use sealpost::{
    host::listen::{Settings, Sink},
    smtp::sasl::{Secret, verifier::Login},
};

use crate::{
    common::{PASSWORD, USER},
    kit::{Service, arrive, can_be_others, free_port, sink, talk, text, uid, user_words},
};

const MESSAGE: &str = "Subject: secret of alice\r\n\r\nfor you only\r\n.";

/// A message that stays: held by root.
fn hold(service: &Service, user: &str) -> String {
    let from = format!("MAIL FROM:<{user}@client.test>");
    let said = service.talk_as(user, &["EHLO x", &from, "RCPT TO:<you@sink.test>", "DATA", MESSAGE]);
    let id = said.last().unwrap().strip_prefix("250 2.0.0 kept as ").unwrap_or_else(|| panic!("{said:?}")).to_owned();
    let mut root = service.client();
    root.hello();
    loop {
        root.write(format!("XQUEUE hold {id}\r\n").as_bytes());
        let reply = root.reply();
        if reply.starts_with("250 ") {
            return id;
        }
        // The attempt that finds nobody.
        assert!(reply.starts_with("450 "), "{reply}");
    }
}

/// A service whose smarthost never answers: what is handed in waits.
fn stuck(serve: &str) -> Service {
    Service::new(([127, 0, 0, 1], 9).into(), serve).start()
}

#[test]
fn nobody_sees_or_changes_the_mail_of_another() {
    if !can_be_others("nobody_sees_or_changes_the_mail_of_another") {
        return;
    }
    let service = stuck("");
    let id = hold(&service, "alice");
    let of = |user: &str, line: &str| service.talk_as(user, &["EHLO x", line]).pop().unwrap();
    let listed = service.talk_as("alice", &["EHLO x", "XQUEUE list all"]);
    assert!(listed.iter().any(|line| line.contains(&id)), "{listed:?}");
    let listed = service.talk_as("bob", &["EHLO x", "XQUEUE list all"]);
    assert_eq!(listed.last().map(String::as_str), Some(r#"250 {"end":true,"messages":0}"#));
    assert!(!listed.join("").contains(&id));
    for verb in ["show", "raw", "flush", "hold", "release", "remove"] {
        let answer = of("bob", &format!("XQUEUE {verb} {id}"));
        assert!(answer.starts_with("550 5.1.1 "), "{verb}: {answer}");
    }
    // Nor as files, nor in the log.
    let path = service.scratch.path();
    for place in [format!("spool/held/{id}"), "spool".to_owned(), "config.toml".to_owned(), "log/log.jsonl".to_owned()] {
        let mode = fs::metadata(path.join(&place)).unwrap().permissions().mode();
        assert_eq!(mode & 0o007, 0, "{place}");
    }
    assert!(of("alice", &format!("XQUEUE remove {id}")).starts_with("250 "));
    assert_eq!(service.names("held").len(), 0);
}

#[test]
fn the_password_is_the_services_alone_and_everybodys_mail_is_sent_with_it() {
    if !can_be_others("the_password_is_the_services_alone_and_everybodys_mail_is_sent_with_it") {
        return;
    }
    let login = Some(Login { user: USER.to_owned(), password: Secret::new(PASSWORD.to_owned()) });
    let sink = Sink::start(Settings { login, auth_in_clear: true, ..Settings::default() }).unwrap();
    let service = Service::new(sink.address, "");
    let auth = format!("[accounts.relay.auth]\nuser = {USER:?}\nmechanism = \"PLAIN\"\npassword = {PASSWORD:?}\n");
    service.configure_with(sink.address, "", &auth);
    let service = service.start();
    let sent = service.sendmail(Some(uid("alice")), &["you@sink.test"], b"Subject: x\n\nhi\n");
    assert_eq!((sent.code, sent.stderr.as_str()), (0, ""), "{}", service.errors());
    let delivery = &arrive(&sink, 1)[0];
    assert_eq!(delivery.transaction.user.as_deref(), Some(USER));
    assert_eq!(delivery.transaction.sender, "alice@client.test");
    let text = text(delivery);
    assert!(text.contains(&format!("from userid {}", uid("alice"))) && text.contains("\nFrom: "), "{text}");
    for file in [service.config(), format!("/proc/{}/environ", service.pid().as_raw_nonzero()).into()] {
        let mut cat = std::process::Command::new("setpriv");
        cat.args(user_words(uid("alice"))).arg("cat").arg(&file);
        let read = crate::common::run(cat, b"");
        assert!(read.code != 0 && read.stdout.is_empty(), "{}: {read:?}", file.display());
    }
}

#[test]
fn the_sender_is_the_caller_or_the_account_unless_the_configuration_says_otherwise() {
    if !can_be_others("the_sender_is_the_caller_or_the_account_unless_the_configuration_says_otherwise") {
        return;
    }
    let service = stuck("free_senders = [\"bob\"]");
    let answer = |user: &str, from: &str| service.talk_as(user, &["EHLO x", from]).pop().unwrap();
    let refused = answer("alice", "MAIL FROM:<bob@client.test>");
    assert!(refused.starts_with("553 5.7.1 ") && refused.contains("alice may send as <alice@client.test>"), "{refused}");
    for from in ["alice@client.test", "alice", ""] {
        assert!(answer("alice", &format!("MAIL FROM:<{from}>")).starts_with("250 "), "{from}");
    }
    assert!(answer("bob", "MAIL FROM:<anybody@example.com>").starts_with("250 "));
    let record = service.until_logged("rejected");
    assert_eq!((&record["user"], &record["uid"]), (&"alice".into(), &uid("alice").into()));
    let run = service.sendmail(Some(uid("alice")), &["-f", "bob", "you@sink.test"], MESSAGE.as_bytes());
    assert!(run.code == 77 && run.stderr.contains("it is not yours"), "{run:?}");
}

#[test]
fn on_the_loopback_too_the_kernel_says_who_it_is() {
    if !can_be_others("on_the_loopback_too_the_kernel_says_who_it_is") {
        return;
    }
    let port = free_port();
    let _service = stuck(&format!("listen = [\"127.0.0.1:{port}\"]"));
    let address = format!("127.0.0.1:{port}");
    let last = |user: &str, lines: &[&str]| talk(&user_words(uid(user)), &address, lines).pop().unwrap();
    assert!(last("alice", &["EHLO x", "MAIL FROM:<bob@client.test>"]).starts_with("553 5.7.1 "));
    assert!(last("bob", &["EHLO x", "MAIL FROM:<bob@client.test>"]).starts_with("250 "));
}

#[test]
fn who_takes_more_than_a_share_is_stopped_and_the_others_are_not() {
    if !can_be_others("who_takes_more_than_a_share_is_stopped_and_the_others_are_not") {
        return;
    }
    let service = stuck("queue_per_user = 3\nbytes_per_user = \"20 KiB\"\nmessages_per_hour = 5\nconnections_per_user = 2");
    let alice = |lines: &[&str]| service.talk_as("alice", lines);
    let send = ["MAIL FROM:<alice>", "RCPT TO:<you@sink.test>", "DATA", MESSAGE];
    let mut lines = vec!["EHLO x"];
    (0..3).for_each(|_| lines.extend(send));
    assert!(alice(&lines).last().unwrap().starts_with("250 2.0.0 kept"));
    let refused = alice(&["EHLO x", "MAIL FROM:<alice>"]).pop().unwrap();
    assert!(refused.starts_with("452 4.2.2 ") && refused.contains("3 messages of yours wait"), "{refused}");
    // One's own mail is one's own to remove; what is then counted anew has an end, too.
    for line in alice(&["EHLO x", "XQUEUE list"]) {
        if let Some(id) = line.strip_prefix("250-{\"id\":\"").and_then(|rest| rest.get(..26)) {
            let removed = alice(&["EHLO x", &format!("XQUEUE remove {id}")]).pop().unwrap();
            assert!(removed.starts_with("250 ") || removed.starts_with("450 "), "{removed}");
        }
    }
    let large = alice(&["EHLO x", "MAIL FROM:<alice> SIZE=20481"]).pop().unwrap();
    assert!(large.starts_with("552 5.3.4 "), "{large}");
    let size = alice(&["EHLO x"]);
    assert!(size.contains(&"250 SIZE 20480".to_owned()), "{size:?}");
    let bob = service.talk_as("bob", &["EHLO x", "MAIL FROM:<bob>", "RCPT TO:<you@sink.test>", "DATA", MESSAGE]);
    assert!(bob.last().unwrap().starts_with("250 2.0.0 kept"), "{bob:?}");
}

/// Two connections of one user: half a message on the first, a whole one on the second, before and after the first gives up.
const HALF_AND_WHOLE: &str = r"
import socket, sys
def call():
    s = socket.socket(socket.AF_UNIX)
    s.connect(sys.argv[1])
    f = s.makefile('rwb')
    def say(octets):
        f.write(octets)
        f.flush()
        while True:
            line = f.readline()
            if line[3:4] != b'-':
                return line.decode().rstrip()
    say(b'')
    say(b'EHLO x\r\n')
    return say
def begin(say):
    say(b'MAIL FROM:<alice>\r\n')
    say(b'RCPT TO:<you@sink.test>\r\n')
half, whole = call(), call()
begin(half)
print(half(b'BDAT 15000\r\n' + b'x\r\n' * 5000))
def send():
    begin(whole)
    print(whole(b'BDAT 9000 LAST\r\n' + b'x\r\n' * 3000))
send()
half(b'RSET\r\n')
send()
";

#[test]
fn halves_of_messages_take_their_users_room_and_nobody_elses() {
    if !can_be_others("halves_of_messages_take_their_users_room_and_nobody_elses") {
        return;
    }
    let service = stuck("bytes_per_user = \"20 KiB\"");
    let mut command = std::process::Command::new("setpriv");
    command.args(user_words(uid("alice"))).args(["/usr/bin/python3", "-c", HALF_AND_WHOLE]).arg(service.socket());
    let said = crate::common::run(command, b"");
    let said: Vec<&str> = said.stdout.lines().collect();
    let [half, whole, again] = said[..] else { panic!("{said:?}") };
    assert!(half.starts_with("250 ") && whole.starts_with("452 4.2.2 "), "{said:?}");
    assert!(again.starts_with("250 2.0.0 kept as "), "{said:?}");
}

#[test]
fn the_messages_of_an_hour_are_counted() {
    if !can_be_others("the_messages_of_an_hour_are_counted") {
        return;
    }
    let service = stuck("messages_per_hour = 2");
    let send = ["MAIL FROM:<alice>", "RCPT TO:<you@sink.test>", "DATA", MESSAGE];
    let lines: Vec<&str> = ["EHLO x"].into_iter().chain(send).chain(send).chain(["MAIL FROM:<alice>"]).collect();
    let said = service.talk_as("alice", &lines);
    assert!(
        said.last().unwrap().starts_with("450 4.7.1 you handed in 2") || said.last().unwrap().starts_with("450 4.7.1 "),
        "{said:?}"
    );
    assert_eq!(said.iter().filter(|line| line.starts_with("250 2.0.0 kept")).count(), 2);
}

#[test]
fn a_nearly_full_file_system_takes_nothing_more() {
    let service = stuck("free_space = \"1000 TiB\"");
    let mut client = service.client();
    client.hello();
    client.says("MAIL FROM:<root>", "452 4.3.1 ");
}

#[test]
fn a_user_has_a_queue_and_a_service_of_its_own() {
    if !can_be_others("a_user_has_a_queue_and_a_service_of_its_own") {
        return;
    }
    let sink = sink();
    let mut service = Service::new(sink.address, "");
    let alice = uid("alice");
    let path = service.scratch.path().to_owned();
    // A home of hers, with nothing in the configuration that says where.
    let home = path.join("home");
    fs::create_dir(&home).unwrap();
    let config = format!(
        "mail_domain = \"client.test\"\naliases = \"\"\n[log]\nsyslog = false\n[accounts.relay]\nhost = \"127.0.0.1\"\nport = {}\n\
         [accounts.relay.tls]\npolicy = \"off\"\n",
        sink.address.port()
    );
    service.scratch.write("config.toml", config);
    for file in [&home, &service.config()] {
        std::os::unix::fs::chown(file, Some(alice), Some(alice)).unwrap();
    }
    let program = path.join("sealpost");
    crate::common::install(&program);
    service.wrapper = ["setpriv".to_owned()].into_iter().chain(user_words(alice)).chain(["--no-new-privs".to_owned()]).collect();
    service.arguments = vec!["--user".to_owned()];
    let home = home.display().to_string();
    service.environment = vec![("HOME".to_owned(), home.clone()), ("XDG_RUNTIME_DIR".to_owned(), home.clone())];
    // The build directory may not be hers to enter.
    service.environment.push(("PATH".to_owned(), "/usr/bin:/bin".to_owned()));
    let _service = service.start();
    let socket = format!("{home}/sealpost/submit.sock");
    let said = talk(&user_words(alice), &socket, &["EHLO x", "MAIL FROM:<x@y.test>", "RCPT TO:<you@sink.test>", "DATA", MESSAGE]);
    assert!(said.last().unwrap().starts_with("250 2.0.0 kept"), "{said:?}");
    assert_eq!(arrive(&sink, 1)[0].transaction.sender, "x@y.test");
    assert!(std::path::Path::new(&home).join(".local/state/sealpost/queue/queue").is_dir());
}

#[test]
fn whoever_holds_all_connections_of_a_share_holds_none_of_the_others() {
    if !can_be_others("whoever_holds_all_connections_of_a_share_holds_none_of_the_others") {
        return;
    }
    let service = stuck("connections_per_user = 5");
    let script = r"
import socket, sys
held = []
for n in range(8):
    s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); held.append(s)
    print(s.makefile().readline().strip(), flush=True)
sys.stdin.read()
";
    let mut hold = std::process::Command::new("setpriv");
    hold.args(user_words(uid("alice"))).args(["/usr/bin/python3", "-c", script]).arg(service.socket());
    let mut hold = hold.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut told = std::io::BufRead::lines(std::io::BufReader::new(hold.stdout.take().unwrap()));
    let told: Vec<String> = told.by_ref().take(8).map(Result::unwrap).collect();
    assert_eq!(told.iter().filter(|line| line.starts_with("220 ")).count(), 5, "{told:?}");
    assert_eq!(told.iter().filter(|line| line.starts_with("421 4.7.0 ")).count(), 3, "{told:?}");
    let bob = service.talk_as("bob", &["EHLO x", "MAIL FROM:<bob>"]);
    assert!(bob.last().unwrap().starts_with("250 "), "{bob:?}");
    assert_eq!(service.until_logged("rejected")["user"], "alice");
    drop(hold.stdin.take());
    assert!(hold.wait().unwrap().success());
}
