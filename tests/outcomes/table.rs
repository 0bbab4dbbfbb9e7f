//! How is the table of outcomes read? (`table.txt` says what its columns mean)

/// The columns of outcomes, by what the account's TLS table says.
pub(crate) const POLICIES: [&str; 4] = [
    "policy = \"off\"",
    "policy = \"opportunistic\"",
    "policy = \"opportunistic\", on_downgrade = \"refuse\"",
    "policy = \"required\"",
];

/// Rows that come to the same, as far as the documentation goes.
#[derive(Debug)]
pub(crate) struct Situation {
    pub(crate) name: &'static str,
    /// The documentation shows it.
    pub(crate) shown: bool,
    pub(crate) rows: Vec<Row>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    pub(crate) line: usize,
    pub(crate) server: &'static str,
    pub(crate) start: &'static str,
    pub(crate) trust: &'static str,
    pub(crate) memory: Option<&'static str>,
    pub(crate) dns: Option<&'static str>,
    pub(crate) login: Option<&'static str>,
    /// Of an opportunistic account, then of a required one.
    pub(crate) offered: [Option<bool>; 2],
    pub(crate) failure: [Option<&'static str>; 2],
    /// In the order of [`POLICIES`].
    pub(crate) outcomes: [Outcome; 4],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) exit: i32,
    /// `None`: there is no attempt to tell of.
    pub(crate) result: Option<&'static str>,
    pub(crate) connections: usize,
    pub(crate) downgrade: bool,
}

/// All of it.
pub(crate) fn situations() -> Vec<Situation> {
    let mut situations: Vec<Situation> = Vec::new();
    for (index, line) in include_str!("table.txt").lines().enumerate() {
        let line_number = index + 1;
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some((mark, name)) = line.split_once(' ').filter(|(mark, _)| ["==", "--"].contains(mark)) {
            situations.push(Situation { name, shown: mark == "==", rows: Vec::new() });
        } else {
            let row = Row::parse(line_number, line).unwrap_or_else(|| panic!("table.txt:{line_number}: {line}"));
            situations.last_mut().expect("a situation before its rows").rows.push(row);
        }
    }
    situations
}

impl Row {
    fn parse(line_number: usize, line: &'static str) -> Option<Self> {
        let mut cells = line.split('|');
        let known = |word: &'static str| (word != "-").then_some(word);
        let pair = |word: &'static str| word.split_once('/').map_or([word, word], |(one, other)| [one, other]).map(known);
        let [server, start, trust, memory, dns, login, offered, failure] = array(cells.next()?.split_whitespace())?;
        let outcomes: Option<Vec<Outcome>> = cells.map(Outcome::parse).collect();
        Some(Self {
            line: line_number,
            server,
            start,
            trust,
            memory: known(memory),
            dns: known(dns),
            login: known(login),
            offered: pair(offered).map(|word| word.map(|word| word == "yes")),
            failure: pair(failure),
            outcomes: outcomes?.try_into().ok()?,
        })
    }

    /// The faults of the server.
    pub(crate) fn faults(&self) -> impl Iterator<Item = &'static str> {
        self.server.split('+').filter(|fault| *fault != "good")
    }
}

impl Outcome {
    fn parse(cell: &'static str) -> Option<Self> {
        let mut words = cell.split_whitespace();
        let exit = words.next()?.parse().ok()?;
        let mut outcome = Self { exit, result: words.next(), connections: 1, downgrade: false };
        for mark in words {
            match mark {
                "+" => outcome.connections = 2,
                "!" => outcome.downgrade = true,
                _ => return None,
            }
        }
        Some(outcome)
    }

    /// `tls.status` of the record.
    pub(crate) fn status(self) -> &'static str {
        match self.exit {
            0 => "sent",
            75 => "deferred",
            _ => "failed",
        }
    }
}

fn array<T, const N: usize>(items: impl Iterator<Item = T>) -> Option<[T; N]> {
    items.collect::<Vec<_>>().try_into().ok()
}

#[test]
fn every_situation_has_rows_and_every_row_four_outcomes() {
    let situations = situations();
    assert!(situations.len() >= 9 && situations.iter().all(|situation| !situation.rows.is_empty()));
    for row in situations.iter().flat_map(|situation| &situation.rows) {
        let [off, .., required] = row.outcomes;
        assert!(off.result.is_none() == (off.exit == 78), "line {}", row.line);
        assert!(required.exit != 0 || required.result != Some("plaintext"), "line {}: required never is plaintext", row.line);
        let consistent = |outcome: &Outcome| (outcome.exit == 0) == outcome.result.is_some_and(|result| result != "none");
        assert!(row.outcomes.iter().all(consistent), "line {}", row.line);
    }
}
