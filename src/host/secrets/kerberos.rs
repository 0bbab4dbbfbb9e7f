//! Is there a ticket for the server, and what does it say? (RFC 4121, 2743; krb5.conf(5), by way of the system's GSSAPI)
//!
//! The library finds the tickets, asks the KDC and makes the tokens: where from is the matter of krb5.conf, `KRB5CCNAME` and the
//! rest of Kerberos, as with every other program. No password is read here. Delegation is never asked for: the server gets no
//! ticket of ours to go on with.

use std::sync::Arc;

use libgssapi::{
    context::{ClientCtx, CtxFlags, SecurityContext as _},
    credential::{Cred, CredUsage},
    error::Error as Failure,
    name::Name,
    oid::{GSS_MECH_KRB5, GSS_NT_HOSTBASED_SERVICE, OidSet},
};
use zeroize::Zeroizing;

use super::Errand;
use crate::{
    error::{Error, Exit},
    host::config::Target,
    smtp::sasl::{
        Message, Secret,
        gssapi::{Context, Holder, NoTicket, Step, Tickets},
    },
};

/// Major codes, where RFC 2744 section 3.9.1 puts them.
const ROUTINE_ERROR: u32 = 16;
const NO_CRED: u32 = 7;
const CREDENTIALS_EXPIRED: u32 = 11;

/// Where the minor codes of Kerberos begin in both MIT's and Heimdal's library; the errors of RFC 4120 section 7.5.9 follow.
const KERBEROS: u32 = 0x96c7_3a00;
const CLIENT_UNKNOWN: u32 = 6;
const SERVICE_UNKNOWN: u32 = 7;
const CLIENT_REVOKED: u32 = 18;
const TICKET_EXPIRED: u32 = 32;
const SKEW: u32 = 37;

const KINIT: &str = "run `kinit`, and see with `klist` that KRB5CCNAME is the same here; what runs without anybody, like cron, takes a \
    keytab (KRB5_CLIENT_KTNAME)";
const SPELLING: &str = "the realm must know the server by the name of host or server_name, as smtp/NAME: `kvno smtp/NAME` tries that; of \
    another realm, get a ticket with `kinit USER@REALM`";
const CLIENT: &str = "the realm does not know this user, or not any more: ask its administrator";
const CLOCK: &str = "Kerberos allows five minutes: set the clock of this machine";
const KDC: &str = "`kvno smtp/NAME` asks for the same ticket; krb5.conf(5) says where the KDC of a realm is";

/// The server must prove who it is, and its offer of layers must come whole. No confidentiality: that is what TLS is for.
const WANTED: CtxFlags = CtxFlags::GSS_C_MUTUAL_FLAG.union(CtxFlags::GSS_C_INTEG_FLAG);

struct Kerberos {
    /// `server_name` of the account.
    name: Option<String>,
    holder: Holder,
}

struct Conversation(ClientCtx);

/// The tickets of the caller. That there is one for this server is found out here, before anybody connects to it; a server that the
/// DNS is yet to name is not asked for.
///
/// # Errors
/// `EX_TEMPFAIL`: there is no ticket, or it is expired, or no KDC can be reached. `EX_NOPERM`: the KDC gives none.
pub(super) fn fetch(errand: &Errand<'_>) -> Result<Secret, Error> {
    let name = errand.account.tls.server_name.clone();
    let host = match &errand.account.target {
        Target::Name(host, _) => Some(host.clone()),
        Target::Address(..) | Target::Unix(_) | Target::Service(_) => None,
    };
    let holder = look(errand, name.clone().or(host).as_deref())?;
    Ok(Secret::tickets_of(Arc::new(Kerberos { name, holder })))
}

/// Whose tickets there are; with `host`, and one for the service `smtp` there.
///
/// # Errors
/// Those of [`fetch`].
pub(super) fn look(errand: &Errand<'_>, host: Option<&str>) -> Result<Holder, Error> {
    holder(host).map_err(|why| {
        let exit = if why.lasting { Exit::NoPerm } else { Exit::TempFail };
        Error::new(exit, errand.doing(), why.because).hint(why.hint)
    })
}

