//! Is a refresh token never lost, however many senders use it at once, and whatever the disk does?

use std::{fs, sync::Mutex, thread, time::Duration};

use crate::{
    fake::{Fake, json, tokens},
    kit::{REFRESH, account, as_written, give, kept, send, smarthost, token_file},
};

/// A provider that takes each refresh token once, and whoever brings an old one loses everything.
fn strict() -> Fake {
    let current = Mutex::new(REFRESH.to_owned());
    Fake::start(move |number, asked| {
        let mut current = current.lock().unwrap();
        if asked.field("refresh_token") != *current {
            return json(400, r#"{"error":"invalid_grant","error_description":"token reuse"}"#);
        }
        // Long enough for all the others to have come.
        thread::sleep(Duration::from_millis(200));
        *current = format!("refresh-{number}");
        tokens(&format!("token-{number}"), &current)
    })
}

#[test]
fn of_many_senders_one_asks_and_all_send() {
    let fake = strict();
    let server = smarthost(&["token-0"; 8]);
    let sealpost = account(server.port(), &format!("http://{}", fake.address), "");
    give(&sealpost, 0);
    let config = sealpost.scratch.path().join("config.toml").display().to_string();
    let codes: Vec<i32> = thread::scope(|scope| {
        let send = || sealpost.command(&["sendmail", "-C", &config, "ok@sink.test"], crate::common::MESSAGE.as_bytes()).code;
        let senders: Vec<_> = (0..8).map(|_| scope.spawn(send)).collect();
        senders.into_iter().map(|sender| sender.join().unwrap()).collect()
    });
    assert_eq!(codes, [0; 8]);
    as_written(server, 8);
    assert_eq!(fake.asked().len(), 1);
    assert_eq!(kept(&sealpost, "refresh_token"), "refresh-0");
    // The next hour.
    let text = fs::read_to_string(token_file(&sealpost)).unwrap();
    let (before, _) = text.split_once("\"expires_at\":").unwrap();
    sealpost.scratch.write("token.json", format!("{before}\"expires_at\":0}}"));
    let server = smarthost(&["token-1"]);
    let port = server.port().to_string();
    let config_text = fs::read_to_string(&config).unwrap();
    let old = config_text.lines().find(|line| line.starts_with("port = ")).unwrap().to_owned();
    sealpost.scratch.write("config.toml", config_text.replace(&old, &format!("port = {port}")));
    assert_eq!(send(&sealpost).code, 0);
    as_written(server, 1);
}

#[test]
fn what_could_not_be_kept_is_not_asked_for() {
    let fake = strict();
    let mut sealpost = account(9, &format!("http://{}", fake.address), "");
    give(&sealpost, 0);
    // As a full disk would: no file may grow beyond this.
    sealpost.wrapper = vec!["prlimit".to_owned(), "--fsize=20000".to_owned()];
    let run = send(&sealpost);
    assert_eq!(run.code, 75, "{run:?}");
    assert!(run.stderr.contains("writing ") && run.stderr.contains("token.json"), "{}", run.stderr);
    assert!(fake.asked().is_empty(), "the old refresh token is used up, and the new one lost");
    assert_eq!(kept(&sealpost, "refresh_token"), REFRESH);
    assert!(!sealpost.scratch.path().join("token.json.new").exists());
}

#[test]
fn a_new_refresh_token_is_on_the_disk_before_the_access_token_is_used() {
    let fake = strict();
    let server = smarthost(&["token-0"]);
    let mut sealpost = account(server.port(), &format!("http://{}", fake.address), "");
    give(&sealpost, 0);
    let trace = sealpost.scratch.path().join("trace");
    sealpost.wrapper = ["strace", "-f", "-qq", "-y", "-s", "200", "-o", trace.to_str().unwrap()].map(str::to_owned).to_vec();
    let run = send(&sealpost);
    assert_eq!(run.code, 0, "{run:?}");
    as_written(server, 1);
    let text = fs::read_to_string(&trace).unwrap();
    let directory = format!("{}>", sealpost.scratch.path().display());
    let at = |what: &str, is: &dyn Fn(&str) -> bool| text.lines().position(is).unwrap_or_else(|| panic!("no {what} in the trace"));
    let order = [
        at("lock", &|line| line.contains("flock(") && line.contains("token.json.lock")),
        at("room", &|line| line.contains("write(") && line.contains("token.json.new>")),
        at("question", &|line| line.contains("POST /token")),
        at("sync of the file", &|line| line.contains("fsync(") && line.contains("token.json.new>")),
        at("rename", &|line| line.contains("rename") && line.contains("token.json.new\"")),
        at("sync of the directory", &|line| line.contains("fsync(") && line.contains(&directory)),
        at("login", &|line| line.contains("AUTH XOAUTH2")),
    ];
    assert!(order.is_sorted(), "{order:?}");
}
