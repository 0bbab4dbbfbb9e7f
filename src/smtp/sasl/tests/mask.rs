//! Is the secret hidden in whatever is shown?

use super::*;

#[test]
fn no_error_shows_the_secret() {
    let shown = format!("{:?}", credentials("tim", "hunter2"));
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[test]
fn a_mask_hides_the_secret_in_each_of_its_forms_and_nothing_else() {
    let mask = Mask::new(&credentials("me", "pass-w0rd"));
    for (text, wanted) in [
        ("5.7.8 no", "5.7.8 no"),
        ("\"pass-w0rd\" is wrong, me: pass-w0rd!", "\"***\" is wrong, me: ***!"),
        ("AUTH PLAIN AG1lAHBhc3MtdzByZA==", "AUTH PLAIN ***"),
        ("cGFzcy13MHJk", "***"),
    ] {
        assert_eq!(mask.hide(text), wanted);
    }
    assert_eq!(format!("{mask:?}"), "***");
    assert_eq!(Mask::default().hide("pass-w0rd"), "pass-w0rd");
    assert_eq!(Mask::new(&credentials("me", "")).hide("AG1lAA"), "AG1lAA");
    let token = secret("me@a.test", Secret::token("ya29.token".to_owned()));
    let mask = Mask::new(&token);
    for (mechanism, shown) in [(Mechanism::Xoauth2, "***"), (Mechanism::OauthBearer, "***")] {
        let said = begin(mechanism, &token, &permit(true)).unwrap().initial(500).unwrap();
        let told = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, &said);
        assert_eq!(mask.hide(&told), shown);
    }
    assert_eq!(mask.hide("ya29.token"), "***");
    assert_eq!(Mask::new(&secret("me", Secret::nothing())).hide("me"), "me");
}

#[test]
fn what_breaks_off_within_the_secret_ends_before_it() {
    let mask = Mask::new(&credentials("me", "pass-w0rd"));
    for (text, wanted) in [
        ("no pass-w0rd", "no ***"),
        ("pass-w0rd, pass-w0r", "***, ***"),
        ("no pass", "no ***"),
        ("no pas", "no pas"),
        ("passpass-w", "pass***"),
        ("pass it on", "pass it on"),
        ("AUTH PLAIN AG1lAHBhc3Mtd", "AUTH PLAIN ***"),
        ("\u{fffd}pass", "\u{fffd}***"),
        ("", ""),
    ] {
        assert_eq!(mask.hide_broken_off(text), wanted);
    }
    assert_eq!(Mask::default().hide_broken_off("pass"), "pass");
}

#[test]
fn what_was_cut_put_into_capitals_or_encoded_anew_is_hidden_too() {
    let mask = Mask::new(&credentials("me", "correct-horse"));
    for (text, wanted) in [
        ("500 AUTH PLAIN AG1lAGNvcnJlY3QtaG9yc2U=", "500 AUTH PLAIN ***"),
        ("500 AUTH PLAIN AG1LAGNVCNJLY3QTAG9YC2U=", "500 AUTH PLAIN ***"),
        ("only CORRECT-HORSE, Correct-Horse", "only ***, ***"),
        ("what? AUTH PLAIN AG1lAGNvcnJlY", "what? AUTH PLAIN ***"),
        // Behind one octet, and behind two.
        ("eGNvcnJlY3QtaG9yc2U=", "***"),
        ("eHljb3JyZWN0LWhvcnNlIQ==", "***"),
        // Words of it may stand anywhere.
        ("not correct-horses, correct-hors", "not ***s, correct-hors"),
        ("ORRECT-HORSE", "ORRECT-HORSE"),
    ] {
        assert_eq!(mask.hide(text), wanted);
    }
    let mask = Mask::new(&secret("me", Secret::token("ya29.0123456789".to_owned())));
    for (text, wanted) in [("what is YA29.012", "what is ***"), ("what is 23456789?", "what is ***?"), ("2345678", "2345678")] {
        assert_eq!(mask.hide(text), wanted);
    }
}

#[test]
fn a_text_that_is_nothing_but_the_secret_is_hidden_in_no_time() {
    let mask = Mask::new(&credentials("me", &"a".repeat(40)));
    let started = std::time::Instant::now();
    for text in ["a".repeat(40 << 13), "YWFh".repeat(1 << 16), "ab".repeat(1 << 17)] {
        let hidden = mask.hide(&text);
        assert_eq!(hidden.len(), if text.contains('b') { text.len() } else { 3 });
    }
    assert!(started.elapsed() < std::time::Duration::from_secs(5), "{:?}", started.elapsed());
}

