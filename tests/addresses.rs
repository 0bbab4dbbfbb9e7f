//! Does local mail reach somebody real, from an address that the provider takes? Aliases, who catches all, senders by user.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test says what is wrong by panicking")]

mod common;

#[path = "callers/recorder.rs"]
#[allow(dead_code, reason = "the recorded callers use the rest")]
mod recorder;

use common::{Run, Sealpost};
use recorder::{Mail, Recorder};

/// Sends `message` with `args` from an account with the lines `account`; `head` stands before everything in the configuration.
fn send(head: &str, account: &str, aliases: &str, args: &[&str], message: &str) -> (Run, Vec<Mail>) {
    let recorder = Recorder::start(false);
    let accounts = format!(
        "[accounts.relay]\nhost = \"127.0.0.1\"\nport = {}\n{account}\n[accounts.relay.tls]\npolicy = \"off\"\n",
        recorder.port()
    );
    let sealpost = Sealpost::new(&accounts);
    let file = sealpost.scratch.write("aliases", aliases);
    let config = std::fs::read_to_string(sealpost.scratch.path().join("config.toml")).unwrap();
    let config = config.replace("aliases = \"\"", &format!("aliases = {:?}\n{head}", file.display().to_string()));
    sealpost.scratch.write("config.toml", config);
    let run = sealpost.send(args, message.as_bytes());
    (run, recorder.finish().mails)
}

fn recipients(mails: &[Mail]) -> String {
    let mut all: Vec<&str> = mails.iter().flat_map(|mail| &mail.recipients).map(|r| r.address.as_str()).collect();
    all.sort_unstable();
    all.join(" ")
}

fn login() -> String {
    nix::unistd::User::from_uid(nix::unistd::Uid::effective()).unwrap().unwrap().name
}

const CRON: &str = "From: root (Cron Daemon)\nTo: root\nSubject: Cron <root@web> backup\n\ndone\n";

#[test]
fn aliases_are_those_of_administrators() {
    let aliases = "# people\nroot: \"Ann A.\" <ann@x.example>,\n  bob\nbob: bob@x.example, \"|/usr/bin/vacation bob\"\n\"two words\": c@x.example\n\
                   ring: ring2\nring2: ring\nlist: :include:/etc/passwd\nlog: /var/log/mail\n\
                   postmaster: root\ndefault: admin@x.example\n";
    for (to, expected) in [
        ("root", "ann@x.example bob@x.example"),
        ("Postmaster", "ann@x.example bob@x.example"),
        ("\"two words\"", "c@x.example"),
        ("www-data", "admin@x.example"),
        ("www-data@localhost", "admin@x.example"),
        ("somebody@client.test", "somebody@client.test"),
        ("\\www-data", "www-data@client.test"),
        ("root, www-data, you@y.example", "admin@x.example ann@x.example bob@x.example you@y.example"),
    ] {
        let (run, mails) = send("", "", aliases, &["--", to], "Subject: s\n\nhi\n");
        assert_eq!((run.code, recipients(&mails).as_str()), (0, expected), "{to}: {run:?}");
    }
    for (to, why) in [("ring", "leads back to itself"), ("list", "leads to no address"), ("log", "leads to no address")] {
        let (run, mails) = send("", "", aliases, &[to], "Subject: s\n\nhi\n");
        assert_eq!((run.code, mails.len()), (65, 0), "{to}: {run:?}");
        assert!(run.stderr.contains(why), "{to}: {run:?}");
    }
    let (run, mails) = send("", "", aliases, &["-n", "root", "www-data"], "Subject: s\n\nhi\n");
    assert_eq!((run.code, recipients(&mails).as_str()), (0, "root@client.test www-data@client.test"), "{run:?}");
}

#[test]
fn the_full_name_that_is_asked_for_stands_in_a_from_that_was_missing_also_in_smtp() {
    let recorder = Recorder::start(false);
    let account =
        "host = \"127.0.0.1\"\nport = PORT\n[accounts.relay.tls]\npolicy = \"off\"\n".replace("PORT", &recorder.port().to_string());
    let sealpost = Sealpost::new(&format!("[accounts.relay]\n{account}"));
    let session = "MAIL FROM:<me@client.test>\nRCPT TO:<you@y.example>\nDATA\nSubject: s\n\nhi\n.\n".repeat(2) + "QUIT\n";
    let session = session.replacen("Subject: s", "From: Me <me@client.test>\nSubject: s", 1);
    let run = sealpost.send(&["-bs", "-F", "Night \"Watch\""], session.as_bytes());
    let mails = recorder.finish().mails;
    let from = |mail: &Mail| {
        let text = String::from_utf8_lossy(&mail.data).into_owned();
        text.lines().find(|line| line.starts_with("From: ")).unwrap().to_owned()
    };
    let authors: Vec<String> = mails.iter().map(from).collect();
    assert_eq!(authors, ["From: Me <me@client.test>", "From: \"Night \\\"Watch\\\"\" <me@client.test>"], "{run:?}");
}

