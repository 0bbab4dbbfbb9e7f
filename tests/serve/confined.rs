//! Can a program hand in mail that has no way to anything else: without new privileges, without a passwd entry, in a chroot?

use std::{fs, path::Path, process::Command};

use sealpost::{
    host::listen::{Settings, Sink},
    smtp::server::fault::Faults,
};

use crate::{
    common::{Scratch, binary, run, say},
    kit::{Service, arrive, can_be_others, sink, talk, text, user_words},
};

/// A uid that nobody has, as `DynamicUser=` takes one.
const DYNAMIC: u32 = 64_123;

#[test]
fn a_program_without_new_privileges_or_a_passwd_entry_can_send() {
    if !can_be_others("a_program_without_new_privileges_or_a_passwd_entry_can_send") {
        return;
    }
    let sink = sink();
    let service = Service::new(sink.address, "").start();
    let mut user = user_words(DYNAMIC);
    user.extend(["--no-new-privs".to_owned(), "--bounding-set=-all".to_owned(), "--inh-caps=-all".to_owned()]);
    let from = format!("MAIL FROM:<uid{DYNAMIC}>");
    let said = talk(
        &user,
        &service.socket().display().to_string(),
        &["EHLO x", &from, "RCPT TO:<you@sink.test>", "DATA", "Subject: x\r\n\r\nhi\r\n."],
    );
    assert!(said.last().unwrap().starts_with("250 2.0.0 kept"), "{said:?}");
    let text = text(&arrive(&sink, 1)[0]);
    assert!(
        text.contains(&format!("from userid {DYNAMIC}")) && text.contains(&format!("From: uid{DYNAMIC}@client.test")),
        "{text}"
    );
}

#[test]
fn a_program_in_a_chroot_with_the_socket_in_it_can_send() {
    if !can_be_others("a_program_in_a_chroot_with_the_socket_in_it_can_send") {
        return;
    }
    let sink = sink();
    let service = Service::new(sink.address, "").start();
    let root = service.scratch.path().join("root");
    fs::create_dir_all(root.join("run/sealpost")).unwrap();
    // Within one file system a second name does what a bind mount does.
    fs::hard_link(service.socket(), root.join("run/sealpost/submit.sock")).unwrap();
    crate::common::install(&root.join("sendmail"));
    for library in libraries() {
        let place = root.join(library.trim_start_matches('/'));
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::copy(&library, place).unwrap();
    }
    let mut command = Command::new("chroot");
    command.args([&format!("--userspec={DYNAMIC}:{DYNAMIC}"), "--groups="]).arg(&root);
    command.args(["/sendmail", "-v", "you@sink.test"]).env_clear().env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin");
    let sent = run(command, b"Subject: from the chroot\n\nhi\n");
    assert_eq!(sent.code, 0, "{sent:?} {}", service.errors());
    assert!(text(&arrive(&sink, 1)[0]).contains("\nSubject: from the chroot"));
}

/// What the dynamic linker loads for the binary, itself included.
fn libraries() -> Vec<String> {
    let listed = run(
        {
            let mut ldd = Command::new("ldd");
            ldd.arg(binary());
            ldd
        },
        b"",
    )
    .stdout;
    let words = listed.split_ascii_whitespace().filter(|word| word.starts_with('/') && Path::new(word).is_file());
    words.map(str::to_owned).collect()
}

#[test]
fn the_service_itself_gives_up_what_it_does_not_need() {
    let (sink, status) =
        (sink(), |service: &Service| fs::read_to_string(format!("/proc/{}/status", service.pid().as_raw_nonzero())).unwrap());
    let service = Service::new(sink.address, "").start();
    if service.errors().contains("no Landlock") {
        say("SKIPPED: the_service_itself_gives_up_what_it_does_not_need: this kernel has no Landlock\n");
        return;
    }
    // Whoever restricts itself gives up new privileges first.
    assert!(status(&service).contains("NoNewPrivs:\t1"));
    let mut client = service.client();
    client.hello();
    // Large enough not to stay in memory.
    client.message("root", &["you@sink.test"], &format!("Subject: x\r\n\r\n{}", "0123456789abcde\r\n".repeat(100_000)));
    assert_eq!(arrive(&sink, 1).len(), 1);
    service.ends();
    assert!(!service.socket().exists() && service.errors().is_empty(), "{}", service.errors());

    let mut open = Service::new(sink.address, "");
    open.arguments = vec!["--no-sandbox".to_owned()];
    let open = open.start();
    assert!(status(&open).contains("NoNewPrivs:\t0"));
}

#[test]
fn an_account_that_starts_a_command_is_not_confined_and_that_is_said() {
    let sink = sink();
    let service = Service::new(sink.address, "");
    let auth = "[accounts.relay.auth]\nuser = \"x\"\nmechanism = \"PLAIN\"\npassword_command = \"echo pw\"\n";
    service.configure_with(sink.address, "", auth);
    let service = service.start();
    assert!(service.errors().contains("account relay starts a program"), "{}", service.errors());
}

/// More than stays in memory, and not ASCII.
fn large() -> String {
    format!("Subject: large\r\n\r\n{}", "\u{e4}\u{f6}\u{fc} and so on, for a while\r\n".repeat(20_000))
}

#[test]
fn a_large_message_is_made_seven_bit_where_the_service_may_write() {
    let sink = Sink::start(Settings { faults: Faults::named(["no-8bitmime"]), ..Settings::default() }).unwrap();
    let service = Service::new(sink.address, "").start();
    let mut client = service.client();
    client.hello();
    client.message("root@client.test", &["a@sink.test"], &large());
    let [delivery] = arrive(&sink, 1).try_into().unwrap();
    assert!(text(&delivery).is_ascii() && !delivery.transaction.eight_bit);
}

#[test]
fn a_report_on_a_large_message_is_written_and_nobody_waits_for_it() {
    let sink = Sink::start(Settings { faults: Faults::named(["rcpt-550"]), ..Settings::default() }).unwrap();
    let service = Service::new(sink.address, "").start();
    let mut client = service.client();
    client.hello();
    client.message("root@client.test", &["a@sink.test"], &large());
    service.until_logged_so(|record| record["event"] == "bounce");
    client.message("", &["b@sink.test"], "Subject: x\r\n\r\nhi\r\n");
    let is_tried = |record: &serde_json::Value| record["event"] == "send" && record["recipients"][0]["address"] == "b@sink.test";
    service.until_logged_so(is_tried);
    assert_eq!(service.errors(), "");
}

#[test]
fn who_asks_a_confined_service_for_files_that_it_gave_up_is_told_to_start_it_anew() {
    let sink = sink();
    let service = Service::new(sink.address, "").start();
    if service.errors().contains("no Landlock") {
        return;
    }
    service.reload();
    assert_eq!(service.errors(), "");
    let text = fs::read_to_string(service.config()).unwrap();
    let elsewhere = Scratch::new();
    let aliases = elsewhere.write("aliases", "joe: you@sink.test\n");
    service.scratch.write("config.toml", text.replace("aliases = \"\"", &format!("aliases = \"{}\"", aliases.display())));
    service.reload();
    let told = service.errors();
    assert!(told.contains("needs to read, write or start has changed") && told.contains("takes a restart"), "{told}");
}
