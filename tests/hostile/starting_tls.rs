//! What does a server achieve that lies about STARTTLS, and what one whose certificate is bad? (RFC 3207, 7435)

use crate::{
    case::{ANY, CASE, Case, play},
    common::certificate::Flaw,
};

const NOT_SUPPORTED: Option<&str> = Some("starttls-not-supported");
const VALIDATION: Option<&str> = Some("validation-failure");

/// A row of which two policies make different things.
fn both(name: &'static str, required: &'static str, opportunistic: &'static str) -> [Case; 2] {
    [
        Case { name, script: required, failure: NOT_SUPPORTED, ..CASE },
        Case {
            name,
            policy: "opportunistic",
            script: opportunistic,
            exit: &[0],
            status: "sent",
            result: "plaintext",
            failure: NOT_SUPPORTED,
            ..CASE
        },
    ]
}

#[test]
fn a_server_without_starttls_gets_mail_by_opportunistic_policy_only() {
    let cases = [
        both("not offered", "hello: PIPELINING\ngone", "hello: PIPELINING\nsession"),
        both("a mangled keyword", "hello: XXXXXXXA\ngone", "hello: XXXXXXXA\nsession"),
        both("a keyword with something behind it", "hello: STARTTLSX\ngone", "hello: STARTTLSX\nsession"),
        both(
            "only HELO works",
            "S: 220 hi\nC: EHLO *\nS: 502 5.5.1 what?\nmaybe: HELO *\nS: 250 hi\ngone",
            "S: 220 hi\nC: EHLO *\nS: 502 5.5.1 what?\nC: HELO *\nS: 250 hi\nsession",
        ),
        both(
            "454 to STARTTLS",
            "hello: STARTTLS\nC: STARTTLS\nS: 454 4.7.0 not now\ngone",
            "hello: STARTTLS\nC: STARTTLS\nS: 454 4.7.0 not now\nsession",
        ),
        both(
            "501 to STARTTLS",
            "hello: STARTTLS\nC: STARTTLS\nS: 501 5.5.4 no\ngone",
            "hello: STARTTLS\nC: STARTTLS\nS: 501 5.5.4 no\nsession",
        ),
        both(
            "502 to STARTTLS",
            "hello: STARTTLS\nC: STARTTLS\nS: 502 5.5.1 no\ngone",
            "hello: STARTTLS\nC: STARTTLS\nS: 502 5.5.1 no\nsession",
        ),
    ];
    play(&cases.concat());
}

#[test]
fn any_reply_but_220_is_a_no() {
    let required = |name, script| Case { name, script, failure: ANY, ..CASE };
    play(&[
        required("250 to STARTTLS", "hello: STARTTLS\nC: STARTTLS\nS: 250 fine\ngone"),
        required("354 to STARTTLS", "hello: STARTTLS\nC: STARTTLS\nS: 354 go on\ngone"),
        required("235 to STARTTLS", "hello: STARTTLS\nC: STARTTLS\nS: 235 welcome\ngone"),
    ]);
}

#[test]
fn a_secret_never_follows_a_mail_into_plaintext() {
    let case = |name, script, failure, connections| Case {
        name,
        policy: "opportunistic",
        auth: true,
        script,
        failure,
        connections,
        result: "*",
        says: "hint",
        ..CASE
    };
    play(&[
        case("not offered", "hello: AUTH PLAIN LOGIN\ngone", NOT_SUPPORTED, 1),
        case("refused", "hello: STARTTLS, AUTH PLAIN LOGIN\nC: STARTTLS\nS: 454 4.7.0 no\ngone", NOT_SUPPORTED, 1),
        case(
            "a certificate that nobody vouches for",
            "hello: STARTTLS\nC: STARTTLS\nS: 220 go\ntls\nehlo: AUTH PLAIN LOGIN\ngone",
            ANY,
            1,
        )
        .with_flaw(Flaw::SelfSigned),
    ]);
}

#[test]
fn a_handshake_that_fails_sends_nothing_or_starts_over_in_plaintext() {
    let faults = [
        ("garbage", "S-raw: 220 go\\r\\n", "C-bytes: 64\nS-raw: HTTP/1.1 400 Bad Request\\r\\n\\r\\n\nwait"),
        ("close", "S: 220 go", "close"),
        ("rst", "S: 220 go", "C-bytes: 16\nrst"),
        ("an alert", "S: 220 go", "C-bytes: 16\nS-raw: \\x15\\x03\\x01\\0\\x02\\x02\\x46\nwait"),
        ("half a record", "S: 220 go", "C-bytes: 16\nS-raw: \\x16\\x03\\x03\\x40\\0\\x02\nclose"),
        ("silence", "S: 220 go", "wait"),
    ];
    let leak = |text: String| -> &'static str { Box::leak(text.into_boxed_str()) };
    let mut cases = Vec::new();
    for (name, reply, then) in faults {
        let first = format!("hello: STARTTLS, PIPELINING\nC: STARTTLS\n{reply}\n{then}");
        let second = leak(format!("{first}\n---\nhello: STARTTLS, PIPELINING\nsession"));
        let case = Case { name, script: leak(first), failure: VALIDATION, ..CASE };
        let plain = Case {
            policy: "opportunistic",
            script: second,
            exit: &[0],
            status: "sent",
            result: "plaintext",
            connections: 2,
            ..case
        };
        cases.extend([case, plain]);
    }
    play(&cases);
}