#[test]
fn what_readers_make_of_it_is_hidden_too() {
    let mask = Mask::new(&credentials("me", " p\u{e4}ssw\u{f6}rd\u{20ac} "));
    for text in ["p\u{e4}ssw\u{f6}rd\u{20ac}", "p\u{c3}\u{a4}ssw\u{c3}\u{b6}rd\u{e2}\u{82}\u{ac}", "P\u{e4}SSW\u{f6}RD\u{20ac}"] {
        assert_eq!(mask.hide(&format!("no {text}!")), "no ***!");
    }
}

#[test]
fn a_letter_or_two_are_hidden_where_they_are_a_word_and_no_reply_tells_them() {
    let mask = Mask::new(&credentials("me", "a"));
    assert_eq!(mask.hide("Authentication failed: a is wrong"), "Authentication failed: *** is wrong");
    let mask = Mask::new(&credentials("me", "no1"));
    assert_eq!(mask.hide("no1 has no1234: no1"), "*** has no1234: ***");
    let mut lines = ["no1", "no1"].map(str::to_owned);
    mask.hide_lines(&mut lines, false);
    assert_eq!(lines, ["***", "***"]);
    // As LOGIN says it.
    assert_eq!(mask.hide("501 what is bm8x?"), "501 what is ***?");
    let mask = Mask::new(&credentials("me", "a"));
    assert_eq!(mask.hide("YQ== of Cyq is YQ"), "*** of Cyq is ***");
}

#[test]
fn what_goes_over_the_end_of_a_line_is_hidden_in_both() {
    let mask = Mask::new(&credentials("me", "correct-horse"));
    let hidden = |lines: [&str; 3], is_broken_off| {
        let mut lines = lines.map(str::to_owned);
        mask.hide_lines(&mut lines, is_broken_off);
        lines.join("|")
    };
    assert_eq!(hidden(["no cor", "rect-", "horse, no"], false), "no ***|***|***, no");
    assert_eq!(hidden(["correct-horse", "", "correct-horse"], false), "***||***");
    assert_eq!(hidden(["no", "no", "no corr"], false), "no|no|no corr");
    assert_eq!(hidden(["no", "no co", "rr"], true), "no|no ***|***");
    assert_eq!(hidden(["no", "no", "no"], true), "no|no|no");
}

proptest! {
    #[test]
    fn whatever_the_secret_is_and_however_it_is_cut_it_is_gone(secret in "[^*]{1,12}|[a\u{e4}\u{20ac}]{4,12}", cuts in proptest::collection::vec(0..40_usize, 0..4), before in ".{0,6}", is_broken_off in any::<bool>()) {
        let mask = Mask::new(&credentials("me", &secret));
        let text = format!("{before}{secret}{before}{secret}");
        let mut lines = vec![text.clone()];
        for cut in cuts {
            let last = lines.pop().unwrap();
            let at = (0..=cut.min(last.len())).rev().find(|at| last.is_char_boundary(*at)).unwrap();
            lines.extend([last[..at].to_owned(), last[at..].to_owned()]);
        }
        mask.hide_lines(&mut lines, is_broken_off);
        let bare = secret.trim();
        if bare.len() >= 4 {
            prop_assert!(!lines.concat().contains(bare), "{lines:?}");
            prop_assert!(!mask.hide(&text).contains(bare) && !mask.hide_broken_off(&text).contains(bare));
        }
    }

    #[test]
    fn no_piece_of_a_token_is_left_wherever_and_however_it_stands(token in "[a-zA-Z0-9._/+-]{40,400}", before in ".{0,9}", behind in ".{0,9}", from in 0..8_usize, capitals in any::<bool>()) {
        let mask = Mask::new(&secret("me", Secret::token(token.clone())));
        let whole = format!("{before}{token}{behind}");
        let encoded = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, &whole);
        for text in [whole.as_str(), &encoded, &format!("{before}{}", &token[from..])] {
            let text = if capitals { text.to_ascii_uppercase() } else { text.to_owned() };
            let shown = mask.hide(&text).to_ascii_lowercase();
            for piece in [&token[..], &encoded[16..encoded.len() - 16]] {
                prop_assert!(!shown.contains(&piece[piece.len() - 12..].to_ascii_lowercase()), "{text}: {shown}");
            }
        }
    }
}
