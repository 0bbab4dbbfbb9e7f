//! What does Postfix ask of TLS with a next hop? (postconf(5), on TLS policies)

use super::{
    super::{
        facts::{Account, Sort, Trust, Wanted},
        shared,
    },
    Source,
};

/// A level, and the attributes that a table gives it.
struct Level {
    word: String,
    attributes: Vec<(String, String)>,
}

impl Level {
    fn get(&self, name: &str) -> Option<&str> {
        self.attributes.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Names or digests to match, which are separated by `|` or `:`, or by neither.
    fn matches(&self, separators: &[char]) -> Vec<String> {
        let all = self.attributes.iter().filter(|(key, _)| key == "match");
        all.flat_map(|(_, value)| value.split(separators)).map(str::to_owned).collect()
    }
}

/// Sets what the account asks of TLS.
pub(super) fn translate(source: &Source<'_>, destination: &str, host: &str, account: &mut Account) {
    let level = level(source, destination, account);
    let parameters = &source.parameters;
    let word = level.word.as_str();
    account.tls.wanted = match word {
        "none" => Wanted::Never,
        "may" | "dane" => Wanted::Perhaps,
        _ => Wanted::Always,
    };
    account.tls.implicit = account.tls.wanted != Wanted::Never && parameters.is_on("smtp_tls_wrappermode");
    account.tls.trust = match word {
        "dane" | "dane-only" => Trust::Dane,
        "fingerprint" => Trust::Pins(digests(source, &level, account)),
        "verify" | "secure" => Trust::Authorities,
        _ => Trust::Unchecked,
    };
    if ["verify", "secure"].contains(&word) {
        account.tls.server_name = server_name(source, &level, host);
    }
    authorities(source, &level, account);
    account.tls.client_cert = parameters.get("smtp_tls_cert_file").or_else(|| parameters.list("smtp_tls_chain_files").pop());
    account.tls.client_key = parameters.get("smtp_tls_key_file");
    let protocols = level.get("protocols").map(str::to_owned).or_else(|| parameters.get("smtp_tls_mandatory_protocols"));
    if protocols.is_some_and(|protocols| [">=TLSv1.3", "TLSv1.3"].contains(&protocols.as_str())) {
        account.tls.min_version = Some("1.3");
    }
}

/// What a table says of the next hop, else what is said for all.
fn level(source: &Source<'_>, destination: &str, account: &mut Account) -> Level {
    for table in source.tables("smtp_tls_policy_maps") {
        if let Some(fault) = table.fault() {
            let text = format!("smtp_tls_policy_maps, {}: {fault}", table.name());
            account.note(Sort::LeftOut, text);
        }
        let value = keys(destination).into_iter().find_map(|key| table.get(&key).map(str::to_owned));
        let value = value.as_deref().map(|value| value.split([' ', '\t', ',']).filter(|word| !word.is_empty()));
        if let Some(mut words) = value
            && let Some(word) = words.next()
        {
            let pairs = words.filter_map(|word| word.split_once('=')).map(|(key, value)| (key.to_owned(), value.to_owned()));
            return Level { word: word.to_ascii_lowercase(), attributes: pairs.collect() };
        }
    }
    let parameters = &source.parameters;
    let word = match parameters.get("smtp_tls_security_level") {
        Some(level) => level.to_ascii_lowercase(),
        None if parameters.is_on("smtp_enforce_tls") => {
            let unnamed = parameters.get("smtp_tls_enforce_peername").is_some_and(|value| value == "no");
            if unnamed { "encrypt" } else { "verify" }.to_owned()
        }
        None if parameters.is_on("smtp_use_tls") => "may".to_owned(),
        None => "none".to_owned(),
    };
    Level { word, attributes: Vec::new() }
}

/// What a next hop may be called in a table: itself, and where it is a bare domain, those above it.
fn keys(destination: &str) -> Vec<String> {
    let mut keys = vec![destination.to_owned()];
    if !destination.contains(['[', ':']) {
        let parents = destination.match_indices('.').filter_map(|(at, _)| destination.get(at..)).map(str::to_owned);
        keys.extend(parents);
    }
    keys
}

/// SHA-256 digests; others are no pins here.
fn digests(source: &Source<'_>, level: &Level, account: &mut Account) -> Vec<String> {
    let digests = match level.matches(&['|']) {
        none if none.is_empty() => source.parameters.list("smtp_tls_fingerprint_cert_match"),
        some => some,
    };
    if source.parameters.get("smtp_tls_fingerprint_digest").is_some_and(|name| !name.eq_ignore_ascii_case("sha256")) {
        account.note(Sort::LeftOut, "smtp_tls_fingerprint_digest: a pin is a digest by SHA-256");
    }
    digests
}

/// Another name than the host's that the certificate must have, where one alone is named.
fn server_name(source: &Source<'_>, level: &Level, host: &str) -> Option<String> {
    let parameter = if level.word == "secure" { "smtp_tls_secure_cert_match" } else { "smtp_tls_verify_cert_match" };
    let names = match level.matches(&[':', '|']) {
        none if none.is_empty() => source.parameters.list(parameter),
        some => some,
    };
    let is_host = |name: &str| ["nexthop", "hostname", "dot-nexthop"].contains(&name) || name.eq_ignore_ascii_case(host);
    if names.iter().any(|name| is_host(name)) {
        return None;
    }
    names.into_iter().find(|name| !name.starts_with('.'))
}

fn authorities(source: &Source<'_>, level: &Level, account: &mut Account) {
    let file = level.get("tafile").map(str::to_owned).or_else(|| source.parameters.get("smtp_tls_CAfile"));
    account.tls.ca_file = file.filter(|path| !shared::is_system_store(path));
    let directory = source.parameters.get("smtp_tls_CApath").filter(|path| !shared::is_system_store(path));
    if account.tls.ca_file.is_none() && directory.is_some() {
        account.note(Sort::LeftOut, "smtp_tls_CApath: ca_file names one file with all authorities");
    }
}
