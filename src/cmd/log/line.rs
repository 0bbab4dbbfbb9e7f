//! How does a person read one record of the log at a glance?

use std::fmt::Write as _;

use jiff::tz::TimeZone;

use crate::{
    cmd::{screen::Screen, wrap::wrapped},
    error::{is_treacherous, printable},
    host::{
        journal::{Status, text::Text},
        ledger::entry::{Entry, Recipient, TlsResult, Word},
    },
};

/// Columns of an account's name, at most; a longer one pushes the rest to the right.
const ACCOUNT: usize = 16;
/// Columns that 80 have room for behind the others: on a terminal the name ends there.
const ROOM: usize = 26;
/// Recipients whose fate is told one by one.
const RECIPIENTS: usize = 5;
/// Characters of an address, of an id, and of a server's words.
const ADDRESS: usize = 60;
const WORDS: usize = 400;
/// Before what does not fit in the row, and what went wrong.
const INDENT: &str = "    ";

/// The rows so far decide how wide a column is.
pub(super) struct Table {
    zone: TimeZone,
    year: i16,
    screen: Screen,
    account: usize,
}

impl Table {
    pub(super) fn new(zone: TimeZone, year: i16, screen: Screen) -> Self {
        Self { zone, year, screen, account: 0 }
    }

    /// `Nov 23 22:53:01  sent      + verified    TLSv1.3  relay  admin@example.com  4XYZ`, and what went wrong in lines below it;
    /// safe for a terminal.
    pub(super) fn row(&mut self, entry: &Entry) -> String {
        let time = entry.time.to_zoned_datetime(self.zone.clone());
        let time = time.strftime(if time.year() == self.year { "%b %e %H:%M:%S" } else { "%Y-%m-%d %H:%M" }).to_string();
        let account = entry.account.as_deref().unwrap_or("-");
        let account = match self.screen.columns {
            Some(_) => Text::<ROOM>::new(&printable(account)).as_str().to_owned(),
            None => short(account),
        };
        self.account = self.account.max(account.chars().count()).min(ACCOUNT);
        let status = if entry.is_send() || entry.event == "queue" { entry.status.as_str() } else { &entry.event };
        let status = self.painted(&format!("{:<8}", shown(status)), shade_of(&entry.status));
        let (sign, shade) = sign(&entry.tls.result);
        let result = self.painted(&format!("{sign} {:<10}", shown(entry.tls.result.as_str())), shade);
        let version = short(entry.tls.version.as_deref().unwrap_or("-"));
        let head = format!("{time:<16} {status}  {result}  {version:<7}  {account:<width$}", width = self.account);
        let to = recipients(&entry.recipients);
        let tail = queue_id(entry).map_or(to.clone(), |id| format!("{to}  {}", short(id)));
        let mut row = self.joined(&head, &tail);
        for line in details(entry) {
            self.put(&mut row, &printable(&line));
        }
        self.screen.tame(row)
    }

    /// Head and tail in one line, or in several where the screen is too narrow.
    fn joined(&self, head: &str, tail: &str) -> String {
        let mut row = format!("{head}  {tail}").trim_end().to_owned() + "\n";
        let columns = row.chars().count() - 1 - if self.screen.colour { colours(&row) } else { 0 };
        if self.screen.columns.is_some_and(|most| columns > most) {
            row = head.trim_end().to_owned() + "\n";
            self.put(&mut row, tail);
        }
        row
    }

    /// A line below the row, broken where the screen ends.
    fn put(&self, row: &mut String, line: &str) {
        let lines = match self.screen.columns {
            Some(columns) => wrapped(line, columns.saturating_sub(INDENT.len()).max(1)),
            None => vec![line.to_owned()],
        };
        for line in lines {
            let _ = writeln!(row, "{INDENT}{}", line.trim_end());
        }
    }

    fn painted(&self, word: &str, shade: Option<&str>) -> String {
        match shade.filter(|_| self.screen.colour) {
            Some(shade) => format!("\x1b[{shade}m{word}\x1b[0m"),
            None => word.to_owned(),
        }
    }
}

/// Characters that only switch colours.
fn colours(text: &str) -> usize {
    text.split('\x1b').skip(1).filter_map(|rest| rest.find('m')).map(|end| end + 2).sum()
}

