//! What can a person do about a server's refusal? (RFC 4954 section 6, RFC 5248; the words of Google, Microsoft and others)
//!
//! One table: the first row that fits gives the sentence. What big providers say is known by their code and a word of their text,
//! because the same code means different things; a code that the RFC explains has a row without words behind them.

use super::sasl::{Complaint, Kind, Mechanism};
use crate::mail::outcome::Reply;

/// Advice after a login that was refused by `reply`, or that ended with `complaint` alone.
pub fn after_login(mechanism: Mechanism, reply: Option<&Reply>, complaint: Option<&Complaint>) -> Option<&'static str> {
    let words = complaint.map(|complaint| complaint.text().to_ascii_lowercase()).unwrap_or_default();
    let said = COMPLAINTS.iter().find(|(word, _)| words.contains(word)).map(|(_, advice)| *advice);
    said.or_else(|| look_up(reply?, |when| when == Anytime || fits(when, mechanism)))
        .or_else(|| (complaint.is_some() && mechanism.takes() == Kind::Token).then_some(TOKEN))
}

/// Advice after anything else was refused: the connection, MAIL, a recipient, the message.
pub fn after_refusal(reply: &Reply) -> Option<&'static str> {
    look_up(reply, |when| when == Anytime)
}

/// What a refusal must have been about for a row to fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    Anytime,
    Login,
    Password,
    Token,
    Certificate,
    Ticket,
}

struct Row {
    when: When,
    code: u16,
    /// `5.7.8` as three numbers; `None` for any or none.
    enhanced: Option<(u8, u16, u16)>,
    /// Lower case; empty for any text.
    words: &'static str,
    advice: &'static str,
}

const fn row(when: When, code: u16, enhanced: Option<(u8, u16, u16)>, words: &'static str, advice: &'static str) -> Row {
    Row { when, code, enhanced, words, advice }
}

const APP_PASSWORD: &str = "Google takes no account password here: turn on 2-step verification and make an app password \
    (myaccount.google.com/apppasswords), or log in by token_command";
const NO_PASSWORDS: &str = "Microsoft takes no passwords here any more: log in by an access token (token_command), or send through a \
    relay that takes passwords";
const NO_SMTP: &str = "the administrator of this Microsoft 365 must allow Authenticated SMTP for the mailbox or the tenant \
    (aka.ms/smtp_auth_disabled); another password does not help";
const POLICY: &str = "a rule of this Microsoft 365 forbids the login (security defaults or conditional access): its administrator can \
    say which; another password does not help";
const BROWSER: &str =
    "Google wants to see you first: log in to the account with a web browser, confirm that it was you, then try again";
const TOO_MANY: &str =
    "too many logins in a short time: nothing is wrong with the password; wait, and let fewer mails log in at once";
const NOT_NOW: &str = "the server can't check logins just now; nothing says that the password is wrong: try again later";
const LOG_IN: &str = "the server wants a login: add user and password to [accounts.NAME.auth]; if they are there, check that they are of \
    this account";
const SEAL: &str =
    "the server wants TLS first: set policy = \"required\", and start as the port wants it (587: starttls, 465: implicit)";
const TOO_WEAK: &str = "the server wants a stronger mechanism: leave mechanism out, to take the best that both sides know";
const ONCE_IN_PLAIN: &str =
    "the server needs the password itself once: set mechanism = \"PLAIN\" for one mail, then leave it out again";
const PASSWORD: &str = "user or password is wrong, or the provider wants an app password; correct it before the next try, since many \
    servers lock an account after a few";
const TOKEN: &str = "the access token is expired, or is not for this user or not for sending mail (its scope): see what token_command \
    prints";
const CERTIFICATE: &str = "the server does not know the client certificate, or not as this user";

const TICKET: &str = "the server does not take the ticket: may this principal send as this user, has its keytab the key of smtp/HOST by \
    the name of host or server_name, and are the clocks right? `klist` shows the tickets";

use When::{Anytime, Certificate, Login, Password, Ticket, Token};

