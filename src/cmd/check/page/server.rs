//! How is one session told: what the server said, its certificates, and what each kind of trust says of them? (80 columns)

use std::time::Duration;

use jiff::Timestamp;

use super::sheet::{Ink, Style, TIED, milliseconds};
use crate::{
    cmd::check::{
        opinions::Opinion,
        say::{days_left, octets, pin},
        seen::Visit,
    },
    host::probe::{Offer, Seal},
    mail::tls::{Certificate, Facts, Standing},
};

/// Names of a certificate, and words of a server, that are shown in one row.
const MOST: usize = 12;
/// What a fact is called that the TLS library keeps to itself.
const UNTOLD: &str = "not told by this backend";
/// What EHLO may offer that a send makes use of.
const USEFUL: [&str; 9] = ["STARTTLS", "PIPELINING", "CHUNKING", "8BITMIME", "SMTPUTF8", "DSN", "REQUIRETLS", "SIZE", "AUTH"];

impl Style {
    pub(super) fn visit(self, Visit { sight, opinions, hides_chain }: &Visit, now: Timestamp) -> String {
        let mut text = sight.greeting.as_ref().map_or_else(String::new, |greeting| self.row("greeting", greeting));
        text += &self.row("steps", &steps(&sight.steps));
        if let Some(offer) = &sight.clear {
            text += &self.row(if sight.tls.is_some() { "before TLS" } else { "offers" }, &keywords(offer));
        }
        if let Some(tls) = &sight.tls {
            text += &self.row("TLS", &facts(&tls.facts));
            if let Some(offer) = &sight.sealed {
                let is_starttls = |line: &&String| line.trim().eq_ignore_ascii_case("STARTTLS");
                let before = sight.clear.iter().flat_map(|offer| &offer.lines).filter(|line| !is_starttls(line));
                let same = sight.clear.is_some() && before.eq(&offer.lines);
                text += &self.row("under TLS", &if same { "the same but for STARTTLS".to_owned() } else { keywords(offer) });
            }
            text += &self.chain(tls, now);
            if *hides_chain {
                text += &self.row("", &format!("the rest is {UNTOLD}"));
            }
            text += &self.opinions(tls, opinions);
        }
        text
    }

    fn chain(self, tls: &Seal, now: Timestamp) -> String {
        if tls.chain.is_empty() {
            return self.row("chain", "the server showed no certificate");
        }
        let mut text = String::new();
        for (index, certificate) in tls.chain.iter().enumerate() {
            let label = if index == 0 { "chain" } else { "" };
            text += &self.certificate(label, index + 1, certificate, now);
        }
        match tls.ders.len().saturating_sub(tls.chain.len()) {
            0 => text,
            more => text + &self.row("", &format!("and {more} more")),
        }
    }

    fn certificate(self, label: &str, number: usize, certificate: &Certificate, now: Timestamp) -> String {
        let or = |text: &str, other: &str| if text.is_empty() { other.to_owned() } else { text.to_owned() };
        let mut text = self.row(label, &format!("{number}. {}", or(&certificate.subject, "(no subject)")));
        if !certificate.names.is_empty() {
            let names: Vec<String> = certificate.names.iter().take(MOST).cloned().collect();
            text += &self.keyed("names", &with_rest(&names, ", ", certificate.names.len()));
        } else if number == 1 {
            text += &self.keyed("names", "none (subjectAltName)");
        }
        text += &self.keyed("issuer", &or(&certificate.issuer, "(no issuer)"));
        text + &self.keyed("valid", &validity(certificate, now))
    }

    /// What every kind of trust says, and the lines that would pin this server.
    fn opinions(self, tls: &Seal, opinions: &[Opinion]) -> String {
        let mut text = String::new();
        for (index, opinion) in opinions.iter().enumerate() {
            let (told, ink) = told(opinion);
            text += &self.inked(if index == 0 { "trust" } else { "" }, opinion.name, (&told, ink));
        }
        let digests = tls.chain.first().map(|leaf| [("by its key", &leaf.spki_sha256), ("by itself", &leaf.sha256)]);
        for (label, digest) in digests.into_iter().flatten() {
            text += &pin(digest).map_or_else(String::new, |pin| self.row(label, &format!("pins = [\"{pin}\"]")));
        }
        text
    }
}

fn facts(facts: &Facts) -> String {
    let known = [("version", &facts.version), ("cipher", &facts.cipher), ("group", &facts.group)];
    let (told, untold): (Vec<_>, Vec<_>) = known.iter().partition(|(_, fact)| fact.is_some());
    let mut words: Vec<String> = told.iter().filter_map(|(_, fact)| (*fact).clone()).collect();
    words.extend(untold.iter().map(|(name, _)| format!("{name} {UNTOLD}")));
    words.join(", ")
}

/// What EHLO said, in the words of EHLO: what a send makes use of first.
fn keywords(offer: &Offer) -> String {
    let server = &offer.known;
    let flags = [
        (server.starttls, "STARTTLS"),
        (server.pipelining, "PIPELINING"),
        (server.chunking, "CHUNKING"),
        (server.eight_bit, "8BITMIME"),
        (server.smtputf8, "SMTPUTF8"),
        (server.dsn, "DSN"),
        (server.requiretls, "REQUIRETLS"),
    ];
    let mut words: Vec<String> = flags.into_iter().filter(|(known, _)| *known).map(|(_, word)| word.to_owned()).collect();
    words.extend(server.size.map(|size| format!("SIZE {}", octets(size)).replace(' ', &TIED.to_string())));
    if !server.auth.is_empty() {
        let names: Vec<String> = server.auth.iter().take(MOST).cloned().collect();
        words.push(format!("AUTH {}", with_rest(&names, " ", server.auth.len())));
    }
    if words.is_empty() {
        words.push("nothing of use".to_owned());
    }
    let useful = |line: &&String| {
        let word = line.split([' ', '\t', '=']).next().unwrap_or_default();
        word.is_empty() || USEFUL.iter().any(|useful| useful.eq_ignore_ascii_case(word))
    };
    let rest: Vec<String> = offer.lines.iter().filter(|line| !useful(line)).cloned().collect();
    if !rest.is_empty() {
        words.push(format!("and {}", with_rest(rest.get(..MOST).unwrap_or(&rest), ", ", rest.len())));
    }
    words.join(", ")
}

