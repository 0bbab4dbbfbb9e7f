//! Which mechanism does an account name, and does that fit what it has to log in with? (sealpost.toml(5), ACCOUNTS: AUTH)

use super::{
    Auth, SecretSource, Target, Tls, WITHOUT_GSSAPI,
    section::Section,
    values::{self, Fault},
};
use crate::{
    error::Error,
    smtp::sasl::{Choice, Kind, Mechanism},
};

/// The mechanism that `text` names.
pub(super) fn mechanism(text: &str) -> Result<Choice, Fault> {
    let mut words = vec![("auto", Choice::Auto)];
    words.extend(Mechanism::BEST_FIRST.map(|mechanism| (mechanism.name(), Choice::Only(mechanism))));
    let name = text.to_ascii_uppercase();
    values::word(if name == "AUTO" { "auto" } else { &name }, &words)
}

/// Refuses a mechanism that could never use what the account has: better now than at three in the morning.
pub(super) fn refuse_misfit(section: &Section<'_>, target: &Target, tls: &Tls, auth: &Auth) -> Result<(), Error> {
    let Some(found) = section.parsed("mechanism", mechanism)? else { return Ok(()) };
    let Choice::Only(mechanism) = found.value else { return Ok(()) };
    let name = mechanism.name();
    let kind = auth.source.kind();
    let fault = if mechanism == Mechanism::Gssapi && !cfg!(feature = "gssapi") {
        Fault::new(WITHOUT_GSSAPI).hint("build one with `cargo build --release --features gssapi`, or use another mechanism")
    } else if mechanism == Mechanism::Gssapi && is_nameless(target, tls) {
        Fault::new("GSSAPI takes a ticket for the server by its name, and it has none here")
            .hint("write the name as `host`, or as `server_name` in the table `tls`")
    } else if mechanism.binds() && !tls.demand.policy.wants_tls() {
        let unbound = name.trim_end_matches("-PLUS");
        Fault::new(format!("{name} binds the login to TLS, and the TLS policy is \"off\"")).hint(format!("use \"{unbound}\""))
    } else if mechanism == Mechanism::External && tls.client_identity.is_none() {
        Fault::new("EXTERNAL logs in by a client certificate, and there is none").hint("add `client_cert` to the table `tls`")
    } else if mechanism == Mechanism::External && !tls.demand.policy.wants_tls() {
        Fault::new("EXTERNAL shows a certificate in TLS, and the TLS policy is \"off\"").hint("set the policy to \"required\"")
    } else if mechanism.takes() == kind {
        return Ok(());
    } else {
        match mechanism.takes() {
            Kind::Token => Fault::new(format!("{name} takes an access token, and the account has a password"))
                .hint("say with `token_command` or `oauth` where the token comes from, in place of the password"),
            Kind::Password => Fault::new(format!("{name} takes a password, and the account has an access token"))
                .hint("leave `mechanism` out, or use \"OAUTHBEARER\" or \"XOAUTH2\""),
            Kind::Ticket => Fault::new(format!("{name} takes no secret: a Kerberos ticket says who it is"))
                .hint("leave the secret out, or `mechanism`"),
            Kind::Nothing => Fault::new(format!("{name} takes no secret: the client certificate says who it is"))
                .hint("leave the secret out, or `mechanism`"),
        }
    };
    Err(found.error(fault))
}

/// Whether nothing says what the server is called.
fn is_nameless(target: &Target, tls: &Tls) -> bool {
    matches!(target, Target::Address(..) | Target::Unix(_)) && tls.server_name.is_none()
}

/// Where the secret is, where the account does not say: nowhere for a certificate, with the system for a ticket, else on the terminal.
pub(super) fn unsaid(choice: Choice) -> SecretSource {
    match choice {
        Choice::Only(Mechanism::External) => SecretSource::Nowhere,
        Choice::Only(Mechanism::Gssapi) => SecretSource::Ticket,
        _ => SecretSource::Prompt,
    }
}