fn holder(host: Option<&str>) -> Result<Holder, NoTicket> {
    let tickets = own()?;
    // First, for of several caches the library takes the one that fits the server.
    if let Some(host) = host {
        begin(tickets.clone(), host)?;
    }
    let about = tickets.info().map_err(|failure| missing("no ticket", failure))?;
    Ok(Holder { principal: about.name.to_string(), lifetime: about.lifetime })
}

/// All that the caller has, or a keytab can get.
fn own() -> Result<Cred, NoTicket> {
    let kerberos = OidSet::singleton(GSS_MECH_KRB5);
    let own = kerberos.and_then(|kerberos| Cred::acquire(None, None, CredUsage::Initiate, Some(&kerberos)));
    own.map_err(|failure| missing("no ticket", failure))
}

fn begin(tickets: Cred, host: &str) -> Result<(ClientCtx, Message), NoTicket> {
    let service = format!("smtp@{host}");
    let missing = |failure| missing(&format!("no ticket for {service}"), failure);
    let name = Name::new(service.as_bytes(), Some(GSS_NT_HOSTBASED_SERVICE)).map_err(missing)?;
    let mut context = ClientCtx::new(Some(tickets), name, WANTED, Some(GSS_MECH_KRB5));
    let token = context.step(None, None).map_err(missing)?;
    let token = token.map(|token| Zeroizing::new(token.to_vec())).unwrap_or_default();
    Ok((context, token))
}

impl Tickets for Kerberos {
    fn holder(&self) -> &Holder {
        &self.holder
    }

    fn present(&self, host: Option<&str>) -> Result<(Box<dyn Context>, Message), NoTicket> {
        let nameless = || NoTicket { because: "no ticket: the server has no name".to_owned(), hint: SPELLING, lasting: true };
        let host = self.name.as_deref().or(host).ok_or_else(nameless)?;
        let (context, token) = begin(own()?, host)?;
        Ok((Box::new(Conversation(context)), token))
    }
}

impl Context for Conversation {
    fn step(&mut self, token: &[u8]) -> Result<Step, String> {
        let said = self.0.step(Some(token), None).map_err(words)?;
        let said = said.map(|said| Zeroizing::new(said.to_vec())).unwrap_or_default();
        if !self.0.is_complete() {
            return Ok(Step::Continue(said));
        }
        if !self.0.flags().map_err(words)?.contains(WANTED) {
            return Err("the context proves nothing of the server".to_owned());
        }
        Ok(Step::Done(said))
    }

    fn unwrap(&mut self, token: &[u8]) -> Result<Message, String> {
        self.0.unwrap(token).map(|text| Zeroizing::new(text.to_vec())).map_err(words)
    }

    fn wrap(&mut self, text: &[u8]) -> Result<Message, String> {
        self.0.wrap(false, text).map(|token| Zeroizing::new(token.to_vec())).map_err(words)
    }
}

fn missing(what: &str, failure: Failure) -> NoTicket {
    let routine = failure.major.bits() >> ROUTINE_ERROR & 0xff;
    let (hint, lasting) = match failure.minor.wrapping_sub(KERBEROS) {
        _ if matches!(routine, NO_CRED | CREDENTIALS_EXPIRED) => (KINIT, false),
        TICKET_EXPIRED => (KINIT, false),
        SERVICE_UNKNOWN => (SPELLING, true),
        CLIENT_UNKNOWN | CLIENT_REVOKED => (CLIENT, true),
        SKEW => (CLOCK, false),
        _ => (KDC, false),
    };
    NoTicket { because: format!("{what}: {}", words(failure)), hint, lasting }
}

/// What Kerberos says, where it says anything; else what GSSAPI does, whose sentences are general.
fn words(failure: Failure) -> String {
    let text = failure.to_string();
    match text.split_once(" (").map(|(general, special)| (general, special.strip_suffix(')').unwrap_or(special))) {
        Some((_, special)) if !matches!(special, "Success" | "Unknown error" | "") => special.to_owned(),
        Some((general, _)) => general.to_owned(),
        None => text,
    }
}
