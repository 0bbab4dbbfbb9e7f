//! Which mechanism is chosen, and may it show the secret?

use super::{super::choose, ticket::pretend, *};
use crate::mail::policy::{Next, Prior, after_ehlo};

/// Offered, the account's choice, its secret, whether the server is verified, whether TLS can be bound to, what is chosen.
type Case<'a> = (&'a [&'a str], Choice, Kind, bool, bool, Result<Mechanism, SaslError>);

#[test]
fn the_strongest_mechanism_that_server_secret_and_connection_allow_is_chosen() {
    use Kind::{Nothing, Password, Ticket, Token};
    use Mechanism::*;
    let (auto, only) = (Choice::Auto, Choice::Only);
    let none = |offered: &str, lacks| Err(SaslError::NotOffered { offered: offered.to_owned(), lacks });
    let all = Mechanism::BEST_FIRST.map(Mechanism::name);
    let hidden = SaslError::NotPermitted;
    let cases: [Case; 38] = [
        (&all, auto, Password, true, true, Ok(ScramSha256Plus)),
        (&all, auto, Password, true, false, Ok(ScramSha256)),
        (&all, auto, Password, false, true, Ok(ScramSha256Plus)),
        (&all, auto, Token, true, true, Ok(OauthBearer)),
        (&all, auto, Token, false, true, Err(hidden(OauthBearer))),
        (&["SCRAM-SHA-256", "SCRAM-SHA-1-PLUS"], auto, Password, true, true, Ok(ScramSha1Plus)),
        (&["SCRAM-SHA-1", "PLAIN", "CRAM-MD5"], auto, Password, true, true, Ok(ScramSha1)),
        (&["PLAIN", "LOGIN", "SCRAM-SHA-256"], auto, Password, true, false, Ok(ScramSha256)),
        (&["CRAM-MD5", "LOGIN", "plain"], auto, Password, true, false, Ok(Plain)),
        (&["CRAM-MD5", "LOGIN"], auto, Password, true, false, Ok(Login)),
        (&["CRAM-MD5"], auto, Password, true, false, Ok(CramMd5)),
        // What is shown to nobody unverified makes room for what shows nothing.
        (&["LOGIN", "PLAIN", "CRAM-MD5"], auto, Password, false, false, Ok(CramMd5)),
        (&["LOGIN", "PLAIN", "scram-sha-256"], auto, Password, false, false, Ok(ScramSha256)),
        (&["LOGIN", "PLAIN"], auto, Password, false, false, Err(hidden(Plain))),
        (&["LOGIN", "XOAUTH2"], auto, Token, true, false, Ok(Xoauth2)),
        (&["LOGIN", "XOAUTH2"], auto, Password, true, false, Ok(Login)),
        (&["XOAUTH2"], auto, Password, true, false, none("XOAUTH2", Some(Token))),
        (&["PLAIN"], auto, Token, true, false, none("PLAIN", Some(Password))),
        (&["GSSAPI", "EXTERNAL"], auto, Password, true, false, none("GSSAPI EXTERNAL", None)),
        (&[], auto, Password, true, false, none("", None)),
        // Bound to what can't be bound to.
        (&["SCRAM-SHA-256-PLUS"], auto, Password, true, false, Err(SaslError::Unbindable(ScramSha256Plus))),
        (&["SCRAM-SHA-256-PLUS", "PLAIN"], auto, Password, false, false, Err(hidden(Plain))),
        (
            &["SCRAM-SHA-256-PLUS", "PLAIN"],
            only(ScramSha256Plus),
            Password,
            true,
            false,
            Err(SaslError::Unbindable(ScramSha256Plus)),
        ),
        // One that is named is taken, or none.
        (&all, only(ScramSha1), Password, true, true, Ok(ScramSha1)),
        (&all, only(CramMd5), Password, false, true, Ok(CramMd5)),
        (&["PLAIN", "SCRAM-SHA-256"], only(Plain), Password, true, false, Ok(Plain)),
        (&["PLAIN", "SCRAM-SHA-256"], only(Plain), Password, false, false, Err(hidden(Plain))),
        (&["PLAIN"], only(ScramSha256), Password, true, false, none("PLAIN", None)),
        (&["OAUTHBEARER", "XOAUTH2"], only(Xoauth2), Token, true, false, Ok(Xoauth2)),
        (&["OAUTHBEARER"], only(OauthBearer), Token, false, false, Err(hidden(OauthBearer))),
        // A certificate shows no secret.
        (&["PLAIN", "EXTERNAL"], only(External), Nothing, true, false, Ok(External)),
        (&["PLAIN", "EXTERNAL"], only(External), Nothing, false, false, Ok(External)),
        (&["PLAIN"], only(External), Nothing, true, false, none("PLAIN", None)),
        // Nor does a ticket.
        (&["PLAIN", "GSSAPI"], only(Gssapi), Ticket, true, false, Ok(Gssapi)),
        (&["PLAIN", "gssapi"], only(Gssapi), Ticket, false, false, Ok(Gssapi)),
        (&["PLAIN", "SCRAM-SHA-256"], only(Gssapi), Ticket, true, true, none("PLAIN SCRAM-SHA-256", None)),
        (&["GSSAPI"], auto, Token, true, false, none("GSSAPI", None)),
        (
            &["GSSAPI"],
            only(Gssapi),
            Password,
            true,
            false,
            Err(SaslError::Unfit("the mechanism takes a Kerberos ticket and no secret")),
        ),
    ];
    for (offered, choice, kind, verified, bindable, expected) in cases {
        let permit = permit(verified);
        let chosen = choose(&Terms { offered, choice, kind, permit: &permit, login: None, bindable });
        assert_eq!(chosen, expected, "{offered:?} {choice:?} {kind:?} verified: {verified} bindable: {bindable}");
    }
}

#[test]
fn a_password_that_scram_has_no_place_for_is_said_otherwise_where_that_is_allowed() {
    let mine = credentials("u", "\u{1f600}");
    let begun = |offered: &[&str], verified, choice| {
        let setting = Setting { offered, permit: &permit(verified), binding: Some(CHANNEL), nonce: &[1; 18] };
        Exchange::begin(&Credentials { choice, ..mine.clone() }, &setting).map(|(mechanism, _)| mechanism)
    };
    let (scram, all) = (["SCRAM-SHA-256-PLUS", "SCRAM-SHA-1"], ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-1", "PLAIN", "CRAM-MD5"]);
    assert_eq!(begun(&all, true, Choice::Auto), Ok(Mechanism::Plain));
    assert_eq!(begun(&all, false, Choice::Auto), Ok(Mechanism::CramMd5));
    assert_eq!(begun(&all[..3], false, Choice::Auto), Err(SaslError::NotPermitted(Mechanism::Plain)));
    for (offered, choice) in [(&scram[..], Choice::Auto), (&all, Choice::Only(Mechanism::ScramSha1))] {
        let error = begun(offered, true, choice).unwrap_err();
        assert!(error.to_string().contains("SASLprep") && error.advice().is_some_and(|advice| advice.contains("PLAIN")));
    }
}

#[test]
fn what_is_in_the_clear_shows_no_certificate() {
    let demand = Demand::new(Policy::Off, Trust::System, Start::Starttls);
    let Next::Clear(met) = after_ehlo(demand, false, &Prior::default()) else { panic!() };
    let rule = SecretRule { allow_unverified: false, explicit_mechanism: true };
    let permit = may_authenticate(&met, Reach::Local, rule).unwrap();
    let choice = Choice::Only(Mechanism::External);
    let (offered, kind) = (&["EXTERNAL"][..], Kind::Nothing);
    let terms = Terms { offered, choice, kind, permit: &permit, login: None, bindable: false };
    assert!(matches!(choose(&terms), Err(SaslError::Unfit(_))));
}

#[test]
fn an_exchange_that_would_show_the_secret_can_not_even_be_made_without_permission() {
    for mechanism in Mechanism::BEST_FIRST {
        let mine = match mechanism.takes() {
            Kind::Password => credentials("u", "p"),
            Kind::Token => secret("u", Secret::token("t".to_owned())),
            Kind::Ticket => Credentials { choice: Choice::Only(mechanism), ..secret("u", pretend::secret(1)) },
            Kind::Nothing => Credentials { choice: Choice::Only(mechanism), ..secret("u", Secret::nothing()) },
        };
        assert_eq!(begin(mechanism, &mine, &permit(false)).is_ok(), !mechanism.shows_secret(), "{mechanism:?}");
        assert!(begin(mechanism, &mine, &permit(true)).is_ok(), "{mechanism:?}");
    }
}
