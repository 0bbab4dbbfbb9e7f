//! Does a service that is confined know its smarthost again by the key that it showed first? (`trust = "tofu"`)

use std::process::Command;

use sealpost::host::listen::{Settings, Sink};

use crate::kit::{Service, arrive};

#[test]
fn a_confined_service_remembers_the_first_key_and_believes_another_when_a_person_does() {
    let sink = Sink::start(Settings::default()).unwrap();
    let service = Service::new(sink.address, "");
    let text = std::fs::read_to_string(service.config()).unwrap();
    // A place that nothing has made yet, and nothing else is written in.
    let memory = service.scratch.path().join("memory/of/servers.json");
    let text = text.replace("[memory]\nfile = \"\"", &format!("[memory]\nfile = \"{}\"", memory.display()));
    service.scratch.write("config.toml", text.replace("policy = \"off\"", "trust = \"tofu\""));
    let service = service.start();
    let mut client = service.client();
    client.hello();
    for subject in ["first", "second"] {
        client.message("root", &["you@sink.test"], &format!("Subject: {subject}\r\n\r\nhi\r\n"));
        arrive(&sink, 1);
    }
    assert!(std::fs::read_to_string(&memory).unwrap().contains("127.0.0.1"));
    // Another server at the same place.
    let address = sink.address;
    drop(sink);
    let other = Sink::start(Settings { address, ..Settings::default() }).unwrap();
    client.message("root", &["you@sink.test"], "Subject: third\r\n\r\nhi\r\n");
    let held = service.until_logged("deferred");
    assert!(held["tls"]["detail"].as_str().unwrap().starts_with("the server's key changed: "), "{held}");
    let mut trust = Command::new(crate::common::binary());
    let accepted = trust.args(["trust", "add", "relay", "--yes", "-C"]).arg(service.config()).output().unwrap();
    assert!(accepted.status.success(), "{accepted:?}");
    // The log knows it first.
    while !client.says("XQUEUE list", "250-").contains("\"attempts\":1") {}
    client.says("XQUEUE flush", "250 ");
    assert_eq!(arrive(&other, 1).len(), 1);
    service.ends();
}
