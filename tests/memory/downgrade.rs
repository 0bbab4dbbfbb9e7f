//! Who had TLS before and has none now: what is sent, what is said, what is logged.

use crate::kit::{self, Door, arrived, client, remembered, rewrite, seen, send, trust};

/// Faults that take TLS away, and what they are called where it was never there.
const FAULTS: [(&str, &str); 5] = [
    ("no-starttls", "starttls-not-supported"),
    ("no-ehlo", "starttls-not-supported"),
    ("starttls-454", "starttls-not-supported"),
    ("starttls-close", "validation-failure"),
    ("handshake-garbage", "validation-failure"),
];

#[test]
fn an_opportunistic_account_warns_of_plaintext_where_tls_was_and_goes_on() {
    for (fault, failure) in FAULTS {
        let (good, bad) = (kit::sink(&[]), kit::sink(&[fault]));
        let door = Door::to(&bad);
        let sealpost = client(&door, "policy = \"opportunistic\", trust = \"any\"", "");
        let plaintext = |downgrade| (0, "sent", "plaintext", failure, downgrade);

        let run = send(&sealpost);
        assert_eq!((seen(&run), run.oddities()), (plaintext(false), Vec::new()), "{fault}: {run:?}");
        assert_eq!(remembered(&sealpost).iter().count(), 0, "an offer that came to nothing is no TLS");

        door.lead_to(&good);
        let run = send(&sealpost);
        assert_eq!((seen(&run), run.oddities()), ((0, "sent", "unverified", "", false), Vec::new()), "{fault}: {run:?}");

        door.lead_to(&bad);
        let run = send(&sealpost);
        assert_eq!(seen(&run), plaintext(true), "{fault}: {run:?}");
        let advice = format!("sealpost trust forget {}", door.name());
        assert_eq!((run.stderr.lines().count(), run.stderr.matches(&advice).count()), (2, 1), "said once: {run:?}");
        assert!(run.field("/tls/detail").contains("TLS was there before, last on "), "{run:?}");
        assert_eq!(arrived(&bad), 2);

        assert_eq!(trust(&sealpost, &["forget", &door.name()]).code, 0);
        let run = send(&sealpost);
        assert_eq!((seen(&run), run.oddities()), (plaintext(false), Vec::new()), "{fault}: {run:?}");
    }
}

#[test]
fn an_account_that_refuses_downgrades_sends_nothing_in_plaintext_where_tls_was() {
    for (fault, failure) in FAULTS {
        let (good, bad) = (kit::sink(&[]), kit::sink(&[fault]));
        let door = Door::to(&good);
        let sealpost = client(&door, "policy = \"opportunistic\", trust = \"any\", on_downgrade = \"refuse\"", "");
        assert_eq!(seen(&send(&sealpost)), (0, "sent", "unverified", "", false));
        door.lead_to(&bad);
        let is_stripped = failure == "starttls-not-supported";
        let run = send(&sealpost);
        assert_eq!((seen(&run), run.oddities()), ((75, "deferred", "none", failure, is_stripped), Vec::new()), "{fault}: {run:?}");
        assert_eq!(run.stderr.contains(&format!("sealpost trust forget {}", door.name())), is_stripped, "{run:?}");
        assert_eq!((arrived(&bad), run.records.len()), (0, 1));
        if is_stripped {
            assert_eq!(trust(&sealpost, &["forget", "relay"]).code, 0);
            let run = send(&sealpost);
            assert_eq!((seen(&run), run.oddities()), ((0, "sent", "plaintext", failure, false), Vec::new()), "{fault}: {run:?}");
        }
    }
}

#[test]
fn a_required_account_that_fails_says_whether_there_was_tls_before() {
    let (good, bad) = (kit::sink(&[]), kit::sink(&["no-starttls"]));
    let door = Door::to(&bad);
    let sealpost = client(&door, "trust = \"any\"", "");
    let stopped = |downgrade| (75, "deferred", "none", "starttls-not-supported", downgrade);
    let run = send(&sealpost);
    assert_eq!((seen(&run), run.oddities()), (stopped(false), Vec::new()), "{run:?}");

    // A required account remembers nothing of its own.
    door.lead_to(&good);
    assert_eq!(send(&sealpost).code, 0);
    assert!(!kit::file(&sealpost).exists());
    rewrite(&sealpost, "trust = \"any\"", "trust = \"tofu\"");
    assert_eq!(send(&sealpost).code, 0);

    door.lead_to(&bad);
    for trust in ["tofu", "any"] {
        let run = send(&sealpost);
        assert_eq!((seen(&run), run.oddities()), (stopped(true), Vec::new()), "{trust}: {run:?}");
        assert!(run.stderr.contains("ask the server's owner") && !run.stderr.contains("opportunistic"), "{run:?}");
        assert!(run.field("/tls/detail").contains("TLS was there before"), "{run:?}");
        if trust == "tofu" {
            rewrite(&sealpost, "trust = \"tofu\"", "trust = \"any\"");
        }
    }
    assert_eq!(arrived(&bad), 0);
}

#[test]
fn a_login_that_would_go_in_plaintext_where_tls_was_is_told_of_the_downgrade() {
    use crate::common::{PASSWORD, USER};
    let (good, bad) = (kit::sink_with_login(&[]), kit::sink_with_login(&["no-starttls"]));
    let door = Door::to(&good);
    let auth = format!("auth = {{ user = {USER:?}, password = {PASSWORD:?} }}");
    let sealpost = client(&door, "policy = \"opportunistic\", ca_file = \"ca.pem\"", &auth);
    sealpost.scratch.write("ca.pem", good.ca_pem.as_deref().unwrap());
    assert_eq!(seen(&send(&sealpost)), (0, "sent", "verified", "", false));
    door.lead_to(&bad);
    let run = send(&sealpost);
    assert_eq!((seen(&run), run.oddities()), ((75, "deferred", "none", "starttls-not-supported", true), Vec::new()), "{run:?}");
    assert!(run.stderr.contains("may be taking TLS out"), "{run:?}");
}