/// The line as the log has it, and a newline. Another program may have written what would drive a terminal: it is escaped
/// there, in the way of JSON, which gives the same string back.
pub(super) fn raw(text: &str, terminal: bool) -> String {
    let is_dangerous = |c: char| terminal && c >= '\x7f' && is_treacherous(c);
    let mut line = String::with_capacity(text.len() + 1);
    for c in text.chars() {
        if is_dangerous(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(line, "\\u{unit:04x}");
            }
        } else {
            line.push(c);
        }
    }
    line.push('\n');
    line
}

/// What tells the results apart where there is no colour, and the colour.
fn sign(result: &Word<TlsResult>) -> (char, Option<&'static str>) {
    match result.known() {
        Some(TlsResult::Verified) => ('+', Some("32")),
        Some(TlsResult::Unverified) => ('~', Some("33")),
        Some(TlsResult::Plaintext) => ('!', Some("31")),
        Some(TlsResult::None) => ('-', None),
        None => ('?', None),
    }
}

fn shade_of(status: &Word<Status>) -> Option<&'static str> {
    match status.known()? {
        Status::Sent | Status::Queued | Status::Held | Status::Released | Status::Removed => None,
        Status::Deferred | Status::Unknown => Some("33"),
        Status::Failed | Status::Rejected => Some("31"),
    }
}

/// A word of the record, or that there is none.
fn shown(word: &str) -> String {
    if word.is_empty() { "-".to_owned() } else { short(word) }
}

/// The first one, and how many more there are.
fn recipients(all: &[Recipient]) -> String {
    match all {
        [] => "-".to_owned(),
        [only] => shown(only.address.as_deref().unwrap_or_default()),
        [first, rest @ ..] => format!("{} +{}", shown(first.address.as_deref().unwrap_or_default()), rest.len()),
    }
}

/// The name that the server gave the message, where its reply tells it as Postfix and sendmail (`queued as`) or Exim (`id=`) do.
fn queue_id(entry: &Entry) -> Option<&str> {
    let reply = entry.reply.as_deref().filter(|_| entry.status == Status::Sent)?;
    let (_, id) = reply.split_once("queued as ").or_else(|| reply.split_once("id="))?;
    let id = id.split_whitespace().next()?;
    Some(id.trim_end_matches(['.', ',', ';', ')'])).filter(|id| !id.is_empty())
}

/// What went wrong: with TLS, with the message, with single recipients; nothing where all is well.
fn details(entry: &Entry) -> Vec<String> {
    let mut lines = Vec::new();
    let is_bad = if entry.is_send() { entry.status != Status::Sent } else { entry.error.is_some() };
    if is_bad || entry.tls.failure.is_some() || entry.tls.downgrade {
        let id = entry.id.as_deref().map(|id| format!("  [{}]", Text::<ADDRESS>::new(id))).unwrap_or_default();
        lines.push(format!("{}{id}", Text::<WORDS>::new(&why(entry))));
    }
    if entry.tls.downgrade {
        lines.push("downgrade: this host offered TLS before".to_owned());
    }
    if entry.is_send() && entry.recipients.len() > 1 {
        let fared_badly =
            entry.recipients.iter().filter(|recipient| recipient.status != Status::Sent && !is_told(entry, recipient));
        lines.extend(fared_badly.take(RECIPIENTS).map(fate));
    }
    lines
}

fn why(entry: &Entry) -> String {
    if let Some(error) = &entry.error {
        return error.clone();
    }
    let host = entry.host.as_deref().unwrap_or("nowhere");
    let place = match entry.port {
        Some(port) if host.contains(':') => format!("[{host}]:{port}"),
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    };
    let failure = entry.tls.failure.as_ref().map(|failure| match &entry.tls.detail {
        Some(detail) => format!("{failure} ({detail})"),
        None => failure.to_string(),
    });
    // A 250 to the message says nothing of the recipients that were refused before it, and what the server said to one of
    // several stands beside that one.
    let is_ones = entry.recipients.len() > 1 && entry.recipients.iter().any(|recipient| recipient.reply == entry.reply);
    let is_bad = entry.status != Status::Sent && !is_ones && entry.code.is_none_or(|code| code >= 300);
    let reply = is_bad.then(|| reply(entry.code, entry.enhanced.as_deref(), entry.reply.as_deref())).flatten();
    let said: Vec<String> = [failure, reply].into_iter().flatten().collect();
    if said.is_empty() { place } else { format!("{place}: {}", said.join("; ")) }
}

/// Whether the error of the record says what the server said to this recipient.
fn is_told(entry: &Entry, recipient: &Recipient) -> bool {
    match (&entry.error, &recipient.reply) {
        (Some(error), Some(reply)) => error.contains(reply.as_str()),
        (_, None) => recipient.status == entry.status,
        (None, Some(_)) => false,
    }
}

