//! Is the test mail of `--send` a real one, and does it go only where the account would send?

use sealpost::host::listen::{Delivery, Event, Kept, Sink};

use crate::{account, auth, check, configured, oddities, sink};

fn arrived(sink: &Sink) -> Vec<Delivery> {
    let delivered = |event| if let Event::Delivered(delivery) = event { Some(delivery) } else { None };
    sink.events.try_iter().filter_map(delivered).map(|delivery| *delivery).collect()
}

#[test]
fn a_test_mail_goes_the_ordinary_way_and_only_where_the_account_would_send() {
    let sink = sink(&[], true, false);
    let mut sealpost = configured(&sink, "ca_file = \"ca.pem\"", &format!("from = \"cron@client.test\"\n{}", auth()));
    sealpost.environment.push(("NAME".to_owned(), "Crön".to_owned()));
    let run = check(&sealpost, &["--send", "ann@sink.test"]);
    assert_eq!((run.code, oddities(&run)), (0, Vec::new()), "{run:?}");
    assert!(run.stdout.contains("sent to ann@sink.test: 250 "), "{run:?}");
    let arrived = arrived(&sink);
    assert_eq!((arrived.len(), arrived[0].transaction.recipients[0].address.as_str()), (1, "ann@sink.test"));
    assert_eq!(arrived[0].transaction.sender, "cron@client.test");
    let Kept::Memory(message) = &arrived[0].kept else { panic!("the sink keeps mail in memory") };
    let text = String::from_utf8(message.clone()).unwrap();
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(&format!("{name}: "))).unwrap_or_default().to_owned();
    let log = sealpost.log();
    assert_eq!((log.len(), &log[0]["status"], &log[0]["tls"]["result"]), (1, &"sent".into(), &"verified".into()));

    assert_eq!(field("From"), "=?UTF-8?Q?Cr=C3=B6n?= <cron@client.test>", "{text}");
    assert_eq!((field("To"), field("Subject")), ("ann@sink.test".to_owned(), "Test mail of sealpost, account relay".to_owned()));
    assert_eq!(log[0]["message_id"].as_str(), Some(field("Message-ID").as_str()));
    assert!(field("Date").ends_with(" +0000") && field("Date").len() > 25, "{text}");

    let refused = self::sink(&["rcpt-550"], false, false);
    let run = check(&configured(&refused, "ca_file = \"ca.pem\"", ""), &["--send", "ann@sink.test", "--json"]);
    let told = account(&run);
    assert_eq!((run.code, &told["would_send"], &told["test_mail"]["exit"]), (67, &true.into(), &67.into()), "{run:?}");

    let untrusted = self::sink(&["self-signed"], false, false);
    let sealpost = configured(&untrusted, "ca_file = \"ca.pem\"", "");
    let run = check(&sealpost, &["--send", "ann@sink.test"]);
    assert_eq!((run.code, sealpost.log().len()), (75, 0), "{run:?}");
    assert!(run.stdout.contains("not sent to ann@sink.test (exit 75)"), "{run:?}");
}