static TABLE: [Row; 25] = [
    row(Password, 535, Some((5, 7, 8)), "badcredentials", APP_PASSWORD),
    row(Password, 535, Some((5, 7, 8)), "google", APP_PASSWORD),
    row(Login, 534, Some((5, 7, 9)), "application-specific", APP_PASSWORD),
    row(Login, 534, Some((5, 7, 9)), "invalidsecondfactor", APP_PASSWORD),
    row(Login, 534, Some((5, 7, 14)), "", BROWSER),
    row(Login, 534, None, "web browser", BROWSER),
    row(Login, 535, Some((5, 7, 139)), "smtpclientauthentication is disabled", NO_SMTP),
    row(Login, 535, Some((5, 7, 139)), "basic authentication is disabled", NO_PASSWORDS),
    row(Login, 535, Some((5, 7, 139)), "did not meet the criteria", POLICY),
    row(Login, 535, Some((5, 7, 139)), "locked", "the account is locked: unlock it in a web browser, or ask its administrator"),
    row(Anytime, 550, Some((5, 7, 30)), "", NO_PASSWORDS),
    row(Anytime, 530, Some((5, 7, 57)), "", LOG_IN),
    row(Anytime, 530, None, "starttls", SEAL),
    row(Anytime, 530, None, "tls", SEAL),
    row(Anytime, 530, None, "", LOG_IN),
    row(Login, 454, None, "too many", TOO_MANY),
    row(Login, 421, None, "too many", TOO_MANY),
    row(Login, 454, None, "", NOT_NOW),
    row(Login, 432, None, "", ONCE_IN_PLAIN),
    row(Login, 534, None, "", TOO_WEAK),
    row(Login, 538, None, "", SEAL),
    row(Password, 535, None, "", PASSWORD),
    row(Token, 535, None, "", TOKEN),
    row(Certificate, 535, None, "", CERTIFICATE),
    row(Ticket, 535, None, "", TICKET),
];

/// Words of a mechanism's own error, in lower case: SCRAM (RFC 5802 section 7) and OAuth (RFC 7628 section 3.2.2, RFC 6750).
static COMPLAINTS: [(&str, &str); 6] = [
    (
        "channel-bindings-dont-match",
        "the login came to the server over another TLS connection than it left here by: somebody relays it; check the certificate",
    ),
    (
        "server-does-support-channel-binding",
        "somebody on the way took the mechanisms that would have betrayed him (SCRAM-...-PLUS) out of the server's offer",
    ),
    ("unsupported-channel-binding-type", "the server binds logins in another way than RFC 9266: name the mechanism without -PLUS"),
    ("invalid-proof", PASSWORD),
    ("insufficient_scope", "the access token is not for sending mail: it must be asked for with the scope that the server names"),
    ("invalid_token", TOKEN),
];

fn look_up(reply: &Reply, when: impl Fn(When) -> bool) -> Option<&'static str> {
    let text = reply.text().to_ascii_lowercase();
    let enhanced = reply.enhanced.map(|code| (code.class, code.subject, code.detail));
    let fits = |row: &&Row| {
        let same = row.code == reply.code && (row.enhanced.is_none() || row.enhanced == enhanced);
        same && when(row.when) && text.contains(row.words)
    };
    TABLE.iter().find(fits).map(|row| row.advice)
}

