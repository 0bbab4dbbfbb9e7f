//! Is every example that the documentation shows right: configurations that sealpost takes, commands that work?

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test says what is wrong by panicking")]

mod common;

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::fs::symlink,
    path::Path,
    process::{Child, Command, Stdio},
};

use clap::Parser;
use common::{MESSAGE, Sealpost};
use sealpost::{
    cmd::args::Cli,
    host::listen::{Settings, Sink},
};

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
fn every_command_in_the_documentation_works() {
    let mut examples = fenced("README.md", "sh");
    for page in manual_pages() {
        examples.extend(literal(&page).into_iter().filter(|e| !e.text.contains("[accounts.")));
        examples.extend(displayed(&page));
    }
    assert!(examples.len() >= 12, "{} examples: is the search right?", examples.len());
    let stage = Stage::set();
    // The servers that the examples start, until all have been talked to.
    let mut servers = Servers(Vec::new());
    let mut wrong = Vec::new();
    for example in examples {
        for line in example.text.lines().filter(|line| is_ours(line)) {
            let failure = if line.starts_with("sealpost sink") { servers.start(&stage, line) } else { stage.run(line) };
            wrong.extend(failure.map(|why| format!("{}: {line}: {why}", example.place)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_command_that_does_not_work_is_noticed() {
    let stage = Stage::set();
    assert_eq!(stage.run("echo hi | sendmail ann@example.com"), None);
    for wrong in ["sealpost nonsense", "sendmail -Z ann@example.com < message", "echo hi | sendmail -C gone.toml ann@example.com"] {
        assert!(stage.run(wrong).is_some(), "taken for right: {wrong}");
    }
}

#[test]
fn every_command_that_a_help_shows_can_be_parsed() {
    let sealpost = Sealpost::new("");
    let mut seen = 0;
    for command in ["", "check", "setup", "config", "config import", "queue", "log", "report", "trust", "sink", "demo"] {
        let topic: Vec<&str> = command.split_whitespace().chain(["--help"]).collect();
        let run = sealpost.command(&topic, b"");
        assert_eq!(run.code, 0, "{topic:?}");
        let examples = run.stdout.split("Examples:\n").nth(1).unwrap_or_default();
        for line in examples.lines().filter_map(|line| line.strip_prefix("  sealpost ")) {
            let command = line.split("  ").next().unwrap();
            let words = std::iter::once("sealpost").chain(command.split_whitespace());
            Cli::try_parse_from(words).unwrap_or_else(|error| panic!("sealpost {command}: {error}"));
            seen += 1;
        }
    }
    assert!(seen >= 13, "{seen} examples: is the search right?");
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
    let scratch = common::Scratch::new();
    let page = scratch
        .write("x.5", ".Sh EXAMPLES\ntext\n.Bd -literal -offset indent\n[accounts.a]\nhost = \\(dqx\\(dq # \\e\n\\&.x\n.Ed\n");
    assert_eq!(literal(&page)[0].text, "[accounts.a]\nhost = \"x\" # \\\n.x\n");
}

/// What builds, tests and installs sealpost is not run: that would change the machine, or run this test within itself.
fn is_ours(line: &str) -> bool {
    !line.is_empty() && ["cargo ", "tests/run", "install ", "ln -s "].iter().all(|other| !line.starts_with(other))
}

/// A place where the examples find what they name: the programs, a smarthost, a message, a log.
struct Stage {
    sealpost: Sealpost,
    _sink: Sink,
}

impl Stage {
    fn set() -> Self {
        let sink = Sink::start(Settings::default()).unwrap();
        let account = |trust| {
            let port = sink.address.port();
            format!("[accounts.relay]\nhost = \"localhost\"\nport = {port}\ntls = {{ {trust} }}\n")
        };
        let mut sealpost = Sealpost::new(&account("ca_file = \"ca.pem\""));
        let scratch = &sealpost.scratch;
        scratch.write("ca.pem", sink.ca_pem.as_deref().unwrap());
        scratch.write("message", MESSAGE);
        scratch.write(".msmtprc", "account default\nhost smtp.example.com\ntls on\nauth on\nuser me\npassword secret\n");
        let config = fs::read_to_string(scratch.path().join("config.toml")).unwrap();
        scratch.write("new.toml", &config);
        scratch.write("any.toml", config.replace("ca_file = \"ca.pem\"", "trust = \"any\""));
        fs::create_dir_all(scratch.path().join(".local/share/bash-completion/completions")).unwrap();
        let programs = scratch.path().join("bin");
        fs::create_dir(&programs).unwrap();
        for name in ["sealpost", "sendmail"] {
            symlink(common::binary(), programs.join(name)).unwrap();
        }
        // A program of the caller's, which the examples call `report`.
        symlink("/bin/echo", programs.join("report")).unwrap();
        let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
        let config = scratch.path().join("config.toml").display().to_string();
        sealpost.environment = vec![("PATH".to_owned(), path), ("SEALPOST_CONFIG".to_owned(), config)];
        let stage = Self { sealpost, _sink: sink };
        // The log has something to be found in it: a mail that went to a server without a name.
        assert_eq!(stage.run("echo hi | sendmail -C any.toml ann@example.com"), None);
        stage
    }

    /// Runs a line of shell; what went wrong, if it did.
    fn run(&self, line: &str) -> Option<String> {
        let run = common::run(self.shell(line), b"");
        (run.code != 0).then(|| format!("exit {}: {}{}", run.code, run.stderr, run.stdout))
    }

    fn shell(&self, line: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        let home = self.sealpost.scratch.path();
        command.args(["-e", "-c", line]).current_dir(home).env_clear().env("HOME", home);
        command.envs(self.sealpost.environment.iter().map(|(name, value)| (name, value)));
        command
    }
}

/// Sinks in the background, ended when the value goes.
struct Servers(Vec<Child>);

impl Servers {
    /// Starts one and waits until it has said all that it has to say.
    fn start(&mut self, stage: &Stage, line: &str) -> Option<String> {
        let mut child = stage.shell(&format!("exec {line}")).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let said: Vec<String> = BufReader::new(child.stderr.as_mut().unwrap())
            .lines()
            .map_while(Result::ok)
            .take_while(|line| !line.starts_with("printf "))
            .collect();
        let listens = said.iter().any(|line| line.starts_with("sealpost sink listens on "));
        self.0.push(child);
        (!listens).then(|| said.join("\n"))
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
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
            example.text += &(shown(line) + "\n");
        }
    }
    found
}

/// The `.Dl` lines of an mdoc page: one command each.
fn displayed(page: &Path) -> Vec<Example> {
    let text = fs::read_to_string(page).unwrap();
    let lines = text.lines().enumerate().filter_map(|(index, line)| Some((index, line.strip_prefix(".Dl ")?)));
    lines.map(|(index, line)| Example { place: format!("{}:{}", page.display(), index + 1), text: shown(line) }).collect()
}

/// A line as a reader sees it.
fn shown(line: &str) -> String {
    let shown = line.replace("\\&", "").replace("\\(dq", "\"").replace("\\(aq", "'").replace("\\-", "-");
    shown.replace("\\e", "\\")
}
