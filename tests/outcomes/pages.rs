//! Do the manual and the README show the table of outcomes as it is? (`UPDATE_DOCS=1 cargo test --test outcomes` writes it there)

use std::{env, fs, path::Path};

use crate::table::{Outcome, Row, Situation, situations};

const OPPORTUNISTIC: usize = 1;
const REFUSE: usize = 2;
const REQUIRED: usize = 3;

/// Columns of a terminal, and what mandoc(1) puts before a table and between its columns.
const WIDTH: usize = 80;
const INDENT: usize = 5;
const GAP: usize = 4;

#[test]
fn the_manual_and_the_readme_show_what_is_tested() {
    let situations: Vec<Situation> = situations().into_iter().filter(|situation| situation.shown).collect();
    let mut stale = Vec::new();
    for (file, mark, end, text) in [
        ("man/sealpost.1", ".\\\" Made of tests/outcomes/table.txt:\n", ".\\\" End of what is made.\n", manual(&situations)),
        ("README.md", "<!-- Made of tests/outcomes/table.txt: -->\n", "<!-- End of what is made. -->\n", readme(&situations)),
    ] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        let page = fs::read_to_string(&path).unwrap();
        let (before, rest) = page.split_once(mark).unwrap_or_else(|| panic!("{file} has no line {mark:?}"));
        let (shown, after) = rest.split_once(end).unwrap_or_else(|| panic!("{file} has no line {end:?}"));
        if shown == text {
            continue;
        }
        if env::var_os("UPDATE_DOCS").is_some() {
            fs::write(&path, [before, mark, &text, end, after].concat()).unwrap();
        } else {
            stale.push(format!("{file} should say (UPDATE_DOCS=1 writes it):\n{text}"));
        }
    }
    assert!(stale.is_empty(), "{}", stale.join("\n"));
}

/// What all rows of a situation have in common under a policy: the documentation says it once.
fn common(situation: &Situation, policy: usize) -> Outcome {
    let outcomes: Vec<Outcome> = situation.rows.iter().map(|row| row.outcomes[policy]).collect();
    let same = outcomes.iter().all(|outcome| *outcome == outcomes[0]);
    assert!(same, "the rows of {:?} come to different things: it is more than one situation", situation.name);
    outcomes[0]
}

/// `off` needs no column: it is plaintext whatever the server does, and implicit TLS is refused as a configuration.
#[test]
fn off_is_plaintext_or_a_mistake() {
    for row in situations().iter().filter(|situation| situation.shown).flat_map(|situation| &situation.rows) {
        let expected = if row.start == "implicit" { (78, None) } else { (0, Some("plaintext")) };
        assert_eq!((row.outcomes[0].exit, row.outcomes[0].result), expected, "line {}", row.line);
    }
}

/// A table of mdoc(7).
fn manual(situations: &[Situation]) -> String {
    let header = ["situation", "opportunistic", "refuse", "required"].map(str::to_owned);
    let lines = situations.iter().map(|situation| {
        let [opportunistic, refuse, required] = [OPPORTUNISTIC, REFUSE, REQUIRED].map(|policy| told(common(situation, policy)));
        [situation.name.to_owned(), opportunistic, refuse, required]
    });
    let lines: Vec<[String; 4]> = std::iter::once(header).chain(lines).collect();
    let widest: Vec<&String> =
        (0..4).map(|column| lines.iter().map(|l| &l[column]).max_by_key(|cell| cell.len()).unwrap()).collect();
    let width = INDENT + widest.iter().map(|cell| cell.len()).sum::<usize>() + 3 * GAP;
    assert!(width <= WIDTH, "the table is {width} columns wide: {widest:?}");
    let widths: Vec<String> = widest.iter().map(|cell| format!("{cell:?}")).collect();
    let rows = lines.iter().enumerate().map(|(index, cells)| {
        let cells = cells.each_ref().map(|cell| if index == 0 { format!("Sy {cell}") } else { cell.clone() });
        format!(".It {}\n", cells.join(" Ta "))
    });
    format!(".Bl -column {}\n{}.El\n", widths.join(" "), rows.collect::<String>())
}

/// A table of Markdown.
fn readme(situations: &[Situation]) -> String {
    let mut text =
        "| situation | `opportunistic` | the same with `on_downgrade = \"refuse\"` | `required` (default) | `tls.failure` |\n"
            .to_owned();
    text += "|---|---|---|---|---|\n";
    for situation in situations {
        let [opportunistic, refuse, required] = [OPPORTUNISTIC, REFUSE, REQUIRED].map(|policy| told(common(situation, policy)));
        let failures = failures(&situation.rows);
        text += &format!("| {} | {opportunistic} | {refuse} | {required} | {failures} |\n", situation.name);
    }
    text
}

/// `0 plaintext`, `75 not sent`; `*` on a new connection, `!` with a warning.
fn told(outcome: Outcome) -> String {
    let result = outcome.result.map_or("refused", |result| if result == "none" { "not sent" } else { result });
    let anew = if outcome.connections > 1 { "*" } else { "" };
    format!("{} {result}{anew}{}", outcome.exit, if outcome.downgrade && outcome.exit == 0 { " !" } else { "" })
}

fn failures(rows: &[Row]) -> String {
    let mut names: Vec<String> = Vec::new();
    for name in rows.iter().flat_map(|row| row.failure).map(|name| name.map_or("–".to_owned(), |name| format!("`{name}`"))) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names.join(", ")
}
