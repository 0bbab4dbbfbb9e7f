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
    keys: &[
        "default_account",
        "mail_domain",
        "qualify",
        "aliases",
        "catch_all",
        "log",
        "memory",
        "queue",
        "serve",
        "limits",
        "dns",
        "accounts",
    ],
};

pub(super) const LOG: Table = Table { header: "[log]", keys: &["file", "syslog", "syslog_tls"] };

pub(super) const MEMORY: Table = Table { header: "[memory]", keys: &["file"] };

pub(super) const QUEUE: Table = Table {
    header: "[queue]",
    keys: &["mode", "dir", "max_age", "keep_failed", "connections", "warn_after", "retry_first", "retry_most"],
};

pub(super) const SERVE: Table = Table {
    header: "[serve]",
    keys: &[
        "socket",
        "listen",
        "free_senders",
        "connections",
        "connections_per_user",
        "messages_per_hour",
        "queue_per_user",
        "bytes_per_user",
        "free_space",
    ],
};

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
        "from_by_user",
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
        "token_cache",
        "oauth",
    ],
};

pub(super) const OAUTH: Table = Table {
    header: "[accounts.NAME.auth.oauth]",
    keys: &[
        "provider",
        "tenant",
        "client_id",
        "client_secret",
        "client_secret_file",
        "scope",
        "token_endpoint",
        "authorization_endpoint",
        "device_endpoint",
        "ca_file",
        "token_file",
        "keyring",
    ],
};

/// Every table, to find where a misplaced key belongs.
pub(super) const TABLES: [&Table; 11] = [&TOP, &LOG, &MEMORY, &QUEUE, &SERVE, &LIMITS, &DNS, &ACCOUNT, &TLS, &AUTH, &OAUTH];

/// The keys whose value is a secret.
const SECRETS: [&str; 2] = ["password", "client_secret"];

/// The keys whose value may hold one of those, in braces.
const TABLES_WITHIN: [&str; 3] = ["accounts", "auth", "oauth"];

/// Whether `key` is, or by its spelling was meant to be, one whose value is no secret.
pub(super) fn is_harmless(key: &str) -> bool {
    let hidden = || SECRETS.into_iter().chain(TABLES_WITHIN);
    let names =
        || TABLES.iter().flat_map(|table| table.keys.iter().copied()).filter(|name| !hidden().any(|hidden| hidden == *name));
    let folded = key.to_lowercase();
    let alike = ["pas", "pw", "secret"].iter().any(|part| folded.contains(part));
    names().any(|name| name == key) || (!alike && nearest(key, hidden()).is_none() && nearest(key, names()).is_some())
}
