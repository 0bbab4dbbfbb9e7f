//! `trust = "tofu"` from the first mail to a changed key and beyond; and who may see the password.

use crate::{
    common::{PASSWORD, USER},
    kit::{self, Door, arrived, client, key, remembered, seen, send, trust},
};

const FIRST: (i32, &str, &str, &str, bool) = (0, "sent", "unverified", "", false);
const AGAIN: (i32, &str, &str, &str, bool) = (0, "sent", "verified", "", false);
const CHANGED: (i32, &str, &str, &str, bool) = (75, "deferred", "none", "validation-failure", false);

#[test]
fn the_key_that_was_met_first_is_believed_and_a_changed_one_is_not_until_a_person_says_so() {
    let pairs = [
        ([kit::sink(&[]), kit::sink(&["self-signed"])], "", ""),
        ([kit::implicit(), kit::implicit()], "start = \"implicit\", ", ""),
        ([kit::lmtp(), kit::lmtp()], "", "protocol = \"lmtp\""),
    ];
    for ([one, other], start, more) in pairs {
        let door = Door::to(&one);
        let sealpost = client(&door, &format!("{start}trust = \"tofu\""), more);

        let run = send(&sealpost);
        assert_eq!((seen(&run), run.oddities()), (FIRST, Vec::new()), "{run:?}");
        assert!(run.field("/tls/detail").contains("first time"), "{run:?}");
        let first = key(&sealpost, &door).unwrap();
        assert_eq!(run.field("/tls/certificate/spki_sha256"), first);

        let run = send(&sealpost);
        assert_eq!((seen(&run), run.oddities()), (AGAIN, Vec::new()), "{run:?}");
        assert_eq!(arrived(&one), 2);

        door.lead_to(&other);
        let run = send(&sealpost);
        assert_eq!((seen(&run), run.oddities()), (CHANGED, Vec::new()), "{run:?}");
        let second = run.field("/tls/certificate/spki_sha256").to_owned();
        for digest in [&first, &second] {
            assert!(run.stderr.contains(digest) && run.field("/tls/detail").contains(digest), "{run:?}");
        }
        assert!(run.stderr.contains(&format!("sealpost trust add {}", door.name())), "{run:?}");
        assert_eq!((arrived(&other), key(&sealpost, &door)), (0, Some(first.clone())));

        let run = trust(&sealpost, &["add", &door.name(), "--key", &first]);
        assert_eq!((run.code, key(&sealpost, &door)), (77, Some(first.clone())), "{run:?}");
        let run = trust(&sealpost, &["add", &door.name(), "--key", &format!("sha256:{second}")]);
        assert_eq!((run.code, key(&sealpost, &door)), (0, Some(second.clone())), "{run:?}");
        assert!(run.stdout.contains("ANOTHER key was believed") && run.stdout.contains(&first), "{run:?}");
        assert_eq!(seen(&send(&sealpost)), AGAIN);
        door.lead_to(&one);
        assert_eq!(seen(&send(&sealpost)), CHANGED);

        let run = trust(&sealpost, &["forget", "localhost"]);
        assert_eq!((run.code, remembered(&sealpost).iter().count()), (0, 0), "{run:?}");
        assert_eq!(seen(&send(&sealpost)), FIRST);
        assert_eq!(key(&sealpost, &door), Some(first));
    }
}

#[test]
fn an_opportunistic_account_goes_on_with_a_changed_key_notes_it_and_keeps_the_old_one() {
    let (one, other) = (kit::sink(&[]), kit::sink(&[]));
    let door = Door::to(&one);
    let sealpost = client(&door, "policy = \"opportunistic\", trust = \"tofu\"", "");
    assert_eq!(seen(&send(&sealpost)), FIRST);
    let first = key(&sealpost, &door);
    assert_eq!(seen(&send(&sealpost)), AGAIN);
    door.lead_to(&other);
    for _ in 0..2 {
        let run = send(&sealpost);
        assert_eq!((seen(&run), run.oddities()), ((0, "sent", "unverified", "validation-failure", false), Vec::new()), "{run:?}");
        assert!(run.field("/tls/detail").contains(first.as_ref().unwrap()), "{run:?}");
    }
    assert_eq!((arrived(&other), key(&sealpost, &door)), (2, first));
}

#[test]
fn a_password_is_shown_to_no_key_that_nobody_vouched_for() {
    // Of the account; then of the first and the second mail: exit code, and the mechanism; whether the first key is remembered.
    let table = [
        ("mechanism = \"PLAIN\"", [(75, ""), (75, "")], false),
        ("mechanism = \"LOGIN\"", [(75, ""), (75, "")], false),
        ("mechanism = \"PLAIN\", allow_unverified = true", [(0, "PLAIN"), (0, "PLAIN")], true),
        ("mechanism = \"auto\"", [(0, "SCRAM-SHA-256-PLUS"), (0, "SCRAM-SHA-256-PLUS")], true),
        ("mechanism = \"SCRAM-SHA-256\"", [(0, "SCRAM-SHA-256"), (0, "SCRAM-SHA-256")], true),
    ];
    for (mechanism, expected, is_remembered) in table {
        for policy in ["required", "opportunistic"] {
            let one = kit::sink_with_login(&[]);
            let door = Door::to(&one);
            let auth = format!("auth = {{ user = {USER:?}, password = {PASSWORD:?}, {mechanism} }}");
            let sealpost = client(&door, &format!("policy = {policy:?}, trust = \"tofu\""), &auth);
            for (code, auth) in expected {
                let run = send(&sealpost);
                assert_eq!((run.code, run.field("/auth"), run.oddities()), (code, auth, Vec::new()), "{mechanism}: {run:?}");
                let advises = run.stderr.contains(&format!("sealpost trust add {}", door.name()));
                assert_eq!((advises, key(&sealpost, &door).is_some()), (code != 0, is_remembered), "{mechanism}: {run:?}");
            }
            // Once somebody has looked at the key, it is as good as a verified certificate.
            assert_eq!(trust(&sealpost, &["add", "relay", "--yes"]).code, 0);
            let run = send(&sealpost);
            assert_eq!((seen(&run), run.oddities()), (AGAIN, Vec::new()), "{mechanism}: {run:?}");

            let impostor = kit::sink_with_login(&[]);
            door.lead_to(&impostor);
            let run = send(&sealpost);
            let goes_on = policy == "opportunistic" && expected[0].0 == 0;
            assert_eq!((run.code, run.oddities()), (if goes_on { 0 } else { 75 }, Vec::new()), "{mechanism}, {policy}: {run:?}");
            if !goes_on {
                assert!(run.stderr.contains(&format!("sealpost trust add {}", door.name())), "{run:?}");
            }
        }
    }
}

#[test]
fn a_key_is_remembered_only_if_the_mail_went_to_it() {
    for (fault, login, is_remembered) in [
        ("greeting-554", false, false),
        ("auth-535", true, false),
        ("bad-scram", true, false),
        ("mail-451", false, true),
        ("rcpt-550-all", false, true),
    ] {
        let one = if login { kit::sink_with_login(&[fault]) } else { kit::sink(&[fault]) };
        let door = Door::to(&one);
        let auth = if login { format!("auth = {{ user = {USER:?}, password = {PASSWORD:?} }}") } else { String::new() };
        let sealpost = client(&door, "trust = \"tofu\"", &auth);
        let run = send(&sealpost);
        assert_ne!(run.code, 0, "{fault}");
        assert_eq!((key(&sealpost, &door).is_some(), run.oddities()), (is_remembered, Vec::new()), "{fault}: {run:?}");
    }
}
