//! What does a disk quota that is exceeded mean to the clients of the service, and to what waits? (EDQUOT, which the kernel is made to say)

use sealpost::host::listen::Delivery;
use serde_json::Value;

use crate::{
    common::say,
    kit::{Service, arrive, sink},
};

/// A service of which these calls end so; its queue is there already.
fn service(address: std::net::SocketAddr, inject: &[&str]) -> Option<Service> {
    if std::process::Command::new("strace").arg("-V").output().is_err() {
        assert!(std::env::var_os("CI").is_none(), "strace is not installed");
        say("SKIPPED: a quota that is exceeded: strace is not installed");
        return None;
    }
    let service = Service::new(address, "");
    sealpost::host::spool::Spool::make(&service.scratch.path().join("spool")).unwrap().arrivals().unwrap();
    let mut service = service;
    // The one that is started is the service, and the one that looks on its child.
    let words =
        ["strace", "-D", "-f", "-qq", "-o", "/dev/null"].into_iter().chain(inject.iter().flat_map(|inject| ["-e", *inject]));
    service.wrapper = words.map(str::to_owned).collect();
    Some(service.start())
}

#[test]
fn what_does_not_fit_is_refused_for_now_and_nothing_of_it_stays() {
    let sink = sink();
    let Some(service) = service(sink.address, &["inject=fsync:error=EDQUOT:when=1..2"]) else { return };
    let mut client = service.client();
    client.hello();
    for _ in 0..2 {
        client.envelope("root", &["you@sink.test"]);
        client.says("Subject: x\r\n\r\nhi\r\n.", "451 4.3.0 queueing the message in ");
        assert_eq!(service.names("queue"), Vec::<String>::new());
    }
    client.message("root", &["you@sink.test"], "Subject: x\r\n\r\nhi\r\n");
    assert_eq!(arrive(&sink, 1).len(), 1);
    service.ends();
    let sent = service.log().iter().filter(|record| record["status"] == "sent").count();
    assert_eq!((service.waiting(), sent), (0, 1));
    let refused: Vec<_> = service.log().into_iter().filter(|record| record["status"] == "rejected").collect();
    assert_eq!(refused.len(), 2);
    assert!(
        refused.iter().all(|record| record["error"].as_str().unwrap().ends_with("Disk quota exceeded") && record["exit"] == 75)
    );
}

#[test]
fn a_message_whose_end_could_not_be_written_down_waits_unsent_until_it_can() {
    let sink = sink();
    let Some(service) = service(sink.address, &["inject=fallocate:error=EDQUOT:when=1"]) else { return };
    let mut client = service.client();
    client.hello();
    client.message("root", &["one@sink.test", "two@sink.test"], "Subject: x\r\n\r\nhi\r\n");
    let told = service.until_logged_so(|record| record["event"] == "queue" && record["status"] == "deferred");
    assert!(told["error"].as_str().unwrap().ends_with("Disk quota exceeded"), "{told}");
    // Whoever comes needs no room for a note, and has the run look again. The kernel says it once to each thread.
    let is_it = |delivery: &Delivery| delivery.transaction.recipients.len() == 2;
    let mut arrived = Vec::new();
    while !arrived.iter().any(is_it) {
        client.message("root", &["three@sink.test"], "Subject: y\r\n\r\nhi\r\n");
        arrived.extend(arrive(&sink, 1));
    }
    service.ends();
    let is_sent = |record: &&Value| record["status"] == "sent" && record["recipients"].as_array().unwrap().len() == 2;
    assert_eq!(service.log().iter().filter(is_sent).count(), 1);
}
