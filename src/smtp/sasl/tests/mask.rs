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
        ("AUTH PLAIN AG1lAHBhc3MtdzByZA==", "AUTH PLAIN ***=="),
        ("cGFzcy13MHJk", "***"),
    ] {
        assert_eq!(mask.hide(text), wanted);
    }
    assert_eq!(format!("{mask:?}"), "***");
    assert_eq!(Mask::default().hide("pass-w0rd"), "pass-w0rd");
    assert_eq!(Mask::new(&credentials("me", "")).hide("AG1lAA"), "***");
    let token = secret("me@a.test", Secret::token("ya29.token".to_owned()));
    let mask = Mask::new(&token);
    for (mechanism, shown) in [(Mechanism::Xoauth2, "***"), (Mechanism::OauthBearer, "***")] {
        let said = begin(mechanism, &token, &permit(true)).unwrap().initial(500).unwrap();
        let told = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, &said);
        assert_eq!(mask.hide(&told).trim_end_matches('='), shown);
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
