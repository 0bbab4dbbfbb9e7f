//! How is told what the DNS says of a server, or why it says nothing? (80 columns)

use super::sheet::{Ink, Style};
use crate::{
    cmd::check::records::Records,
    host::dns::{Dane, Security, Service, Trouble},
    smtp::tlsa::Record,
};

/// Records of one kind that are shown.
const MOST: usize = 8;

impl Style {
    pub(super) fn dns(self, records: &Records) -> String {
        let mut text = match &records.dane {
            Ok(dane) => self.dane(dane),
            Err(trouble) => self.inked("dns", "TLSA", (&unasked(trouble), Ink::Doubtful)),
        };
        text += &match &records.submission {
            Some((_, Ok(services))) if !services.is_empty() => {
                services.iter().map(|service| self.keyed("SRV", &told(service))).collect()
            }
            Some((domain, Ok(_))) => self.keyed("SRV", &format!("{domain} names no submission service")),
            // Whoever can't be asked for one can't be asked for the other: once is enough.
            Some((_, Err(trouble))) if records.dane.is_ok() => self.inked("", "SRV", (&unasked(trouble), Ink::Doubtful)),
            Some((_, Err(_))) | None => String::new(),
        };
        text
    }

    fn dane(self, dane: &Dane) -> String {
        let ink = if dane.outcome.is_ok() { Ink::Plain } else { Ink::Doubtful };
        let mut text = self.inked("dns", "TLSA", (&dane.words, ink));
        for record in dane.records.iter().take(MOST) {
            text += &self.keyed(" ", &shown(record));
        }
        if dane.records.len() > MOST {
            text += &self.keyed(" ", &format!("and {} more", dane.records.len() - MOST));
        }
        text
    }
}

fn unasked(trouble: &Trouble) -> String {
    if trouble.bogus { format!("not to be believed: {trouble}") } else { format!("can't be asked: {trouble}") }
}

fn shown(record: &Record) -> String {
    match record.unusable() {
        Some(why) => format!("{record} (not usable: {why})"),
        None => record.to_string(),
    }
}

fn told(service: &Service) -> String {
    let signed = if service.security == Security::Secure { ", signed" } else { ", not signed" };
    if service.declined {
        return format!("{}: this service is not offered{signed}", service.name);
    }
    let offers: Vec<String> = service.offers.iter().take(MOST).map(|offer| format!("{}:{}", offer.host, offer.port)).collect();
    let more = if service.offers.len() > MOST { ", …" } else { "" };
    format!("{}: {}{more}{signed}", service.name, offers.join(", "))
}
