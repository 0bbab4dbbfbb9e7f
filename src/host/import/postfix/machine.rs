//! What of a main.cf is for all mail of the machine: names, senders, aliases, the queue, and what sealpost leaves to others?

use super::{
    super::{
        facts::{Facts, Sort, Table},
        shared,
    },
    Source,
};

/// Parameters that others of this import look at, or whose absence changes nothing that anybody would notice.
const SEEN: [&str; 78] = [
    "relayhost",
    "smtp_fallback_relay",
    "fallback_relay",
    "smtp_helo_name",
    "myhostname",
    "mydomain",
    "myorigin",
    "smtp_bind_address",
    "smtp_bind_address6",
    "smtp_sasl_auth_enable",
    "smtp_sasl_password_maps",
    "smtp_sasl_security_options",
    "smtp_sasl_tls_security_options",
    "smtp_sasl_tls_verified_security_options",
    "smtp_sasl_mechanism_filter",
    "smtp_sasl_type",
    "smtp_sender_dependent_authentication",
    "sender_dependent_relayhost_maps",
    "smtp_tls_wrappermode",
    "smtp_tls_security_level",
    "smtp_use_tls",
    "smtp_enforce_tls",
    "smtp_tls_enforce_peername",
    "smtp_tls_policy_maps",
    "smtp_tls_CAfile",
    "smtp_tls_CApath",
    "smtp_tls_cert_file",
    "smtp_tls_key_file",
    "smtp_tls_chain_files",
    "smtp_tls_mandatory_protocols",
    "smtp_tls_protocols",
    "smtp_tls_mandatory_ciphers",
    "smtp_tls_ciphers",
    "smtp_tls_fingerprint_digest",
    "smtp_tls_fingerprint_cert_match",
    "smtp_tls_secure_cert_match",
    "smtp_tls_verify_cert_match",
    "smtp_tls_loglevel",
    "smtp_tls_note_starttls_offer",
    "smtp_tls_session_cache_database",
    "smtp_dns_support_level",
    "tls_append_default_CA",
    "tls_random_source",
    "alias_maps",
    "alias_database",
    "message_size_limit",
    "maximal_queue_lifetime",
    "minimal_backoff_time",
    "maximal_backoff_time",
    "delay_warning_time",
    "smtp_connect_timeout",
    "inet_interfaces",
    "inet_protocols",
    "compatibility_level",
    "biff",
    "append_dot_mydomain",
    "readme_directory",
    "html_directory",
    "smtp_generic_maps",
    "sender_canonical_maps",
    "sender_canonical_classes",
    "canonical_maps",
    "canonical_classes",
    "recipient_canonical_maps",
    "recipient_canonical_classes",
    "virtual_alias_maps",
    "masquerade_domains",
    "masquerade_exceptions",
    "masquerade_classes",
    "smtp_header_checks",
    "header_checks",
    "luser_relay",
    "local_recipient_maps",
    "default_transport",
    "relay_transport",
    "mail_owner",
    "setgid_group",
    "mydestination",
];

/// Translates what is no account's.
pub(super) fn translate(source: &Source<'_>, facts: &mut Facts) {
    names(source, facts);
    if let Some(octets) = source.parameters.get("message_size_limit").and_then(|value| value.parse::<u64>().ok()) {
        facts.set(Table::Limits, "message_size", octets);
    }
    if let Some(timeout) = source.parameters.get("smtp_connect_timeout") {
        facts.set(Table::Limits, "connect_timeout", duration(&timeout, 's'));
    }
    for (parameter, key, unit) in [
        ("maximal_queue_lifetime", "max_age", 'd'),
        ("minimal_backoff_time", "retry_first", 's'),
        ("maximal_backoff_time", "retry_most", 's'),
        ("delay_warning_time", "warn_after", 'h'),
    ] {
        let said = source.parameters.get(parameter).filter(|value| !value.starts_with('0'));
        if let Some(value) = said {
            facts.set(Table::Queue, key, duration(&value, unit));
        }
    }
    local(source, facts);
    rest(source, facts);
    shared::queue(facts, "Postfix put every mail into its queue first, whatever became of it");
}

/// A time of Postfix, with the unit that it has where none is written. Weeks are days here.
fn duration(text: &str, unit: char) -> String {
    match text.strip_suffix('w').and_then(|weeks| weeks.parse::<u64>().ok()) {
        Some(weeks) => format!("{}d", weeks.saturating_mul(7)),
        None if text.ends_with(|c: char| c.is_ascii_digit()) => format!("{text}{unit}"),
        None => text.to_owned(),
    }
}

