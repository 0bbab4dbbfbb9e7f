//! Which values are in force, under which keys? (the order of sealpost.toml(5))

use std::{path::Path, time::Duration};

use serde_json::{Value, json};

use crate::{
    host::config::{
        Account, Aliases, Auth, ClientSecret, Config, FromPolicy, Keep, Memory, OAuth, Protocol, Queue, SecretSource, Serve,
        Target, Timeouts, Tls, Trace,
    },
    mail::policy::{OnDowngrade, Request},
    smtp::sasl::Choice,
};

/// One setting as it is in force.
pub(super) struct Setting {
    /// The table, its keys joined by dots; empty at the top.
    pub(super) table: String,
    /// The table's last account name, to be quoted in a header.
    account: Option<String>,
    pub(super) key: &'static str,
    /// JSON and TOML agree on text, numbers, truth and lists of them; null where nothing is set.
    pub(super) value: Value,
    /// What a value or its absence means, where that does not go without saying.
    pub(super) note: &'static str,
}

impl Setting {
    /// Where it comes from.
    pub(super) fn origin<'a>(&self, trace: &'a Trace) -> &'a str {
        let every =
            || (self.key.ends_with("_timeout") && self.key != "connect_timeout").then(|| trace.origin("limits.reply_timeout"));
        trace.origin(&self.path()).or_else(|| every().flatten()).unwrap_or("default")
    }

    /// The key in full.
    pub(super) fn path(&self) -> String {
        if self.table.is_empty() { self.key.to_owned() } else { format!("{}.{}", self.table, self.key) }
    }

    /// The table as a header names it.
    pub(super) fn header(&self) -> String {
        let is_bare = |name: &str| name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        match &self.account {
            Some(name) if !is_bare(name) => {
                let rest = self.table.strip_prefix("accounts.").and_then(|rest| rest.strip_prefix(name.as_str()));
                format!("accounts.{}{}", json!(name), rest.unwrap_or_default())
            }
            _ => self.table.clone(),
        }
    }
}

/// Every setting in force, secrets masked.
pub(super) fn of(config: &Config) -> Vec<Setting> {
    let mut list = List { table: String::new(), account: None, settings: Vec::new() };
    list.add("default_account", &config.default_account, "choose with -a");
    list.add("mail_domain", &config.mail_domain, "/etc/mailname, else the host's full name");
    list.add("qualify", config.qualify.as_str(), "");
    match &config.aliases {
        Aliases::Default => list.add("aliases", Value::Null, "/etc/aliases, where it exists"),
        Aliases::None => list.add("aliases", "", "none"),
        Aliases::File(file) => list.add("aliases", shown(file), ""),
    }
    list.add("catch_all", config.catch_all.as_ref().map(ToString::to_string), "nobody");
    list.within("log", None);
    match &config.log.file {
        Some(file) => list.add("file", shown(file), ""),
        None => list.add("file", "", "none"),
    }
    list.add("syslog", config.log.syslog, "");
    list.add("syslog_tls", config.log.notation.as_str(), "");
    list.within("memory", None);
    match &config.memory {
        Memory::File(file) => list.add("file", shown(file), ""),
        Memory::None => list.add("file", "", "none"),
        Memory::Nowhere => list.add("file", Value::Null, "no home directory is known"),
    }
    queue(&mut list, &config.queue);
    serve(&mut list, &config.serve);
    list.within("limits", None);
    let limits = &config.limits;
    match limits.message_size {
        u64::MAX => list.add("message_size", 0, "what the server takes"),
        size => list.add("message_size", size, ""),
    }
    list.add("recipients", limits.recipients, "");
    list.add("connect_timeout", spelt(limits.connect), "");
    timeouts(&mut list, limits.timeouts);
    list.within("dns", None);
    let servers: Vec<String> = config.dns.servers.iter().map(ToString::to_string).collect();
    list.add("servers", servers, "");
    list.add("trust_anchor", config.dns.trust_anchor.as_deref().map(shown), "the keys of the root");
    for account in &config.accounts {
        self::account(&mut list, account);
    }
    list.settings
}

