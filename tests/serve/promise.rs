//! Is REQUIRETLS, asked of the service, kept until the smarthost has promised it or the sender knows that nobody will? (RFC 8689)

use std::os::unix::net::UnixStream;

use sealpost::host::listen::{Settings, Sink};

use crate::{
    client::Client,
    kit::{Service, arrive, text},
};

/// A service whose smarthost can be verified, and another account that never verifies its own.
fn service(sink: &Sink, tls: &str) -> Service {
    let service = Service::new(sink.address, "");
    let text = std::fs::read_to_string(service.config()).unwrap();
    let ca = service.scratch.path().join("ca.pem");
    std::fs::write(&ca, sink.ca_pem.as_deref().unwrap()).unwrap();
    let text = text.replace("policy = \"off\"\n", &format!("{tls}ca_file = \"{}\"\n", ca.display()));
    let clear = "[accounts.clear]\nhost = \"127.0.0.1\"\nmatch = [\"*@clear.test\"]\n[accounts.clear.tls]\npolicy = \"off\"\n";
    service.scratch.write("config.toml", format!("{text}{clear}"));
    service.start()
}

fn sink(requiretls: bool) -> Sink {
    Sink::start(Settings { requiretls, ..Settings::default() }).unwrap()
}

/// Hands in a message, with these parameters of MAIL.
fn hand_in(client: &mut Client<UnixStream>, parameters: &str, text: &str) {
    client.says(&format!("MAIL FROM:<root@client.test>{parameters}"), "250 ");
    client.says("RCPT TO:<a@sink.test>", "250 ");
    client.says("DATA", "354 ");
    client.says(&format!("{text}."), "250 2.0.0 kept as ");
}

#[test]
fn a_message_that_asks_for_it_and_those_beside_it_each_get_what_they_asked_for() {
    let sink = sink(true);
    let service = service(&sink, "");
    let mut client = service.client();
    assert!(client.hello().contains("REQUIRETLS"));
    let texts = ["Subject: plain\r\n\r\n", "TLS-Required: No\r\nSubject: waived\r\n\r\n"];
    for (mail, text) in [("", texts[0]), (" REQUIRETLS", texts[0]), ("", texts[1]), (" REQUIRETLS", texts[1]), ("", texts[0])] {
        hand_in(&mut client, mail, &format!("{text}hi\r\n"));
    }
    let mut seen: Vec<_> =
        arrive(&sink, 5).iter().map(|mail| (mail.transaction.requiretls, text(mail).contains("TLS-Required"))).collect();
    seen.sort_unstable();
    assert_eq!(seen, [(false, false), (false, false), (false, true), (true, false), (true, true)]);
    service.ends();
    let requests = service.log().into_iter().filter(|record| record["event"] == "send");
    let mut requests: Vec<String> = requests.map(|record| record["tls"]["request"].to_string()).collect();
    requests.sort_unstable();
    assert_eq!(requests, ["\"requiretls\"", "\"requiretls\"", "\"tls-required-no\"", "null", "null"]);
}

#[test]
fn where_the_smarthost_does_not_promise_it_the_sender_is_told_at_once_and_nobody_else_waits() {
    let sink = sink(false);
    let service = service(&sink, "");
    let mut client = service.client();
    client.hello();
    hand_in(&mut client, " REQUIRETLS RET=FULL", "Subject: promise\r\n\r\na secret of two\r\n");
    let report = &arrive(&sink, 1)[0];
    let words = text(report);
    assert_eq!((report.transaction.sender.as_str(), report.transaction.requiretls), ("", false), "{words}");
    assert!(words.contains("\nStatus: 5.7.30\r\n") && words.contains("Subject: promise") && !words.contains("a secret"), "{words}");
    // The account does not pause for it.
    client.message("root@client.test", &["b@sink.test"], "Subject: plain\r\n\r\nhi\r\n");
    assert_eq!(arrive(&sink, 1)[0].transaction.recipients[0].address, "b@sink.test");
}

#[test]
fn a_server_that_is_not_verified_gets_nothing_that_asks_for_it_but_the_rest() {
    let sink = sink(true);
    // Its authority is not the one that the account believes.
    let other = Sink::start(Settings::default()).unwrap();
    let service = service(&other, "policy = \"opportunistic\"\n");
    let text = std::fs::read_to_string(service.config()).unwrap();
    let text = text.replace(&format!("port = {}\n", other.address.port()), &format!("port = {}\n", sink.address.port()));
    service.scratch.write("config.toml", text);
    service.reload();
    let mut client = service.client();
    client.hello();
    hand_in(&mut client, " REQUIRETLS", "Subject: promise\r\n\r\nhi\r\n");
    let report = &arrive(&sink, 1)[0];
    assert!(crate::kit::text(report).contains("\nStatus: 5.7.10\r\n") && !report.transaction.requiretls, "{report:?}");
    client.message("root@client.test", &["b@sink.test"], "Subject: plain\r\n\r\nhi\r\n");
    assert_eq!(arrive(&sink, 1)[0].transaction.recipients[0].address, "b@sink.test");
}

#[test]
fn an_account_that_can_never_promise_it_is_no_way_for_such_a_message() {
    let sink = sink(true);
    let service = service(&sink, "");
    let mut client = service.client();
    client.hello();
    client.says("MAIL FROM:<me@clear.test> REQUIRETLS", "550 5.7.10 ");
    // Where there is no other account it is not offered.
    let service = Service::new(sink.address, "").start();
    let mut client = service.client();
    assert!(!client.hello().contains("REQUIRETLS"));
    client.says("MAIL FROM:<root@client.test> REQUIRETLS", "555 ");
}
