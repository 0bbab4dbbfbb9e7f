//! What does an esmtprc say: a default, and identities? (esmtprc(5))

use super::{
    Page, Texts,
    facts::{Account, Facts, Login, Sort, Table, Wanted},
    shared,
};

/// The options.
const KEYWORDS: [&str; 14] = [
    "hostname",
    "username",
    "password",
    "starttls",
    "certificate_passphrase",
    "helo",
    "qualifydomain",
    "force",
    "message_id",
    "preconnect",
    "identity",
    "default",
    "mda",
    "force_mda",
];

/// Whether esmtp would know what this line is.
pub(super) fn knows(line: &str) -> bool {
    let end = line.find(|c: char| c == '=' || c.is_whitespace()).unwrap_or(line.len());
    KEYWORDS.contains(&line.get(..end).unwrap_or_default())
}

/// Reads esmtprc.
pub(super) fn facts(texts: &dyn Texts, page: &Page) -> Facts {
    let mut facts = Facts::default();
    let mut identities = vec![Identity::default()];
    // The identity that says so, else the first.
    let mut default = 0;
    for option in options(page, &mut facts) {
        if option.keyword == "identity" {
            identities.push(Identity { address: Some(option.value), ..Identity::default() });
        } else if option.keyword == "default" {
            default = identities.len() - 1;
        } else if let Some(identity) = identities.last_mut() {
            identity.options.push(option);
        }
    }
    // Without options before the first identity that one is the default.
    if identities.first().is_some_and(|default| default.get("hostname").is_none()) && identities.len() > 1 {
        let general = identities.remove(0);
        default = default.saturating_sub(1);
        machine(&general, true, &mut facts);
    }
    for (index, identity) in identities.iter().enumerate() {
        let account = account(identity, &mut facts);
        if index == default {
            facts.default_account = Some(account.name.clone());
        }
        facts.accounts.push(account);
        machine(identity, index == default, &mut facts);
    }
    // Where it qualifies local names they are nobody's on this machine.
    if identities.get(default).is_some_and(|identity| identity.get("qualifydomain").is_some()) {
        shared::no_aliases(texts, &mut facts, "esmtp had no aliases, so neither has this");
    }
    facts
}

/// The options of one identity; the default one has no address.
#[derive(Default)]
struct Identity {
    address: Option<String>,
    options: Vec<Setting>,
}

struct Setting {
    keyword: &'static str,
    /// What is forced, with `force`.
    what: String,
    value: String,
}

impl Identity {
    fn get(&self, keyword: &str) -> Option<&str> {
        let found = self.options.iter().rev().find(|option| option.keyword == keyword);
        found.map(|option| option.value.as_str()).filter(|value| !value.is_empty())
    }

    fn forced(&self, what: &str) -> Option<&str> {
        let found = self.options.iter().rev().find(|option| option.keyword == "force" && option.what == what);
        found.map(|option| option.value.as_str())
    }
}