fn fits(when: When, mechanism: Mechanism) -> bool {
    when == Login
        || when
            == match mechanism.takes() {
                Kind::Password => Password,
                Kind::Token => Token,
                Kind::Ticket => Ticket,
                Kind::Nothing => Certificate,
            }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::smtp::reply::Parser;

    /// The reply as a server says it, each line ended by LF.
    fn reply(text: &str) -> Reply {
        let mut parser = Parser::default();
        parser.push(format!("{text}\n").as_bytes());
        parser.next_reply().unwrap().unwrap()
    }

    #[test]
    fn what_people_meet_at_a_login_is_explained() {
        use Mechanism::{Login, Plain, ScramSha256, Xoauth2};
        for (mechanism, said, advice) in [
            (
                Plain,
                "535-5.7.8 Username and Password not accepted. For more information, go to\n535 5.7.8  https://support.google.com/mail/?p=BadCredentials ab12-20020a05 - gsmtp",
                APP_PASSWORD,
            ),
            (
                Plain,
                "534-5.7.9 Application-specific password required. For more information, go to\n534 5.7.9  https://support.google.com/mail/?p=InvalidSecondFactor x - gsmtp",
                APP_PASSWORD,
            ),
            (
                Plain,
                "534-5.7.14 <https://accounts.google.com/signin/continue?sarp=1> Please\n534-5.7.14 log in via your web browser and then try again.\n534 5.7.14  Learn more at https://support.google.com/mail/answer/78754 x - gsmtp",
                BROWSER,
            ),
            (Plain, "454 4.7.0 Too many login attempts, please try again later. x - gsmtp", TOO_MANY),
            (Plain, "421 4.7.0 Too many errors", TOO_MANY),
            (
                Login,
                "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant. Visit https://aka.ms/smtp_auth_disabled for more information. [AM0PR.EURPRD10.PROD.OUTLOOK.COM]",
                NO_SMTP,
            ),
            (Xoauth2, "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Mailbox.", NO_SMTP),
            (Login, "535 5.7.139 Authentication unsuccessful, basic authentication is disabled. [AM0PR]", NO_PASSWORDS),
            (
                Login,
                "535 5.7.139 Authentication unsuccessful, the request did not meet the criteria to be authenticated successfully. Contact your administrator. [AM0PR]",
                POLICY,
            ),
            (Login, "535 5.7.139 Authentication unsuccessful, the user credentials were incorrect. [AM0PR]", PASSWORD),
            (Login, "550 5.7.30 Basic authentication is not supported for Client Submission. [AM0PR]", NO_PASSWORDS),
            (Login, "535 5.7.3 Authentication unsuccessful [AM0PR]", PASSWORD),
            (Xoauth2, "535 5.7.3 Authentication unsuccessful [AM0PR]", TOKEN),
            (
                Xoauth2,
                "535-5.7.8 Username and Password not accepted. For more information, go to\n535 5.7.8  https://support.google.com/mail/?p=BadCredentials x - gsmtp",
                TOKEN,
            ),
            (ScramSha256, "535 5.7.8 Error: authentication failed: ", PASSWORD),
            (Mechanism::External, "535 5.7.8 Error: authentication failed", CERTIFICATE),
            (Mechanism::Gssapi, "535 5.7.8 Authentication failed.", TICKET),
            (Plain, "454 4.7.0 Temporary authentication failure: Connection lost to authentication server", NOT_NOW),
            (Mechanism::CramMd5, "432 4.7.12 A password transition is needed", ONCE_IN_PLAIN),
            (Plain, "534 5.7.9 Authentication mechanism is too weak", TOO_WEAK),
            (Plain, "538 5.7.11 Encryption required for requested authentication mechanism", SEAL),
            (Plain, "530 5.7.0 Must issue a STARTTLS command first", SEAL),
        ] {
            assert_eq!(after_login(mechanism, Some(&reply(said)), None), Some(advice), "{mechanism:?} {said}");
        }
        assert_eq!(after_login(Plain, Some(&reply("550 5.1.1 no such user")), None), None);
    }

    #[test]
    fn what_people_meet_without_a_login_is_explained() {
        for (said, advice) in [
            ("530 5.7.57 Client not authenticated to send mail. [AM0PR]", Some(LOG_IN)),
            ("530 5.7.57 SMTP; Client was not authenticated to send anonymous mail during MAIL FROM [AM0PR]", Some(LOG_IN)),
            (
                "530-5.7.0 Authentication Required. For more information, go to\n530 5.7.0  https://support.google.com/mail/?p=WantAuthError x - gsmtp",
                Some(LOG_IN),
            ),
            ("530 Authentication required", Some(LOG_IN)),
            ("530 5.7.0 Must issue a STARTTLS command first. x - gsmtp", Some(SEAL)),
            ("550 5.7.30 Basic authentication is not supported for Client Submission. [AM0PR]", Some(NO_PASSWORDS)),
            // Not about a login, whatever the number means there.
            ("454 4.7.1 <you@b.test>: Relay access denied", None),
            ("535 5.7.8 no", None),
            ("550 5.1.1 no such user", None),
            ("250 2.0.0 starttls", None),
        ] {
            assert_eq!(after_refusal(&reply(said)), advice, "{said}");
        }
    }

    #[test]
    fn a_mechanism_s_own_error_is_told_before_the_reply() {
        let no = reply("535 5.7.8 no");
        for (mechanism, word, advice) in [
            (Mechanism::ScramSha256Plus, "channel-bindings-dont-match", COMPLAINTS[0].1),
            (Mechanism::ScramSha256, "server-does-support-channel-binding", COMPLAINTS[1].1),
            (Mechanism::ScramSha256, "invalid-proof", PASSWORD),
            (Mechanism::OauthBearer, "{\"status\":\"insufficient_scope\",\"scope\":\"mail\"}", COMPLAINTS[4].1),
            (Mechanism::Xoauth2, "{\"status\":\"401\",\"schemes\":\"bearer\"}", TOKEN),
        ] {
            assert_eq!(after_login(mechanism, Some(&no), Some(&Complaint::new(word))), Some(advice), "{word}");
        }
        assert_eq!(after_login(Mechanism::Xoauth2, None, Some(&Complaint::new("INVALID_TOKEN"))), Some(TOKEN));
    }

    #[test]
    fn what_is_permanent_is_never_to_be_tried_again_and_what_passes_is() {
        for row in &TABLE {
            let passes = row.advice.contains("later") || row.advice.contains("wait");
            assert_eq!(passes, row.code < 500 && row.code != 432, "{} {:?}", row.code, row.words);
            assert_eq!(row.words, row.words.to_ascii_lowercase());
            assert!(row.enhanced.is_none_or(|(class, ..)| u16::from(class) == row.code / 100), "{} {:?}", row.code, row.enhanced);
        }
    }

    #[test]
    fn every_row_can_be_reached() {
        for (index, row) in TABLE.iter().enumerate() {
            let hidden = TABLE.iter().take(index).any(|earlier| {
                let wider = earlier.enhanced.is_none() || earlier.enhanced == row.enhanced;
                let same = earlier.when == row.when || earlier.when == Anytime || (earlier.when == Login && row.when != Anytime);
                same && wider && earlier.code == row.code && row.words.contains(earlier.words)
            });
            assert!(!hidden, "row {index}, {} {:?}", row.code, row.words);
        }
    }
}
