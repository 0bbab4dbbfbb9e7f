//! Does all of it work with an authorisation server that others wrote?

use std::{fs, thread};

use crate::{
    common::{MESSAGE, Sealpost},
    kit::{account, as_written, kept, smarthost, token_file},
    provider::{Person, Provider, provider},
    setup::Running,
};

/// Has somebody agree in a browser.
fn by_browser(provider: &Provider, sealpost: &Sealpost) {
    let mut setup = Running::start(sealpost, &["--browser"]);
    let last = Person::new(provider).agree(&setup.shown());
    assert!(last.contains("sealpost has its answer"), "{last}");
    let (code, told) = setup.end();
    assert_eq!(code, 0, "{told}");
}

/// The access token has run out.
fn let_it_run_out(sealpost: &Sealpost) {
    let text = fs::read_to_string(token_file(sealpost)).unwrap();
    let (before, _) = text.split_once("\"expires_at\":").unwrap();
    sealpost.scratch.write("token.json", format!("{before}\"expires_at\":0}}"));
}

fn send(sealpost: &Sealpost) -> crate::common::Run {
    sealpost.send(&["ok@sink.test"], MESSAGE.as_bytes())
}

#[test]
fn a_browser_on_this_machine_gives_a_token_that_is_sent_with() {
    let Some(provider) = provider(false) else { return };
    let server = smarthost(&["*"]);
    let sealpost = account(server.port(), &provider.base, "");
    by_browser(&provider, &sealpost);
    assert_eq!(send(&sealpost).code, 0);
    as_written(server, 1);
}

#[test]
fn a_code_on_another_device_and_a_secret_of_the_client_do_it_too() {
    let Some(provider) = provider(false) else { return };
    let server = smarthost(&["*"]);
    let sealpost = account(server.port(), &provider.base, "client_secret = \"s3cret/+&client\"");
    let config = fs::read_to_string(sealpost.scratch.path().join("config.toml")).unwrap();
    sealpost.scratch.write("config.toml", config.replace("\"public\"", "\"confidential\""));
    let mut setup = Running::start(&sealpost, &["--device"]);
    let (_, code, complete) = (setup.shown(), setup.shown(), setup.shown());
    assert!(complete.ends_with(&code), "{complete}");
    Person::new(&provider).agree(&complete);
    let (ended, told) = setup.end();
    assert_eq!(ended, 0, "{told}");
    assert_eq!(send(&sealpost).code, 0);
    as_written(server, 1);
}

#[test]
fn a_provider_under_tls_is_believed_as_far_as_its_certificate() {
    let Some(provider) = provider(true) else { return };
    let server = smarthost(&["*"]);
    let sealpost = account(server.port(), &provider.base, "ca_file = \"provider.pem\"");
    sealpost.scratch.write("provider.pem", provider.authority_pem.as_deref().unwrap());
    by_browser(&provider, &sealpost);
    let_it_run_out(&sealpost);
    assert_eq!(send(&sealpost).code, 0);
    as_written(server, 1);
    // Somebody else's certificate for the same name.
    let_it_run_out(&sealpost);
    let other = crate::common::certificate::Authority::new("Another");
    sealpost.scratch.write("provider.pem", other.pem());
    let before = kept(&sealpost, "refresh_token");
    let run = send(&sealpost);
    assert_eq!(run.code, 75, "{run:?}");
    assert!(run.stderr.contains("certificate-not-trusted"), "{}", run.stderr);
    assert_eq!(kept(&sealpost, "refresh_token"), before);
}

#[test]
fn refresh_tokens_that_are_exchanged_survive_a_crowd_of_senders() {
    let Some(provider) = provider(false) else { return };
    let server = smarthost(&["*"; 12]);
    let sealpost = account(server.port(), &provider.base, "");
    by_browser(&provider, &sealpost);
    let config = sealpost.scratch.path().join("config.toml").display().to_string();
    for _ in 0..2 {
        let before = kept(&sealpost, "refresh_token");
        let_it_run_out(&sealpost);
        let codes: Vec<i32> = thread::scope(|scope| {
            let send = || sealpost.command(&["sendmail", "-C", &config, "ok@sink.test"], MESSAGE.as_bytes()).code;
            let senders: Vec<_> = (0..6).map(|_| scope.spawn(send)).collect();
            senders.into_iter().map(|sender| sender.join().unwrap()).collect()
        });
        assert_eq!(codes, [0; 6]);
        assert_ne!(kept(&sealpost, "refresh_token"), before, "the provider exchanges it at each use");
    }
    as_written(server, 12);
}

#[test]
fn what_was_withdrawn_is_to_be_agreed_to_again() {
    let Some(provider) = provider(false) else { return };
    let server = smarthost(&["*"]);
    let sealpost = account(server.port(), &provider.base, "");
    by_browser(&provider, &sealpost);
    provider.revoke_all();
    let_it_run_out(&sealpost);
    let run = send(&sealpost);
    assert_eq!(run.code, 77, "{run:?}");
    assert!(
        run.stderr.contains("access was withdrawn") && run.stderr.contains("run `sealpost setup relay` again"),
        "{}",
        run.stderr
    );
    by_browser(&provider, &sealpost);
    assert_eq!(send(&sealpost).code, 0);
    as_written(server, 1);
}
