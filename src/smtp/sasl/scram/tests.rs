//! Does the client say what the RFCs print, and believe only who knows the password?

use proptest::prelude::*;

use super::*;

const NONCE: &str = "rOprNGfwEbeRWgbNEkqO";
const FIRST: &str = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
const SIGNATURE: &str = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";

fn client_with(hash: Hash, gs2: Gs2, nonce: &str) -> Client {
    let secret = Secret::new("pencil".to_owned());
    Client::with_text_nonce(hash, gs2, "user", &secret, nonce.to_owned()).unwrap()
}

fn client() -> Client {
    client_with(Hash::Sha256, Gs2::No, NONCE)
}

fn begun() -> Client {
    let mut client = client();
    client.first();
    client
}

fn said(message: &Message) -> &str {
    std::str::from_utf8(message).unwrap()
}

#[test]
fn the_example_of_rfc_7677_is_reproduced() {
    let mut client = client();
    assert_eq!(said(&client.first()), "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
    assert_eq!(
        said(&client.answer(FIRST.as_bytes()).unwrap()),
        "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
    );
    assert_eq!(said(&client.answer(SIGNATURE.as_bytes()).unwrap()), "");
    client.finished(None).unwrap();
}

#[test]
fn the_example_of_rfc_5802_is_reproduced() {
    let mut client = client_with(Hash::Sha1, Gs2::No, "fyko+d2lbbFgONRv9qkxdawL");
    assert_eq!(said(&client.first()), "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL");
    let first = "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096";
    assert_eq!(
        said(&client.answer(first.as_bytes()).unwrap()),
        "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts="
    );
    assert_eq!(said(&client.answer(b"v=rmF9pqV8S7suAoZWja4dJRkFsKQ=").unwrap()), "");
    client.finished(None).unwrap();
}

#[test]
fn the_header_says_whether_a_binding_was_possible_and_the_last_message_repeats_it() {
    let bound = [b"p=tls-exporter,,".as_slice(), &[7; 32]].concat();
    for (gs2, header, confirmed) in [
        (Gs2::No, "n,,", "biws".to_owned()),
        (Gs2::Unoffered, "y,,", "eSws".to_owned()),
        (Gs2::Exporter([7; 32]), "p=tls-exporter,,", BASE64.encode(bound)),
    ] {
        let mut client = client_with(Hash::Sha256, gs2, NONCE);
        assert_eq!(said(&client.first()), format!("{header}n=user,r={NONCE}"));
        assert!(said(&client.answer(FIRST.as_bytes()).unwrap()).starts_with(&format!("c={confirmed},r=")), "{gs2:?}");
        // What is repeated is signed: an example's signature, made for another header, does not hold.
        assert_eq!(client.finished(Some(SIGNATURE.as_bytes())).is_ok(), gs2 == Gs2::No, "{gs2:?}");
    }
}

#[test]
fn the_signature_may_come_with_the_success_but_not_be_missing_or_wrong() {
    let cases: [(Option<&[u8]>, bool); 4] = [
        (Some(SIGNATURE.as_bytes()), true),
        (Some(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G5="), false),
        (Some(b"v="), false),
        (None, false),
    ];
    for (data, believed) in cases {
        let mut client = begun();
        client.answer(FIRST.as_bytes()).unwrap();
        assert_eq!(client.finished(data).is_ok(), believed, "{data:?}");
    }
}

#[test]
fn a_first_message_that_breaks_the_rules_is_not_answered() {
    let broken = [
        "",
        "m=x,r=rOprNGfwEbeRWgbNEkqOx,s=AAAA,i=4096",
        "r=rOprNGfwEbeRWgbNEkqO,s=AAAA,i=4096",
        "r=somebodyelse,s=AAAA,i=4096",
        "r=rOprNGfwEbeRWgbNEkqOx,s=,i=4096",
        "r=rOprNGfwEbeRWgbNEkqOx,s=!,i=4096",
        "r=rOprNGfwEbeRWgbNEkqOx,i=4096,s=AAAA",
        "r=rOprNGfwEbeRWgbNEkqOx,s=AAAA",
        "r=rOprNGfwEbeRWgbNEkqOx,s=AAAA,i=1",
        "r=rOprNGfwEbeRWgbNEkqOx,s=AAAA,i=4095",
        "r=rOprNGfwEbeRWgbNEkqOx,s=AAAA,i=+4096",
        "r=rOprNGfwEbeRWgbNEkqOx,s=AAAA,i=1000001",
        "r=rOprNGfwEbeRWgbNEkqOx,s=AAAA,i=2000000000",
        "r=rOprNGfwEbeRWgbNEkqOx,s=AAAA,i=99999999999999999999",
    ];
    for message in broken {
        let mut client = begun();
        assert!(client.answer(message.as_bytes()).is_err(), "{message}");
        assert!(client.finished(None).is_err(), "{message}");
    }
}

#[test]
fn an_error_of_the_server_is_acknowledged_kept_and_never_followed_by_success() {
    for first in [true, false] {
        let mut client = begun();
        if !first {
            client.answer(FIRST.as_bytes()).unwrap();
        }
        assert_eq!(said(&client.answer(b"e=invalid-proof").unwrap()), "");
        assert_eq!(client.complaint().unwrap().shown(&crate::smtp::sasl::Mask::default()), "invalid-proof");
        assert!(client.finished(Some(SIGNATURE.as_bytes())).is_err());
        assert!(client.answer(SIGNATURE.as_bytes()).is_err());
        assert!(client.finished(None).is_err());
    }
}

#[test]
fn equal_signs_and_commas_in_a_name_are_escaped_and_prohibited_characters_refused() {
    let made = |user| Client::new(Hash::Sha256, Gs2::No, user, &Secret::new("x".to_owned()), b"");
    assert_eq!(made("a=b,c").unwrap().bare, "n=a=3Db=2Cc,r=");
    assert_eq!(made("I\u{ad}X").unwrap().bare, "n=IX,r=", "RFC 4013 section 3");
    assert!(matches!(made("a\u{7}"), Err(SaslError::Unfit(_))));
    assert!(matches!(made(""), Err(SaslError::Unfit(_))));
}

proptest! {
    #[test]
    fn no_challenge_makes_the_client_panic_or_believe(challenges in proptest::collection::vec(any::<Vec<u8>>(), 0..4)) {
        let mut client = begun();
        for challenge in &challenges {
            let _ = client.answer(challenge);
        }
        prop_assert!(client.finished(None).is_err());
    }
}