fn account(identity: &Identity, facts: &mut Facts) -> Account {
    let written = identity.get("hostname").unwrap_or("localhost");
    let (host, port) = written.rsplit_once(':').unwrap_or((written, "587"));
    let name = identity.address.as_deref().map_or_else(|| shared::name_of_host(host), shared::name);
    let taken = facts.accounts.iter().filter(|account| account.name == name).count();
    let name = if taken == 0 { name } else { format!("{name}-{}", facts.accounts.len()) };
    let mut account = Account { name, host: host.to_owned(), port: Some(shared::port(port)), ..Account::default() };
    account.hello = identity.get("helo").map(str::to_owned);
    account.tls.wanted = match identity.get("starttls") {
        Some("required") => Wanted::Always,
        Some("enabled") => Wanted::Perhaps,
        Some("disabled") | None => Wanted::Never,
        Some(other) => {
            account.note(Sort::LeftOut, format!("starttls {other}: esmtp has no such word, so TLS is demanded"));
            Wanted::Always
        }
    };
    if let Some(address) = &identity.address {
        account.from = Some(shared::literal(address));
        account.matches.push(address.clone());
    }
    match identity.forced("reverse_path") {
        Some("") => {
            account.note(Sort::LeftOut, "force reverse_path: bounces have somewhere to go, so that no mail has an empty sender");
        }
        Some(path) => {
            account.from = Some(template(path));
            account.from_policy = Some("fixed");
        }
        None => {}
    }
    if let Some(user) = identity.get("username") {
        let secret = shared::password(identity.get("password").unwrap_or_default(), &mut account);
        account.login = Some(Login { user: user.to_owned(), mechanism: None, secret });
    }
    if identity.get("certificate_passphrase").is_some() {
        account.note(Sort::LeftOut, "certificate_passphrase: a key for client_key has none here");
    }
    if identity.forced("sender").is_some() {
        account.note(Sort::LeftOut, "force sender: the Sender of a mail stays as it is");
    }
    if let Some(command) = identity.get("preconnect") {
        let text = format!("preconnect, whose command was not run: `{command}`. Let a service of its own keep the way open");
        account.note(Sort::LeftOut, text);
    }
    account
}

/// A sender in our words: `%u` is the caller, `%%` a percent sign, and any other is nothing.
fn template(path: &str) -> String {
    let mut template = String::with_capacity(path.len());
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('%') {
        template += before;
        let mut chars = after.chars();
        template += match chars.next() {
            Some('u') => "%U",
            Some('%') => "%%",
            _ => "",
        };
        rest = chars.as_str();
    }
    template + rest
}

/// What is for all mail here, whichever identity says it; a domain is the default one's.
fn machine(identity: &Identity, is_default: bool, facts: &mut Facts) {
    let own = identity.forced("reverse_path").and_then(|path| path.strip_prefix("%u@"));
    match identity.get("qualifydomain").or(own) {
        Some(domain) if is_default => facts.set(Table::Top, "mail_domain", domain),
        Some(domain) if identity.get("qualifydomain").is_some() => {
            facts.note(
                Sort::LeftOut,
                format!("qualifydomain {domain}: mail_domain is the same for all accounts, that of the default one"),
            );
        }
        _ => {}
    }
    if identity.get("qualifydomain").is_some() && identity.forced("reverse_path").is_none() && identity.address.is_none() {
        let text = "qualifydomain: the sender of a mail that names none gets that domain, too; esmtp gave it the name of the host";
        facts.note(Sort::Changed, text);
    }
    if identity.get("mda").is_some() || identity.get("force_mda").is_some() {
        facts.note(
            Sort::LeftOut,
            "mda: mail to local users is not put into mailboxes here, but sent to the server or to their aliases",
        );
    }
    if identity.get("message_id") == Some("disabled") {
        facts.note(Sort::LeftOut, "message_id disabled: a Message-ID that is missing is added (RFC 6409 8.3)");
    }
}

/// The options in their order.
fn options(page: &Page, facts: &mut Facts) -> Vec<Setting> {
    let mut options = Vec::new();
    let mut tokens = tokens(&page.text).into_iter().peekable();
    while let Some(token) = tokens.next() {
        let keyword = KEYWORDS.iter().find(|known| !token.is_quoted && **known == token.text).copied();
        let Some(keyword) = keyword else {
            facts.note(Sort::LeftOut, format!("{}:{}: esmtp has no such option", page.name(), token.line));
            while tokens.next_if(|next| next.line == token.line).is_some() {}
            continue;
        };
        let mut option = Setting { keyword, what: String::new(), value: String::new() };
        if keyword == "force" {
            option.what = tokens.next().map(|what| what.text).unwrap_or_default();
        }
        if keyword != "default" {
            tokens.next_if(Token::is_sign);
            if let Some(value) = tokens.next_if(|next| !next.is_sign()) {
                option.value = value.text;
            } else {
                facts.note(Sort::LeftOut, format!("{}:{}: {keyword} has no value", page.name(), token.line));
                continue;
            }
        }
        options.push(option);
    }
    options
}