#[test]
fn an_alias_file_that_can_not_be_read_holds_back_only_those_whom_it_may_be_about() {
    let recorder = Recorder::start(false);
    let account =
        format!("[accounts.relay]\nhost = \"127.0.0.1\"\nport = {}\n[accounts.relay.tls]\npolicy = \"off\"\n", recorder.port());
    let sealpost = Sealpost::new(&account);
    let config = sealpost.scratch.path().join("config.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    let missing = sealpost.scratch.path().join("missing").display().to_string();
    std::fs::write(&config, text.replace("aliases = \"\"", &format!("aliases = {missing:?}"))).unwrap();
    let session = b"MAIL FROM:<>\r\nRCPT TO:<root>\r\nRCPT TO:<you@y.example>\r\nDATA\r\n.\r\nQUIT\r\n";
    let run = sealpost.send(&["-bs"], session);
    assert!(run.stdout.contains("\r\n451 ") && run.stdout.contains("\r\n354 "), "{run:?}");
    for (to, code) in [("you@y.example", 0), ("\\root", 0), ("root", 78), ("root@client.test", 78), ("you@y.example, root", 78)] {
        let run = sealpost.send(&["--", to], b"Subject: s\n\nhi\n");
        assert_eq!(run.code, code, "{to}: {run:?}");
        assert_eq!(run.stderr.contains("reading the aliases in"), code == 78, "{to}: {run:?}");
    }
    assert_eq!(recipients(&recorder.finish().mails), "root@client.test you@y.example you@y.example");
}

#[test]
fn who_catches_all_needs_no_alias_file() {
    let (run, mails) = send("catch_all = \"ops@x.example\"", "", "", &["-t"], CRON);
    assert_eq!((run.code, recipients(&mails).as_str()), (0, "ops@x.example"), "{run:?}");
    let (run, mails) = send("catch_all = \"ops@x.example\"", "", "default: d@x.example\n", &["-t"], CRON);
    assert_eq!((run.code, recipients(&mails).as_str()), (0, "d@x.example"), "{run:?}");
}

#[test]
fn a_strict_provider_gets_its_customers_address_in_envelope_and_header() {
    let by_user = format!("from_by_user = {{ {} = \"ops@x.example\" }}", login());
    for (account, expected) in [
        ("from = \"%U+cron@x.example\"", format!("{}+cron@x.example", login())),
        (&format!("from = \"all@x.example\"\n{by_user}") as &str, "ops@x.example".to_owned()),
        (&by_user, "ops@x.example".to_owned()),
        ("from = \"all@x.example\"\nfrom_by_user = { nobody-at-all = \"n@x.example\" }", "all@x.example".to_owned()),
    ] {
        let account = format!("rewrite_from = true\n{account}");
        let (run, mails) = send("", &account, "", &["-i", "root"], CRON);
        assert_eq!((run.code, mails.len()), (0, 1), "{account}: {run:?}");
        let data = String::from_utf8(mails[0].data.clone()).unwrap();
        assert_eq!(mails[0].from, expected, "{account}");
        let from: Vec<&str> = data.lines().filter(|line| line.starts_with("From:")).collect();
        assert!(from.len() == 1 && from[0].contains(&expected), "{account}: {data}");
        assert!(!data.contains("Reply-To"), "an author without a domain can't be answered: {data}");
    }
}

#[test]
fn a_name_of_this_machine_that_the_account_covers_stays_and_who_wrote_keeps_its_name() {
    let covers = "from = \"shop@x.example\"\nmatch = [\"*@client.test\"]\nrewrite_from = true";
    for (account, args, message, expected) in [
        (covers, &["root"][..], CRON, "From: root@client.test (Cron Daemon)"),
        ("from = \"root@client.test\"\nrewrite_from = true", &["root"], CRON, "From: root@client.test (Cron Daemon)"),
        ("from = \"shop@x.example\"\nrewrite_from = true", &["root"], CRON, "From: shop@x.example (Cron Daemon)"),
        (covers, &["-F", "Jay", "-f", "jay@y.example", "root"], "Subject: s\n\nhi\n", "From: Jay <shop@x.example>"),
        (covers, &["-F", "Jay", "-f", "jay@client.test", "root"], "Subject: s\n\nhi\n", "From: Jay <jay@client.test>"),
        (covers, &["-F", "Jay", "root"], "From: who knows\n\nhi\n", "From: Jay <shop@x.example>"),
    ] {
        let (run, mails) = send("", account, "", args, message);
        let data = String::from_utf8(mails[0].data.clone()).unwrap();
        assert!(run.code == 0 && data.contains(&format!("{expected}\r\n")), "{expected}: {run:?} {data}");
    }
    let (_, mails) = send("", "rewrite_from = true", "", &["root"], "From: Ann <ann@y.example>\n\nhi\n");
    let data = String::from_utf8(mails[0].data.clone()).unwrap();
    let own = format!("From: Ann <{}@client.test>\r\nReply-To: Ann <ann@y.example>\r\n", login());
    assert!(data.contains(&own), "without `from` the caller has its own address: {data}");
}

#[test]
fn names_of_this_machine_are_completed_in_the_header_as_far_as_that_is_wished() {
    let message = "From: Web <www-data@localhost>\nTo: root, root@localhost\nCc: you@y.example\nSubject: s\n\nhi\n";
    for (qualify, from, to) in [
        ("", "Web <www-data@localhost>", "root@client.test, root@localhost"),
        ("qualify = \"bare\"", "Web <www-data@localhost>", "root@client.test, root@localhost"),
        ("qualify = \"local\"", "Web <www-data@client.test>", "root@client.test, root@client.test"),
        ("qualify = \"off\"", "Web <www-data@localhost>", "root, root@localhost"),
    ] {
        let (run, mails) = send(qualify, "", "", &["-t"], message);
        let data = String::from_utf8(mails[0].data.clone()).unwrap();
        let expected = format!("From: {from}\r\nTo: {to}\r\nCc: you@y.example\r\n");
        assert!(run.code == 0 && data.contains(&expected), "{qualify}: {run:?} {data}");
        assert_eq!(recipients(&mails), "root@client.test you@y.example", "{qualify}");
    }
    // What the provider is to take is what the header will say.
    let account = "from = \"shop@x.example\"\nmatch = [\"*@client.test\"]\nrewrite_from = true";
    for (qualify, from) in [("local", "www-data@client.test"), ("bare", "shop@x.example")] {
        let (_, mails) = send(&format!("qualify = \"{qualify}\""), account, "", &["-t"], message);
        let data = String::from_utf8(mails[0].data.clone()).unwrap();
        assert!(data.contains(&format!("From: Web <{from}>\r\n")), "{qualify}: {data}");
    }
}

#[test]
fn answers_go_to_the_author_who_was_replaced() {
    let message = "From: Ann <ann@y.example>\nSender: web@y.example\nTo: you@z.example\nSubject: s\n\nhi\n";
    let account = "from = \"shop@x.example\"\nmatch = [\"*@x.example\"]\nrewrite_from = true";
    let (run, mails) = send("", account, "", &["-t"], message);
    let data = String::from_utf8(mails[0].data.clone()).unwrap();
    assert_eq!(run.code, 0, "{run:?}");
    assert!(
        data.contains("From: Ann <shop@x.example>\r\nReply-To: Ann <ann@y.example>\r\n") && !data.contains("Sender:"),
        "{data}"
    );
    for (sender, stays) in [("web@x.example", true), ("web@y.example", false)] {
        let (_, mails) = send("", account, "", &["-t"], &message.replace("ann@y", "ann@x").replace("web@y.example", sender));
        let data = String::from_utf8(mails[0].data.clone()).unwrap();
        assert!(data.contains("From: Ann <ann@x.example>") && !data.contains("Reply-To"), "{data}");
        assert_eq!(data.contains("Sender: web@x.example"), stays, "{data}");
    }
}

#[test]
fn newaliases_tells_what_is_never_run() {
    let sealpost = Sealpost::new("[accounts.relay]\nhost = \"127.0.0.1\"\n");
    let file = sealpost.scratch.write("aliases", "root: ann@x.example\nlist: :include:/etc/list\nprog: |/bin/false\n");
    let config = sealpost.scratch.path().join("config.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("aliases = \"\"", &format!("aliases = {:?}", file.display().to_string()))).unwrap();
    let run = sealpost.command(&["sendmail", "-bi", "-C", config.to_str().unwrap()], b"");
    assert_eq!(run.code, 65, "{run:?}");
    assert!(run.stderr.contains(":2:7: \":include:/etc/list\" is a file to include"), "{run:?}");
    assert!(run.stderr.contains("never used") && run.stderr.contains("and 1 more"), "{run:?}");
}
