//! Does what happened satisfy a case of callers.json? (the recorded calls of real programs)

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, de::IgnoredAny};

use super::recorder::{Mail, Seen};

/// One case; a key that nobody knows here is an error, not a check left out.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    pub(crate) id: String,
    pub(crate) caller: String,
    pub(crate) argv: Vec<String>,
    pub(crate) stdin: String,
    pub(crate) user: Option<String>,
    #[serde(default)]
    pub(crate) env: BTreeMap<String, Option<String>>,
    pub(crate) protocol: Option<String>,
    pub(crate) expect: Expect,
    #[serde(default)]
    pub(crate) count: BTreeMap<String, usize>,
    pub(crate) evidence: String,
    // "CRLF only, no bare CR or LF": the recorder holds every case to that.
    #[serde(rename = "wire")]
    _wire: Option<IgnoredAny>,
    #[serde(default)]
    pub(crate) contested: bool,
    #[serde(rename = "note")]
    _note: Option<IgnoredAny>,
    #[serde(rename = "source")]
    _source: IgnoredAny,
    /// The implementations that did as expected when the cases were collected, and what the others did.
    pub(crate) verified_on: Vec<String>,
    pub(crate) failed_on: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Expect {
    pub(crate) exit: i32,
    pub(crate) exit_accept: Option<Accept>,
    pub(crate) envelope_from: Option<String>,
    #[serde(default)]
    pub(crate) envelope_from_accept: Vec<String>,
    pub(crate) rcpts: Vec<String>,
    #[serde(default)]
    pub(crate) rcpts_accept: Vec<Vec<String>>,
    pub(crate) headers_present: Vec<String>,
    pub(crate) headers_absent: Vec<String>,
    pub(crate) body_contains: Option<String>,
    pub(crate) body_not_contains: Option<String>,
    #[serde(default = "yes")]
    pub(crate) quiet: bool,
    #[serde(default)]
    pub(crate) stdout_contains: Vec<String>,
    #[serde(default)]
    pub(crate) mail_params_if_dsn: Vec<String>,
    #[serde(default)]
    pub(crate) rcpt_params_if_dsn: Vec<String>,
    #[serde(default)]
    pub mail_params_if_8bitmime: Vec<String>,
}

/// `"nonzero"` or a list of codes.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Accept {
    Word(String),
    Codes(Vec<i32>),
}

fn yes() -> bool {
    true
}

/// What the caller and the smarthost saw.
pub(crate) struct Outcome {
    /// None: killed by a signal.
    pub(crate) exit: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) seen: Seen,
    /// The send log of sealpost; other programs have none of that kind.
    pub(crate) log: Option<String>,
}

/// Everything that differs from what the case expects.
pub(crate) fn differences(case: &Case, outcome: &Outcome) -> Vec<String> {
    let mut wrong: Vec<String> = outcome.seen.faults.iter().map(|fault| format!("protocol: {fault}")).collect();
    caller_side(case, outcome, &mut wrong);
    envelope(&case.expect, &outcome.seen, &mut wrong);
    for mail in &outcome.seen.mails {
        content(case, mail, &mut wrong);
    }
    log(outcome, &mut wrong);
    wrong
}

fn caller_side(case: &Case, outcome: &Outcome, wrong: &mut Vec<String>) {
    let expect = &case.expect;
    let accepted = match (&expect.exit_accept, outcome.exit) {
        (_, Some(exit)) if exit == expect.exit => true,
        (Some(Accept::Word(word)), Some(exit)) => word == "nonzero" && exit != 0,
        (Some(Accept::Codes(codes)), Some(exit)) => codes.contains(&exit),
        _ => false,
    };
    if !accepted {
        wrong.push(format!("exit {:?}, not {}; stderr {:?}", outcome.exit, expect.exit, outcome.stderr));
    }
    if expect.quiet && outcome.exit == Some(0) && !(outcome.stdout.is_empty() && outcome.stderr.is_empty()) {
        wrong.push(format!("not quiet: {:?} {:?}", outcome.stdout, outcome.stderr));
    }
    if outcome.exit != Some(0) && outcome.stderr.is_empty() {
        wrong.push("failed without a word".to_owned());
    }
    for text in expect.stdout_contains.iter().filter(|text| !outcome.stdout.contains(*text)) {
        wrong.push(format!("no {text:?} in stdout {:?}", outcome.stdout));
    }
}