/// A word, what stands in quotes, or an equal sign.
#[derive(Debug)]
struct Token {
    text: String,
    is_quoted: bool,
    line: usize,
}

impl Token {
    fn is_sign(&self) -> bool {
        !self.is_quoted && self.text == SIGN
    }
}

const SIGN: &str = "=";
/// What is between words, and means nothing.
const BETWEEN: [char; 6] = [' ', '\t', '\r', '\n', ',', ';'];

/// The text as the program takes it apart: by the longest thing that stands there, so that quotes within a word are part of it, and `#`
/// is, too.
fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let (mut rest, mut line) = (text, 1);
    while let Some(first) = rest.chars().next() {
        let word = rest.find(|c: char| BETWEEN.contains(&c) || c == '=').unwrap_or(rest.len());
        let quoted = match rest.split_at(first.len_utf8()) {
            ("\"" | "'", behind) => behind.find(first).map(|at| at + 2),
            _ => None,
        };
        let end = match first {
            '#' => rest.find('\n').unwrap_or(rest.len()),
            '=' => 1,
            c if BETWEEN.contains(&c) => 1,
            _ => quoted.map_or(word, |quoted| quoted.max(word)),
        };
        let (taken, after) = rest.split_at(end);
        if first == '=' {
            tokens.push(Token { text: SIGN.to_owned(), is_quoted: false, line });
        } else if first != '#' && !BETWEEN.contains(&first) {
            let is_quoted = quoted == Some(end);
            let inner = if is_quoted { taken.get(1..end - 1).unwrap_or_default() } else { taken };
            tokens.push(Token { text: unescaped(inner), is_quoted, line });
        }
        line += taken.matches('\n').count();
        rest = after;
    }
    tokens
}

/// A text without the escapes of C, in which a number without a leading zero is a decimal one.
fn unescaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        plain += before;
        let mut chars = after.chars();
        let Some(c) = chars.next() else { return plain };
        let radix = match c {
            'x' | 'X' => 16,
            '0' => 8,
            '1'..='9' => 10,
            _ => 0,
        };
        let digits = if radix == 16 { chars.as_str() } else { after };
        let most = if radix == 16 { 2 } else { 3 };
        let length = digits.chars().take(most).take_while(|c| radix != 0 && c.is_digit(radix)).count();
        let (number, behind) = digits.split_at(length);
        match u8::from_str_radix(number, radix.max(2)) {
            Ok(octet) if octet.is_ascii() => {
                plain.push(char::from(octet));
                rest = behind;
            }
            _ => {
                plain.push(match c {
                    'n' => '\n',
                    't' => '\t',
                    'r' => '\r',
                    'b' => '\u{8}',
                    c => c,
                });
                rest = chars.as_str();
            }
        }
    }
    plain + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_quotes_are_told_apart_as_the_program_does() {
        // By what esmtp 1.2 sent as a password.
        for (text, expected) in [
            ("abc # x", "abc"),
            ("a#b", "a#b"),
            ("\"a b\" # x", "a b"),
            ("'a\"b#'", "a\"b#"),
            ("\"a\\\"b\"", "\"a\"b\""),
            ("\"a\"b", "\"a\"b"),
            ("\"open", "\"open"),
            ("\"a\nb\"", "a\nb"),
            ("\"a\\tb\\x41\\0101\\\\\"", "a\tbA\u{8}1\\"),
            ("abc,", "abc"),
            ("a\\\"b", "a\"b"),
            ("\\#a", "#a"),
        ] {
            let tokens = tokens(text);
            assert_eq!(tokens.first().map(|token| token.text.as_str()), Some(expected), "{text}");
        }
        assert!(tokens("").is_empty() && tokens(" ,;\n# only").is_empty());
        let lines: Vec<usize> = tokens("a = \"b\nc\" d\ne").iter().map(|token| token.line).collect();
        assert_eq!(lines, [1, 1, 1, 2, 3]);
    }
}