fn queue(list: &mut List, queue: &Queue) {
    list.within("queue", None);
    list.add("mode", queue.mode.as_str(), "");
    list.add("dir", queue.dir.as_deref().map(shown), "no home directory is known");
    list.add("max_age", spelt(queue.max_age), "");
    list.add("keep_failed", spelt(queue.keep_failed), "");
    list.add("connections", queue.connections, "");
    list.add("warn_after", queue.warn_after.map(spelt).unwrap_or_default(), "never");
    list.add("retry_first", spelt(queue.retry_first), "");
    list.add("retry_most", spelt(queue.retry_most), "");
}

fn serve(list: &mut List, serve: &Serve) {
    list.within("serve", None);
    list.add("socket", shown(&serve.socket), "");
    list.add("listen", serve.listen.iter().map(ToString::to_string).collect::<Vec<_>>(), "");
    list.add("free_senders", &serve.free_senders, "");
    list.add("connections", serve.connections, "");
    list.add("connections_per_user", serve.connections_per_user, "");
    list.add("messages_per_hour", serve.messages_per_hour, "");
    list.add("queue_per_user", serve.queue_per_user, "");
    list.add("bytes_per_user", serve.bytes_per_user, "");
    list.add("free_space", serve.free_space, "none is kept");
}

/// The settings so far, and the table that the next ones belong to.
struct List {
    table: String,
    account: Option<String>,
    settings: Vec<Setting>,
}

impl List {
    fn within(&mut self, table: impl Into<String>, account: Option<&str>) {
        self.table = table.into();
        self.account = account.map(str::to_owned);
    }

    /// `note` says what it means that there is no value; `0` and `""` are none too.
    fn add(&mut self, key: &'static str, value: impl serde::Serialize, note: &'static str) {
        let value = serde_json::to_value(value).unwrap_or_default();
        let note = if value.is_null() || value == 0 || value == "" { note } else { "" };
        self.settings.push(Setting { table: self.table.clone(), account: self.account.clone(), key, value, note });
    }
}

fn timeouts(list: &mut List, timeouts: Timeouts) {
    for (key, timeout) in [
        ("handshake_timeout", timeouts.handshake),
        ("greeting_timeout", timeouts.greeting),
        ("command_timeout", timeouts.command),
        ("mail_timeout", timeouts.mail),
        ("rcpt_timeout", timeouts.rcpt),
        ("data_timeout", timeouts.data),
        ("block_timeout", timeouts.block),
        ("end_timeout", timeouts.end),
    ] {
        list.add(key, spelt(timeout), "");
    }
}

fn account(list: &mut List, account: &Account) {
    let name = account.name.as_str();
    list.within(format!("accounts.{name}"), Some(name));
    match &account.target {
        Target::Name(host, port) => {
            list.add("host", host, "");
            list.add("port", port, "");
        }
        Target::Address(address, port) => {
            list.add("host", address.to_string(), "");
            list.add("port", port, "");
        }
        Target::Unix(path) => list.add("host", format!("unix:{}", path.display()), ""),
        Target::Service(domain) => list.add("host", format!("srv:{domain}"), ""),
    }
    list.add("protocol", if account.protocol == Protocol::Smtp { "smtp" } else { "lmtp" }, "");
    list.add("from", account.from.as_ref().map(ToString::to_string), "the login at mail_domain");
    list.add("match", &account.matches, "");
    let from_policy = account.from_policy.map(|policy| match policy {
        FromPolicy::Free => "free",
        FromPolicy::Login => "login",
        FromPolicy::Fixed => "fixed",
    });
    list.add("from_policy", from_policy, "free; login for those of whom the service sends");
    list.add("rewrite_from", account.rewrite_from, "");
    list.add("hello", &account.hello, "the host's full name, else an address literal");
    list.add("fallback", &account.fallback, "");
    list.add("source_address", account.source_address.map(|address| address.to_string()), "the system chooses");
    let proxy = account.proxy.as_ref().map(|proxy| {
        if proxy.host.contains(':') {
            format!("socks5://[{}]:{}", proxy.host, proxy.port)
        } else {
            format!("socks5://{}:{}", proxy.host, proxy.port)
        }
    });
    list.add("proxy", proxy, "none");
    list.within(format!("accounts.{name}.tls"), Some(name));
    tls(list, &account.tls);
    if let Some(auth) = &account.auth {
        list.within(format!("accounts.{name}.auth"), Some(name));
        self::auth(list, auth);
    }
}