/// The domain of bare names; the first line of /etc/mailname is the default of `mail_domain`.
fn names(source: &Source<'_>, facts: &mut Facts) {
    let is_said = source.parameters.get("myorigin").or_else(|| source.parameters.get("myhostname")).is_some();
    if is_said && source.parameters.get("myorigin").as_deref() != Some("/etc/mailname") && !source.origin.is_empty() {
        facts.set(Table::Top, "mail_domain", source.origin.as_str());
    }
}

/// What Postfix did for this machine besides sending.
fn local(source: &Source<'_>, facts: &mut Facts) {
    let interfaces = source.parameters.list("inet_interfaces");
    let loopback = |name: &String| ["loopback-only", "localhost", "127.0.0.1", "[::1]", "::1"].contains(&name.as_str());
    if !interfaces.is_empty() && interfaces.iter().all(loopback) {
        facts.set(Table::Serve, "listen", vec!["127.0.0.1:25".to_owned()]);
        let text = "inet_interfaces: for programs that speak SMTP to this machine sealpost serve listens, as soon as Postfix leaves port 25; \
                    the others use sendmail";
        facts.note(Sort::Changed, text);
    } else if !interfaces.is_empty() {
        facts.note(Sort::LeftOut, "inet_interfaces: mail of other machines is not taken");
    }
    if source.is_local(&source.origin) && source.parameters.is_set("mydestination") {
        let text = "mydestination: no mail is put into mailboxes here; what has no alias goes to the server";
        facts.note(Sort::LeftOut, text);
    }
}

/// What changed what a mail was or where it went, and would be missed.
const MISSED: [(&str, &str); 16] = [
    ("always_bcc", "nobody gets a copy of each mail"),
    ("sender_bcc_maps", "nobody gets a copy of each mail"),
    ("recipient_bcc_maps", "nobody gets a copy of each mail"),
    ("transport_maps", "all mail of an account goes to its server, whomever it is for"),
    ("sender_dependent_default_transport_maps", "senders have relays of their own by an account with a match"),
    ("content_filter", "no mail goes through a filter"),
    ("body_checks", "no mail is looked at"),
    ("smtp_body_checks", "no mail is looked at"),
    ("mime_header_checks", "no mail is looked at"),
    ("nested_header_checks", "no mail is looked at"),
    ("smtp_mime_header_checks", "no mail is looked at"),
    ("smtp_nested_header_checks", "no mail is looked at"),
    ("non_smtpd_milters", "no milter is asked, which may sign mail elsewhere"),
    ("authorized_submit_users", "whoever may read the configuration may send"),
    ("relocated_maps", "nobody is told of new addresses"),
    ("defer_transports", "a mail is tried at once"),
];

/// What nobody looked at.
fn rest(source: &Source<'_>, facts: &mut Facts) {
    for (name, why) in MISSED.iter().filter(|(name, _)| source.parameters.get(name).is_some()) {
        facts.note(Sort::LeftOut, format!("{name}: {why}"));
    }
    let is_receiving = |name: &&str| {
        ["smtpd_", "postscreen_", "virtual_", "milter_", "relay_", "mynetworks", "local_", "mailbox_", "home_mailbox"]
            .iter()
            .any(|prefix| name.starts_with(prefix))
            || ["recipient_delimiter", "disable_vrfy_command", "strict_rfc821_envelopes"].contains(name)
    };
    let is_seen = |name: &str| SEEN.contains(&name) || MISSED.iter().any(|(missed, _)| *missed == name);
    let unseen = source.parameters.names().filter(|name| !is_seen(name) && is_name(name));
    let (receiving, others): (Vec<&str>, Vec<&str>) = unseen.partition(is_receiving);
    if !receiving.is_empty() {
        facts.note(Sort::LeftOut, format!("what is for taking and delivering mail: {}", receiving.join(", ")));
    }
    if !others.is_empty() {
        facts.note(Sort::LeftOut, format!("what has no meaning here: {}", others.join(", ")));
    }
}

/// Whether it looks like the name of a parameter, and not like the piece of something else.
fn is_name(name: &str) -> bool {
    name.contains('_') && name.len() < 60 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}