fn envelope(expect: &Expect, seen: &Seen, wrong: &mut Vec<String>) {
    let Some(sender) = &expect.envelope_from else {
        if !seen.mails.is_empty() {
            let to: Vec<_> = seen.mails.iter().flat_map(|mail| &mail.recipients).collect();
            wrong.push(format!("something was sent to {to:?}"));
        }
        return;
    };
    if seen.mails.is_empty() {
        return wrong.push("nothing was sent".to_owned());
    }
    for mail in &seen.mails {
        if fold(&mail.from) != fold(sender) && !expect.envelope_from_accept.iter().any(|from| fold(from) == fold(&mail.from)) {
            wrong.push(format!("sender <{}>, not <{sender}>", mail.from));
        }
        params(&mail.from_params, expect.mail_params_if_dsn.iter().chain(&expect.mail_params_if_8bitmime), wrong);
        for recipient in &mail.recipients {
            params(&recipient.params, expect.rcpt_params_if_dsn.iter(), wrong);
        }
        let ascii = mail.from.is_ascii() && mail.recipients.iter().all(|recipient| recipient.address.is_ascii());
        if ascii && mail.from_params.iter().any(|param| param.eq_ignore_ascii_case("SMTPUTF8")) {
            wrong.push("SMTPUTF8 without need".to_owned());
        }
    }
    let found: Vec<String> =
        seen.mails.iter().flat_map(|mail| &mail.recipients).map(|recipient| fold(&recipient.address)).collect();
    let set: BTreeSet<String> = found.iter().cloned().collect();
    let matches = |wanted: &Vec<String>| wanted.iter().map(|address| fold(address)).collect::<BTreeSet<_>>() == set;
    if !matches(&expect.rcpts) && !expect.rcpts_accept.iter().any(matches) {
        wrong.push(format!("recipients {set:?}"));
    }
    if set.len() != found.len() {
        wrong.push(format!("a recipient gets it twice: {found:?}"));
    }
}

/// The order of words within a parameter (`NOTIFY=FAILURE,DELAY`) is free.
fn params<'a>(found: &[String], wanted: impl Iterator<Item = &'a String>, wrong: &mut Vec<String>) {
    let parts = |param: &str| {
        let (name, value) = param.split_once('=').unwrap_or((param, ""));
        (name.to_ascii_uppercase(), value.split(',').map(str::to_ascii_uppercase).collect::<BTreeSet<_>>())
    };
    for wanted in wanted {
        if !found.iter().any(|param| parts(param) == parts(wanted)) {
            wrong.push(format!("no {wanted} in {found:?}"));
        }
    }
}

fn content(case: &Case, mail: &Mail, wrong: &mut Vec<String>) {
    let expect = &case.expect;
    let text = String::from_utf8_lossy(&mail.data).replace("\r\n", "\n");
    // A message without a body may end with its header.
    let (header, body) = text.split_once("\n\n").unwrap_or((&text, ""));
    let fields = fields(header);
    for wanted in expect.headers_present.iter().filter(|wanted| !has(&fields, wanted)) {
        wrong.push(format!("no {wanted:?} in {fields:?}"));
    }
    for unwanted in expect.headers_absent.iter().filter(|unwanted| has(&fields, unwanted)) {
        wrong.push(format!("{unwanted:?} in {fields:?}"));
    }
    for (name, count) in &case.count {
        let found = fields.iter().filter(|(field, _)| field.eq_ignore_ascii_case(name)).count();
        if found != *count {
            wrong.push(format!("{name} occurs {found} times"));
        }
    }
    if let Some(part) = expect.body_contains.as_ref().filter(|part| !body.contains(*part)) {
        wrong.push(format!("no {part:?} in body {body:?}"));
    }
    if let Some(part) = expect.body_not_contains.as_ref().filter(|part| body.contains(*part)) {
        wrong.push(format!("{part:?} in body {body:?}"));
    }
}

/// Every line of the log is a record, and a message that was sent has one that says so.
fn log(outcome: &Outcome, wrong: &mut Vec<String>) {
    let Some(log) = &outcome.log else { return };
    let records: Result<Vec<serde_json::Value>, _> = log.lines().map(serde_json::from_str).collect();
    match records {
        Err(error) => wrong.push(format!("log: {error}")),
        Ok(records) if !outcome.seen.mails.is_empty() && !records.iter().any(|record| record["status"] == "sent") => {
            wrong.push(format!("no record of a message sent in the log {log:?}"));
        }
        Ok(_) => {}
    }
}

/// Names and unfolded values; a line that is neither field nor continuation counts as a field without value (`From `).
fn fields(header: &str) -> Vec<(String, String)> {
    let mut fields: Vec<(String, String)> = Vec::new();
    for line in header.lines() {
        match fields.last_mut() {
            Some((_, value)) if line.starts_with([' ', '\t']) => value.push_str(line),
            _ => {
                let (name, value) = line.split_once(':').filter(|(name, _)| !name.contains(' ')).unwrap_or((line, ""));
                fields.push((name.to_owned(), value.trim().to_owned()));
            }
        }
    }
    fields
}

/// `Name`, `Name: part of the value`, or `From ` for the line of an mbox.
fn has(fields: &[(String, String)], wanted: &str) -> bool {
    if wanted == "From " {
        return fields.iter().any(|(name, _)| name.starts_with("From ") || name.starts_with(">From "));
    }
    let (wanted, part) = wanted.split_once(": ").unwrap_or((wanted, ""));
    fields.iter().any(|(name, value)| name.eq_ignore_ascii_case(wanted) && value.contains(part))
}

/// The domain's case does not count.
fn fold(address: &str) -> String {
    match address.rsplit_once('@') {
        Some((local, domain)) => format!("{local}@{}", domain.to_ascii_lowercase()),
        None => address.to_owned(),
    }
}

#[test]
fn the_judge_reads_folded_fields_and_mbox_lines() {
    let fields = fields("From root Mon\nSubject: a\n b\nTO: x");
    assert!(has(&fields, "subject: a b") && has(&fields, "To") && has(&fields, "From "));
    assert!(!has(&fields, "From") && !has(&fields, "Subject: c"));
}