fn tls(list: &mut List, tls: &Tls) {
    list.add("start", tls.demand.start.as_str(), "");
    list.add("policy", tls.demand.policy.as_str(), "");
    list.add("trust", tls.demand.trust.as_str(), "");
    list.add("ca_file", tls.ca_file.as_deref().map(shown), "the system's store");
    list.add("crl_file", tls.crl_file.as_deref().map(shown), "revocation is not checked");
    if tls.pins.is_empty() {
        list.add("pins", Value::Null, "none");
    } else {
        list.add("pins", tls.pins.iter().map(pin).collect::<Vec<_>>(), "");
    }
    list.add("server_name", &tls.server_name, "the host");
    list.add("min_version", tls.min_version.as_str(), "");
    list.add("client_cert", tls.client_identity.as_ref().map(|(chain, _)| shown(chain)), "none");
    list.add("client_key", tls.client_identity.as_ref().map(|(_, key)| shown(key)), "none");
    list.add("backend", tls.backend.as_str(), "");
    list.add("on_downgrade", if tls.demand.on_downgrade == OnDowngrade::Warn { "warn" } else { "refuse" }, "");
    list.add("requiretls", tls.demand.request == Request::Require, "");
}

fn auth(list: &mut List, auth: &Auth) {
    list.add("user", &auth.user, "");
    let mechanism = match auth.choice {
        Choice::Auto => "auto",
        Choice::Only(mechanism) => mechanism.name(),
    };
    list.add("mechanism", mechanism, "");
    match &auth.source {
        SecretSource::Inline(_) => list.add("password", "***", ""),
        SecretSource::File(path) => list.add("password_file", shown(path), ""),
        SecretSource::Command(command) => list.add("password_command", command, ""),
        SecretSource::Environment(name) => list.add("password_env", name, ""),
        SecretSource::Credential(name) => list.add("credential", name, ""),
        SecretSource::Keyring => list.add("keyring", true, ""),
        SecretSource::Netrc => list.add("netrc", true, ""),
        SecretSource::TokenCommand { command, cache } => {
            list.add("token_command", command, "");
            list.add("token_cache", cache, "");
        }
        SecretSource::Prompt => list.add("password", Value::Null, "asked on the terminal"),
        SecretSource::OAuth(_) | SecretSource::Ticket | SecretSource::Nowhere => {}
    }
    list.add("allow_unverified", auth.allow_unverified, "");
    if let SecretSource::OAuth(client) = &auth.source {
        list.within(format!("{}.oauth", list.table), list.account.clone().as_deref());
        oauth(list, client);
    }
}

fn oauth(list: &mut List, client: &OAuth) {
    list.add("client_id", &client.client_id, "");
    match &client.client_secret {
        ClientSecret::None => list.add("client_secret", Value::Null, "the provider asks for none"),
        ClientSecret::Inline(_) => list.add("client_secret", "***", ""),
        ClientSecret::File(path) => list.add("client_secret_file", shown(path), ""),
    }
    list.add("scope", &client.scope, "none");
    list.add("token_endpoint", &client.token.url, "");
    list.add("authorization_endpoint", client.authorization.as_ref().map(|endpoint| &endpoint.url), "none");
    list.add("device_endpoint", client.device.as_ref().map(|endpoint| &endpoint.url), "none");
    list.add("ca_file", client.ca_file.as_deref().map(shown), "the system's store");
    match &client.keep {
        Keep::State => list.add("token_file", Value::Null, "a file in the state directory"),
        Keep::File(path) => list.add("token_file", shown(path), ""),
        Keep::Keyring => list.add("keyring", true, ""),
    }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

fn pin(digest: &[u8; 32]) -> String {
    let digits = digest.iter().flat_map(|octet| [octet >> 4, octet & 15]);
    let hex: String = digits.filter_map(|digit| char::from_digit(u32::from(digit), 16)).collect();
    format!("sha256:{hex}")
}

/// A duration in the largest unit that divides it.
fn spelt(duration: Duration) -> String {
    let milliseconds = duration.as_millis();
    let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s")];
    match units.into_iter().find(|(unit, _)| milliseconds.is_multiple_of(*unit)) {
        Some((unit, name)) => format!("{}{name}", milliseconds / unit),
        None => format!("{milliseconds}ms"),
    }
}