/// What is shown of a list of `all`.
fn with_rest(shown: &[String], between: &str, all: usize) -> String {
    let list = shown.join(between);
    match all.saturating_sub(shown.len()) {
        0 => list,
        more => format!("{list}{between}and {more} more"),
    }
}

fn validity(certificate: &Certificate, now: Timestamp) -> String {
    let day = |date: &str| date.get(..10).map_or_else(|| "?".to_owned(), str::to_owned);
    let left = |date: &str| days_left(date, now);
    let remark = match (left(&certificate.not_before), left(&certificate.not_after)) {
        (_, Some(days)) if days < 0 => " (expired)".to_owned(),
        (Some(days), _) if days >= 0 => " (not yet)".to_owned(),
        (_, Some(1)) => " (1 day left)".to_owned(),
        (_, Some(days)) => format!(" ({days} days left)"),
        (_, None) => " (dates can't be read)".to_owned(),
    };
    format!("{} to {}{remark}", day(&certificate.not_before), day(&certificate.not_after))
}

fn told(opinion: &Opinion) -> (String, Ink) {
    match &opinion.says {
        Ok(Ok(Standing::Proven)) => ("trusted".to_owned(), Ink::Good),
        Ok(Ok(Standing::FirstUse)) => ("met for the first time: its key would be remembered".to_owned(), Ink::Doubtful),
        Ok(Ok(Standing::Unchecked)) => ("encrypted, whoever it is: never called verified".to_owned(), Ink::Plain),
        Ok(Err(_)) if opinion.name == "pin" => ("none of the pins is this server's".to_owned(), Ink::Bad),
        Ok(Err(finding)) => (finding.to_string(), Ink::Bad),
        Err(why) => (why.clone(), Ink::Plain),
    }
}

/// Each step with its time; the exchanges of one AUTH are one step.
fn steps(steps: &[(String, Duration)]) -> String {
    let mut told: Vec<String> = Vec::new();
    for same in steps.chunk_by(|one, next| one.0 == next.0) {
        let took = same.iter().map(|(_, took)| *took).sum();
        let name = same.first().map(|(name, _)| name.as_str()).unwrap_or_default();
        told.push(format!("{name}{TIED}{}", milliseconds(took)));
    }
    if told.is_empty() { "the server said nothing".to_owned() } else { told.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::{super::sheet::INDENT, *};
    use crate::smtp::reply::Capabilities;

    #[test]
    fn a_pin_fits_into_its_row_and_is_the_digest() {
        let digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let pin_line = pin(digest).unwrap();
        assert_eq!(pin_line, "sha256:ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=");
        assert!(format!("pins = [\"{pin_line}\"]").len() <= 80 - INDENT);
        assert_eq!((pin(""), pin("zz"), pin("ää")), (None, None, None));
    }

    #[test]
    fn what_a_send_uses_comes_first_and_the_rest_is_not_hidden() {
        let known =
            Capabilities { starttls: true, size: Some(10 << 20), auth: vec!["PLAIN".to_owned()], ..Capabilities::default() };
        let lines = ["VRFY", "STARTTLS", "size 10485760", "AUTH=PLAIN", "LIMITS RCPTMAX=100"].map(str::to_owned).to_vec();
        let told = keywords(&Offer { known, lines }).replace(TIED, " ");
        assert_eq!(told, "STARTTLS, SIZE 10 MiB, AUTH PLAIN, and VRFY, LIMITS RCPTMAX=100");
        let many = Offer { known: Capabilities::default(), lines: vec!["X-SPAM".to_owned(); 200] };
        assert!(keywords(&many).ends_with("X-SPAM, and 188 more"), "{}", keywords(&many));
        assert_eq!(keywords(&Offer::default()), "nothing of use");
    }

    #[test]
    fn what_the_backend_hides_is_said_to_be_hidden() {
        let some = Facts { version: Some("TLSv1.3".to_owned()), ..Facts::default() };
        assert_eq!(facts(&some), "TLSv1.3, cipher not told by this backend, group not told by this backend");
    }

    #[test]
    fn validity_is_told_with_what_is_left_of_it() {
        let now: Timestamp = "2026-11-23T12:00:00Z".parse().unwrap();
        for (before, after, remark) in [
            ("2026-01-01T00:00:00Z", "2026-12-02T12:00:00Z", "(9 days left)"),
            ("2026-01-01T00:00:00Z", "2026-11-24T12:00:00Z", "(1 day left)"),
            ("2026-01-01T00:00:00Z", "2026-11-23T11:59:59Z", "(expired)"),
            ("2026-11-24T00:00:00Z", "2027-01-01T00:00:00Z", "(not yet)"),
            ("", "", "(dates can't be read)"),
        ] {
            let certificate = Certificate { not_before: before.to_owned(), not_after: after.to_owned(), ..Certificate::default() };
            let told = validity(&certificate, now);
            assert!(told.ends_with(remark), "{told}");
        }
    }
}
