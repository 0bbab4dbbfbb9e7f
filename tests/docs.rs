//! Is every example that the documentation shows a configuration that sealpost takes?

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test says what is wrong by panicking")]

mod common;

use std::{fs, path::Path};

use common::Scratch;

/// A fenced block of a language in Markdown, or a literal block of a manual page, and the line where it starts.
struct Example {
    place: String,
    text: String,
}

#[test]
fn every_configuration_in_the_documentation_is_right() {
    let mut examples = fenced("README.md", "toml");
    assert!(examples.len() >= 3, "README.md shows {} configurations: is the search right?", examples.len());
    for page in manual_pages() {
        examples.extend(literal(&page).into_iter().filter(|e| e.text.contains("[accounts.")));
    }
    let wrong: Vec<String> = examples.iter().filter_map(|e| complaint(&e.text).map(|why| format!("{}: {why}", e.place))).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_check_of_the_examples_can_fail() {
    let right = "[accounts.relay]\nhost = \"smtp.example.com\"\n";
    assert_eq!(complaint(right), None);
    for wrong in ["[accounts.relay]\nhots = \"smtp.example.com\"\n", "[accounts.relay]\n", "[accounts.relay"] {
        assert!(complaint(wrong).is_some(), "taken for right: {wrong}");
    }
}

#[test]
fn the_readme_names_files_that_exist_and_commands_that_work() {
    let text = fs::read_to_string(root().join("README.md")).unwrap();
    let links = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let gone: Vec<&str> =
        links.filter(|link| !link.contains("://") && !root().join(link.split('#').next().unwrap()).exists()).collect();
    assert!(gone.is_empty(), "README.md links to what is not there: {gone:?}");
    for command in ["cargo run --release -- demo", "tests/run"] {
        assert!(text.contains(command), "README.md no longer says `{command}`");
    }
}

#[test]
fn literal_blocks_of_manual_pages_are_read_as_they_are_shown() {
    let scratch = Scratch::new();
    let page = scratch
        .write("x.5", ".Sh EXAMPLES\ntext\n.Bd -literal -offset indent\n[accounts.a]\nhost = \\(dqx\\(dq # \\e\n\\&.x\n.Ed\n");
    assert_eq!(literal(&page)[0].text, "[accounts.a]\nhost = \"x\" # \\\n.x\n");
}

/// What `config check` says against the text; `None` where it takes it.
fn complaint(text: &str) -> Option<String> {
    let sealpost = common::Sealpost::new("");
    let file = sealpost.scratch.write("example.toml", text);
    let run = sealpost.command(&["config", "check", "-C", file.to_str().unwrap()], b"");
    (run.code != 0).then(|| format!("exit {}: {}{}", run.code, run.stderr, run.stdout))
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn manual_pages() -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(root().join("man")).into_iter().flatten();
    entries.map(|e| e.unwrap().path()).collect()
}

fn fenced(file: &str, language: &str) -> Vec<Example> {
    let text = fs::read_to_string(root().join(file)).unwrap();
    let mut found = Vec::new();
    let mut open = false;
    for (index, line) in text.lines().enumerate() {
        if !open && line.strip_prefix("```") == Some(language) {
            open = true;
            found.push(Example { place: format!("{file}:{}", index + 2), text: String::new() });
        } else if line == "```" {
            open = false;
        } else if let (true, Some(example)) = (open, found.last_mut()) {
            example.text.extend([line, "\n"]);
        }
    }
    found
}

/// The `.Bd -literal` blocks of an mdoc page, its escapes undone.
fn literal(page: &Path) -> Vec<Example> {
    let text = fs::read_to_string(page).unwrap();
    let mut found = Vec::new();
    let mut open = false;
    for (index, line) in text.lines().enumerate() {
        if line.starts_with(".Bd -literal") {
            open = true;
            found.push(Example { place: format!("{}:{}", page.display(), index + 2), text: String::new() });
        } else if line.starts_with(".Ed") {
            open = false;
        } else if let (true, Some(example)) = (open, found.last_mut()) {
            let shown = line.replace("\\&", "").replace("\\(dq", "\"").replace("\\(aq", "'").replace("\\-", "-");
            example.text += &(shown.replace("\\e", "\\") + "\n");
        }
    }
    found
}