fn fate(recipient: &Recipient) -> String {
    let reply = reply(recipient.code, recipient.enhanced.as_deref(), recipient.reply.as_deref());
    let reply = reply.map(|reply| format!(": {}", Text::<WORDS>::new(&reply))).unwrap_or_default();
    format!("<{}> {}{reply}", Text::<ADDRESS>::new(recipient.address.as_deref().unwrap_or_default()), recipient.status)
}

fn reply(code: Option<u16>, enhanced: Option<&str>, text: Option<&str>) -> Option<String> {
    let words = [code.map(|code| code.to_string()), enhanced.map(str::to_owned), text.map(str::to_owned)];
    let words: Vec<String> = words.into_iter().flatten().filter(|word| !word.is_empty()).collect();
    if words.is_empty() { None } else { Some(words.join(" ")) }
}

fn short(text: &str) -> String {
    printable(Text::<ADDRESS>::new(text).as_str())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry(rest: &str, tls: &str) -> Entry {
        let line = format!(r#"{{"time":"2026-11-23T22:53:01.123Z","event":"send",{rest},"tls":{{{tls}}}}}"#);
        Entry::parse(line.as_bytes()).unwrap_or_else(|| panic!("{line}")).1
    }

    const PLAIN: Screen = Screen { columns: None, colour: false, utf8: true };
    const NARROW: Screen = Screen { columns: Some(80), colour: true, utf8: false };

    fn table(screen: Screen) -> Table {
        Table::new(TimeZone::UTC, 2026, screen)
    }

    const VERIFIED: &str = r#""result":"verified","version":"TLSv1.3""#;

    #[test]
    fn a_good_send_is_one_line_of_eighty_columns() {
        let sent = r#""status":"sent","account":"relay","host":"smtp.example.com","port":587,"reply":"2.0.0 Ok: queued as 4XYZ",
                      "recipients":[{"address":"admin@example.com","status":"sent","code":250}]"#;
        let row = table(PLAIN).row(&entry(sent, VERIFIED));
        assert_eq!(row, "Nov 23 22:53:01  sent      + verified    TLSv1.3  relay  admin@example.com  4XYZ\n");
        assert_eq!(row.len(), 81);
        let row = table(NARROW).row(&entry(sent, VERIFIED));
        assert!(row.contains("\x1b[32m+ verified  \x1b[0m  TLSv1.3") && row.lines().count() == 1, "{row:?}");
        let old = Table::new(TimeZone::UTC, 2027, PLAIN).row(&entry(sent, VERIFIED));
        assert!(old.starts_with("2026-11-23 22:53 sent      + verified "), "{old}");
    }

    #[test]
    fn what_does_not_fit_goes_below_and_nothing_is_wider_than_the_screen() {
        let sent = r#""status":"sent","account":"a-rather-long-account","host":"smtp.example.com","port":587,
            "reply":"2.0.0 Ok: queued as 4XYZ","recipients":[{"address":"administration@departement.example.com","status":"sent"}]"#;
        let tls = r#""result":"unverified","failure":"validation-failure","detail":"é many words that say what was wrong with it, and more of them""#;
        let rows = table(NARROW).row(&entry(sent, tls));
        let bare: Vec<String> = rows.lines().map(|row| row.replace("\x1b[33m", "").replace("\x1b[0m", "")).collect();
        assert_eq!(
            bare,
            [
                "Nov 23 22:53:01  sent      ~ unverified  -        a-rather-long-account",
                "    administration@departement.example.com  4XYZ",
                "    smtp.example.com:587: validation-failure (? many words that say what was",
                "    wrong with it, and more of them)",
            ]
        );
    }

    #[test]
    fn an_account_with_a_long_name_leaves_the_screen_as_wide_as_it_is() {
        let name = "a-name-that-somebody-chose-who-likes-to-type-a-lot";
        let rejected = format!(r#""status":"rejected","account":"{name}""#);
        let screen = Screen { colour: false, ..NARROW };
        let row = table(screen).row(&entry(&rejected, r#""result":"none""#));
        assert_eq!(row.lines().next(), Some("Nov 23 22:53:01  rejected  - none        -        a-name-that-somebody-chos?  -"));
        assert!(table(PLAIN).row(&entry(&rejected, r#""result":"none""#)).contains(name));
    }

    #[test]
    fn what_a_later_version_wrote_is_shown() {
        let later = r#""status":"parked","account":"relay","recipients":[{"address":"a@x","status":"parked"}]"#;
        let row = table(PLAIN).row(&entry(later, r#""result":"sealed","failure":"moonshine""#));
        assert_eq!(row, "Nov 23 22:53:01  parked    ? sealed      -        relay  a@x\n    nowhere: moonshine\n");
        let (_, bounce) = Entry::parse(br#"{"time":"2026-11-23T22:53:01Z","event":"bounce"}"#).unwrap();
        assert_eq!(table(PLAIN).row(&bounce), "Nov 23 22:53:01  bounce    ? -           -        -  -\n");
    }

    #[test]
    fn what_went_wrong_stands_below() {
        let unverified = r#""result":"unverified","version":"TLSv1.2","failure":"certificate-expired","detail":"expired in May""#;
        let partly = r#""status":"failed","id":"01M8","account":"relay","host":"mx.example","port":25,"code":250,"reply":"ok",
            "recipients":[{"address":"a@x","status":"sent","code":250},{"address":"b@x","status":"failed","code":550,"enhanced":"5.1.1","reply":"no"}]"#;
        let rejected = r#""status":"rejected","error":"reading c.toml: there is no account""#;
        let stripped = r#""result":"plaintext","failure":"starttls-not-supported","downgrade":true"#;
        let sent = r#""status":"sent","account":"a","host":"::1","port":25,"recipients":[]"#;
        for (entry, rows) in [
            (
                entry(
                    r#""status":"sent","id":"01M8","account":"relay","host":"mx.example","port":25,"recipients":[{"address":"a@x","status":"sent"}]"#,
                    unverified,
                ),
                vec![
                    "Nov 23 22:53:01  sent      ~ unverified  TLSv1.2  relay  a@x",
                    "    mx.example:25: certificate-expired (expired in May)  [01M8]",
                ],
            ),
            (
                entry(partly, VERIFIED),
                vec![
                    "Nov 23 22:53:01  failed    + verified    TLSv1.3  relay  a@x +1",
                    "    mx.example:25  [01M8]",
                    "    <b@x> failed: 550 5.1.1 no",
                ],
            ),
            (
                entry(rejected, r#""result":"none""#),
                vec!["Nov 23 22:53:01  rejected  - none        -        -  -", "    reading c.toml: there is no account"],
            ),
            (
                entry(sent, stripped),
                vec![
                    "Nov 23 22:53:01  sent      ! plaintext   -        a  -",
                    "    [::1]:25: starttls-not-supported",
                    "    downgrade: this host offered TLS before",
                ],
            ),
        ] {
            assert_eq!(table(PLAIN).row(&entry).lines().collect::<Vec<_>>(), rows);
        }
    }

    #[test]
    fn the_name_that_the_server_gave_is_found_where_servers_say_it() {
        for (reply, id) in [
            ("2.0.0 Ok: queued as 4XYZ", Some("4XYZ")),
            ("Ok: queued as 4XYZ.", Some("4XYZ")),
            ("OK id=1tEa7x-0000Az-2B", Some("1tEa7x-0000Az-2B")),
            ("queued as ", None),
            ("Message accepted", None),
        ] {
            let sent = format!(r#""status":"sent","reply":"{reply}""#);
            assert_eq!(queue_id(&entry(&sent, VERIFIED)), id, "{reply}");
        }
    }

    #[test]
    fn a_line_as_it_is_can_not_drive_a_terminal_and_is_the_same_json() {
        let line = "{\"a\":\"\u{9b}31m \u{202e}\u{e0041} é\"}";
        assert_eq!(raw(line, false), format!("{line}\n"));
        let tame = raw(line, true);
        assert!(!tame.trim_end().chars().any(is_treacherous), "{tame}");
        let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(value(&tame), value(line));
    }

    proptest! {
        #[test]
        fn nothing_in_a_record_can_forge_a_row(text in any::<String>()) {
            let quoted = serde_json::to_string(&text).unwrap();
            let rest = format!(r#""status":"failed","id":{quoted},"account":{quoted},"host":{quoted},"error":{quoted},"reply":{quoted},
                "recipients":[{{"address":{quoted},"status":"sent"}},{{"address":{quoted},"status":"failed","code":550,"reply":{quoted}}}]"#);
            let tls = format!(r#""result":"none","version":{quoted},"failure":"validation-failure","detail":{quoted}"#);
            let row = table(PLAIN).row(&entry(&rest, &tls));
            prop_assert!(row.lines().count() <= 3);
            prop_assert!(!row.replace('\n', "").chars().any(is_treacherous));
        }
    }
}