#[test]
fn bytes_behind_the_220_are_an_attack() {
    let scripts = [
        "hello: STARTTLS\nC: STARTTLS\nS-raw: 220 go\\r\\n250-evil\\r\\n250 AUTH PLAIN\\r\\n\nwait",
        "hello: STARTTLS\nC: STARTTLS\nS-raw: 220 go\\r\\n2\nwait",
        "hello: STARTTLS\nC: STARTTLS\nS-raw: 220 go\\r\\n\\n\nwait",
    ];
    let cases: Vec<Case> = scripts
        .iter()
        .flat_map(|script| {
            ["required", "opportunistic"].map(|policy| Case { name: script, policy, script, failure: VALIDATION, ..CASE })
        })
        .collect();
    play(&cases);
}

#[test]
fn what_was_said_before_tls_is_forgotten() {
    let sealed = "C: STARTTLS\nS: 220 go\ntls";
    let leak = |text: String| -> &'static str { Box::leak(text.into_boxed_str()) };
    let sent = Case { exit: &[0], status: "sent", result: "verified", ..CASE };
    play(&[
        Case {
            name: "a SIZE that only the man in the middle offered",
            script: leak(format!("hello: STARTTLS, SIZE 10\n{sealed}\nehlo: PIPELINING\nsession")),
            ..sent.clone()
        },
        Case {
            name: "an AUTH that only the man in the middle offered",
            script: leak(format!("hello: STARTTLS, AUTH PLAIN\n{sealed}\nehlo: PIPELINING\nwait")),
            auth: true,
            exit: &[75, 77, 69, 76],
            status: "*",
            failure: None,
            result: "none",
            ..CASE
        },
        Case {
            name: "STARTTLS offered again inside TLS",
            script: leak(format!("hello: STARTTLS\n{sealed}\nehlo: STARTTLS, PIPELINING\nsession")),
            ..sent.clone()
        },
        Case {
            name: "an AUTH that TLS brought",
            script: leak(format!("hello: STARTTLS\n{sealed}\nehlo: AUTH PLAIN\nC: AUTH PLAIN *\nS: 235 2.7.0 in\nsession")),
            auth: true,
            ..sent.clone()
        },
        Case {
            name: "cut without close_notify after the 250",
            script: leak(format!("hello: STARTTLS\n{sealed}\nehlo:\nmail\nrcpt\ndata\naccept\nrst")),
            ..sent
        },
    ]);
}

#[test]
fn a_port_of_the_other_kind_is_refused_with_a_hint() {
    play(&[
        Case {
            name: "plaintext greeting on the implicit port",
            start: "implicit",
            script: "S: 220 hi ESMTP\nwait",
            failure: ANY,
            says: "starttls",
            ..CASE
        },
        Case { name: "TLS on the STARTTLS port", script: "tls\nwait", failure: ANY, says: "implicit", ..CASE },
        Case {
            name: "plaintext greeting on the implicit port",
            policy: "opportunistic",
            start: "implicit",
            script: "S: 220 hi ESMTP\nwait",
            failure: ANY,
            says: "starttls",
            ..CASE
        },
    ]);
}

#[test]
fn a_bad_certificate_is_refused_or_recorded() {
    let mut cases = Vec::new();
    for flaw in Flaw::ALL {
        let failure = flaw.failure();
        for (start, head) in
            [("starttls", "hello: STARTTLS\nC: STARTTLS\nS: 220 go\ntls\nehlo: PIPELINING"), ("implicit", "tls\nhello: PIPELINING")]
        {
            let leak = |text: String| -> &'static str { Box::leak(text.into_boxed_str()) };
            let session = leak(format!("{head}\nsession"));
            let sent = Case { name: session, start, flaw, script: session, exit: &[0], status: "sent", failure, ..CASE };
            if flaw == Flaw::None {
                cases.push(Case { result: "verified", ..sent.clone() });
                cases.push(Case { policy: "opportunistic", result: "verified", ..sent });
            } else {
                // The client may leave during the handshake, after it, or with a QUIT.
                let refused = leak(
                    head.split("\nehlo").next().unwrap_or_default().split("\nhello: P").next().unwrap_or_default().to_owned()
                        + "\ngone",
                );
                cases.push(Case { policy: "opportunistic", result: "unverified", ..sent.clone() });
                cases.push(Case { script: refused, exit: &[75], status: "deferred", result: "none", ..sent });
            }
        }
    }
    play(&cases);
}

#[test]
fn a_pin_trusts_one_certificate_whoever_signed_it() {
    let session = "hello: STARTTLS\nC: STARTTLS\nS: 220 go\ntls\nehlo: PIPELINING\nsession";
    let pinned = "trust = \"pin\"\npins = [\"PIN\"]";
    let other = "trust = \"pin\"\npins = [\"sha256:0000000000000000000000000000000000000000000000000000000000000000\"]";
    let sent = Case { tls: pinned, script: session, exit: &[0], status: "sent", result: "verified", ..CASE };
    play(&[
        Case { name: "the pin of a self-signed certificate", flaw: Flaw::SelfSigned, ..sent.clone() },
        Case { name: "the pin of an expired certificate", flaw: Flaw::Expired, ..sent },
        Case {
            name: "another pin",
            tls: other,
            script: "hello: STARTTLS\nC: STARTTLS\nS: 220 go\ntls\ngone",
            failure: VALIDATION,
            ..CASE
        },
    ]);
}

impl Case {
    fn with_flaw(self, flaw: Flaw) -> Self {
        Self { flaw, ..self }
    }
}
