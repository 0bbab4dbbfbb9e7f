//! Which keys may stand where, and which of them may hold a secret?

use super::spelling::nearest;

/// A table of the configuration and the keys that it takes.
pub(super) struct Table {
    /// As a person writes it in a header, `NAME` standing for the account's; empty at the top of the file.
    pub(super) header: &'static str,
    pub(super) keys: &'static [&'static str],
}

pub(super) const TOP: Table = Table {
    header: "",
    keys: &["default_account", "mail_domain", "aliases", "log", "memory", "queue", "limits", "dns", "accounts"],
};

pub(super) const LOG: Table = Table { header: "[log]", keys: &["file", "syslog", "syslog_tls"] };

pub(super) const MEMORY: Table = Table { header: "[memory]", keys: &["file"] };

pub(super) const QUEUE: Table = Table { header: "[queue]", keys: &["mode", "dir", "max_age", "keep_failed", "connections"] };

pub(super) const LIMITS: Table = Table {
    header: "[limits]",
    keys: &[
        "message_size",
        "recipients",
        "connect_timeout",
        "reply_timeout",
        "handshake_timeout",
        "greeting_timeout",
        "command_timeout",
        "mail_timeout",
        "rcpt_timeout",
        "data_timeout",
        "block_timeout",
        "end_timeout",
    ],
};

pub(super) const DNS: Table = Table { header: "[dns]", keys: &["servers", "trust_anchor"] };

pub(super) const ACCOUNT: Table = Table {
    header: "[accounts.NAME]",
    keys: &[
        "host",
        "port",
        "protocol",
        "from",
        "match",
        "from_policy",
        "rewrite_from",
        "hello",
        "fallback",
        "source_address",
        "proxy",
        "tls",
        "auth",
    ],
};

pub(super) const TLS: Table = Table {
    header: "[accounts.NAME.tls]",
    keys: &[
        "start",
        "policy",
        "trust",
        "ca_file",
        "crl_file",
        "pins",
        "server_name",
        "min_version",
        "client_cert",
        "client_key",
        "backend",
        "on_downgrade",
        "requiretls",
    ],
};

pub(super) const AUTH: Table = Table {
    header: "[accounts.NAME.auth]",
    keys: &[
        "user",
        "mechanism",
        "password_command",
        "password_file",
        "password_env",
        "password",
        "allow_unverified",
        "credential",
        "keyring",
        "netrc",
        "token_command",
    ],
};

/// Every table, to find where a misplaced key belongs.
pub(super) const TABLES: [&Table; 9] = [&TOP, &LOG, &MEMORY, &QUEUE, &LIMITS, &DNS, &ACCOUNT, &TLS, &AUTH];

/// The one key whose value is a secret.
pub(super) const SECRET: &str = "password";

/// Whether `key` is, or by its spelling was meant to be, one whose value is no secret.
pub(super) fn is_harmless(key: &str) -> bool {
    // Tables may hold anything, in braces.
    let names =
        || TABLES.iter().flat_map(|table| table.keys.iter().copied()).filter(|name| ![SECRET, "accounts", "auth"].contains(name));
    let folded = key.to_lowercase();
    let may_be_secret = folded.contains("pas") || folded.contains("pw") || nearest(key, [SECRET]).is_some();
    names().any(|name| name == key) || (!may_be_secret && nearest(key, names()).is_some())
}
