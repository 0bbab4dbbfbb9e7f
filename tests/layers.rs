//! Do imports point down only and never in a circle, stay effects out of `mail/` and `smtp/`, and do files and functions stay small?

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test says what is wrong by panicking")]

use std::{fs, path::Path};

#[path = "layers/circles.rs"]
mod circles;
#[path = "layers/source.rs"]
mod source;

use circles::circles;
use source::{Mention, Source};

/// From the bottom to the top; a file may import from its own layer and from those before it.
const LAYERS: [&str; 5] = ["error", "mail", "smtp", "host", "cmd"];

/// Layers without effects: bytes in, values out.
const PURE: [&str; 2] = ["mail", "smtp"];

/// Lines of a file outside its tests.
const FILE_LINES: usize = 500;

/// Lines of a function, signature and braces included.
const FUNCTION_LINES: usize = 60;

/// Files that may be longer, and why. An entry that is no longer needed is an error.
const LONG_FILES: [(&str, &str); 0] = [];

/// Functions (`path::name`) that may be longer, and why. An entry that is no longer needed is an error.
const LONG_FUNCTIONS: [(&str, &str); 0] = [];

/// What a pure layer must not mention: paths that begin so …
const EFFECTS: [&str; 15] = [
    "std::fs",
    "std::net",
    "std::env",
    "std::process",
    "std::thread",
    "std::os",
    "std::io::stdin",
    "std::io::stdout",
    "std::io::stderr",
    "std::time::SystemTime",
    "core::net",
    "rustix",
    "nix",
    "directories",
    "rpassword",
];

/// … paths that end so …
const EFFECTFUL_CALLS: [&str; 8] = [
    "Instant::now",
    "SystemTime::now",
    "SystemTime::UNIX_EPOCH",
    "Timestamp::now",
    "Zoned::now",
    "SystemRandom::new",
    "TimeZone::system",
    "io::stderr",
];

/// … and macros.
const PRINTING: [&str; 5] = ["println!", "eprintln!", "print!", "eprint!", "dbg!"];

/// Values that live in an otherwise effectful module: an IP address does nothing.
const VALUES: [&str; 6] = ["IpAddr", "Ipv4Addr", "Ipv6Addr", "AddrParseError", "SocketAddr", "ParseError"];

#[test]
fn imports_point_down_only() {
    report("imports that point up", &files().iter().flat_map(upward).collect::<Vec<_>>());
}

#[test]
fn no_modules_need_each_other_in_a_circle() {
    report("circles of modules", &circles(&files()));
}

#[test]
fn mail_and_smtp_have_no_effects() {
    report("effects in a pure layer", &files().iter().flat_map(effects).collect::<Vec<_>>());
}

#[test]
fn every_file_says_in_its_first_line_which_question_it_answers() {
    let silent: Vec<String> = files().iter().filter(|f| !f.is_test() && f.question().is_none()).map(|f| f.path.clone()).collect();
    report("files without a first-line `//!` sentence", &silent);
}

#[test]
fn files_and_functions_stay_small() {
    let sources = files();
    report("long files", &long_files(&sources, &LONG_FILES));
    report("long functions", &long_functions(&sources, &LONG_FUNCTIONS));
}

#[test]
fn what_build_rs_sets_apart_is_there() {
    let build = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("build.rs")).unwrap();
    report("paths in build.rs of what there is not", &absent(&build, &files()));
}

fn files() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    let mut waiting = vec![root.clone()];
    while let Some(directory) = waiting.pop() {
        for entry in fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                waiting.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let name = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
                found.push(Source::new(&name, &fs::read_to_string(&path).unwrap()));
            }
        }
    }
    assert!(found.len() > 5, "found only {} source files: is the path right?", found.len());
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn report(what: &str, found: &[String]) {
    assert!(found.is_empty(), "{what}:\n  {}", found.join("\n  "));
}

fn height(layer: &str) -> Option<usize> {
    LAYERS.iter().position(|l| *l == layer)
}

fn upward(file: &Source) -> Vec<String> {
    // lib.rs and main.rs stand above all layers.
    let Some(own) = height(file.layer()) else { return Vec::new() };
    let target = |m: &Mention| (m.path[0] == "crate").then(|| m.path.get(1).cloned()).flatten();
    let up = |m: &Mention| {
        target(m).is_some_and(|t| match height(&t) {
            Some(theirs) => theirs > own,
            // `crate::*`, `crate::run`: the root is above every layer.
            None => true,
        })
    };
    file.mentions().iter().filter(|m| up(m)).map(|m| format!("{}:{}: {}", file.path, m.line, m.path.join("::"))).collect()
}

fn effects(file: &Source) -> Vec<String> {
    if !PURE.contains(&file.layer()) || file.is_test() {
        return Vec::new();
    }
    file.mentions()
        .iter()
        .filter(|m| is_effect(&m.path))
        .map(|m| format!("{}:{}: {}", file.path, m.line, m.path.join("::")))
        .collect()
}

fn is_effect(path: &[String]) -> bool {
    let whole = path.join("::");
    let begins = |rule: &str| whole == *rule || whole.starts_with(&format!("{rule}::"));
    let ends = |rule: &str| whole == *rule || whole.ends_with(&format!("::{rule}"));
    let value = path.iter().any(|segment| VALUES.contains(&segment.as_str()));
    let glob = whole == "std::*" || whole == "std::io::*" || whole == "std::time::*";
    PRINTING.contains(&whole.as_str())
        || EFFECTFUL_CALLS.iter().any(|r| ends(r))
        || glob
        || EFFECTS.iter().any(|r| begins(r)) && !value
}

fn long_files(sources: &[Source], allowed: &[(&str, &str)]) -> Vec<String> {
    let long: Vec<(String, usize)> = sources
        .iter()
        .filter(|f| !f.is_test())
        .map(|f| (f.path.clone(), f.lines()))
        .filter(|(_, lines)| *lines > FILE_LINES)
        .collect();
    against(&long, allowed)
}

fn long_functions(sources: &[Source], allowed: &[(&str, &str)]) -> Vec<String> {
    let long: Vec<(String, usize)> = sources
        .iter()
        .filter(|f| !f.is_test())
        .flat_map(|f| f.functions().into_iter().map(|g| (format!("{}::{}", f.path, g.name), g.lines)))
        .filter(|(_, lines)| *lines > FUNCTION_LINES)
        .collect();
    against(&long, allowed)
}

/// Paths of ours in the lists of build.rs that are neither a module nor a function in one.
fn absent(build: &str, sources: &[Source]) -> Vec<String> {
    let paths = build.lines().filter_map(|line| line.trim().strip_prefix("&[\"sealpost\", ")?.strip_suffix("],"));
    let paths = paths.map(|path| path.split(", ").map(|word| word.trim_matches('"').to_owned()).collect::<Vec<_>>());
    let is_module = |path: &[String]| sources.iter().any(|source| source.module().starts_with(path));
    let has_function = |module: &[String], name: &str| {
        sources.iter().any(|source| source.module() == module && source.functions().iter().any(|function| function.name == name))
    };
    let is_there =
        |path: &Vec<String>| is_module(path) || path.split_last().is_some_and(|(name, module)| has_function(module, name));
    paths.filter(|path| !is_there(path)).map(|path| path.join("::")).collect()
}

/// What is long without leave, and leave that nobody needs.
fn against(long: &[(String, usize)], allowed: &[(&str, &str)]) -> Vec<String> {
    let unasked = long.iter().filter(|(name, _)| !allowed.iter().any(|(a, _)| a == name));
    let idle = allowed.iter().filter(|(name, _)| !long.iter().any(|(l, _)| l == name));
    unasked
        .map(|(name, lines)| format!("{name}: {lines} lines"))
        .chain(idle.map(|(name, _)| format!("{name}: on the list, but short by now")))
        .collect()
}

// The checks themselves: each planted fault must be found, each innocent look-alike must not.

#[test]
fn a_planted_upward_import_is_found() {
    for (path, text) in [
        ("mail/a.rs", "use crate::smtp::reply::Reply;"),
        ("mail/a.rs", "use crate::{error::Exit, host::{config::Config, net}};"),
        ("mail/a.rs", "use crate::{\n    error::Exit,\n    cmd,\n};"),
        ("mail/a.rs", "fn f() { crate::host::net::dial(); }"),
        ("mail/a.rs", "use super::super::smtp::client;"),
        ("mail/a/b.rs", "use super::super::super::host;"),
        ("smtp/a.rs", "pub use crate::host::world::World;"),
        ("smtp/a.rs", "impl crate :: host :: world :: World {}"),
        ("host/a.rs", "use crate::cmd::submit as s;"),
        ("error.rs", "use crate::mail::address::Address;"),
        ("host/a.rs", "use crate::run;"),
        ("mail/a.rs", "use crate::*;"),
        ("mail/a.rs", "#[cfg(test)]\nmod tests { }\nuse crate::host::net;"),
    ] {
        assert!(!upward(&Source::new(path, text)).is_empty(), "not found in {path}: {text}");
    }
}

#[test]
fn a_downward_or_pretended_import_is_let_through() {
    for (path, text) in [
        ("cmd/a.rs", "use crate::{error::Error, host::net, mail::address::Address};"),
        ("smtp/a.rs", "use crate::mail::policy; // crate::host::net"),
        ("mail/a.rs", "use super::policy::Met; const S: &str = \"crate::host::net\";"),
        ("mail/a.rs", "const S: &str = r#\"use crate::host;\"#; const C: char = '\"'; use super::tls;"),
        ("mail/a.rs", "/* use crate::host; /* nested */ use crate::cmd; */ use super::tls;"),
        ("lib.rs", "use crate::cmd::args;"),
        ("main.rs", "fn main() { sealpost::run(); }"),
        ("mail/a.rs", "#[cfg(test)]\nmod tests {\n    use crate::host::config::Config;\n}"),
    ] {
        assert_eq!(upward(&Source::new(path, text)), Vec::<String>::new(), "in {path}: {text}");
    }
}

#[test]
fn a_planted_circle_is_found() {
    let sources = |files: &[(&str, &str)]| files.iter().map(|(path, text)| Source::new(path, text)).collect::<Vec<_>>();
    for (files, told) in [
        (
            vec![("mail/a.rs", "use super::b::B;"), ("mail/b.rs", "fn f() { crate::mail::a::g(); }")],
            "mail: a -> b -> a (mail/a.rs:1, mail/b.rs:1)",
        ),
        (
            // By a third, in the files of submodules, and it is one circle whoever begins.
            vec![
                ("cmd/a/x.rs", "\nuse crate::cmd::{b::y::Y, c};"),
                ("cmd/b/y.rs", "use crate::{error::Error, cmd::c::C};"),
                ("cmd/c.rs", "use super::a;"),
                ("cmd/a.rs", "mod x;"),
            ],
            "cmd: a -> c -> a (cmd/a/x.rs:2, cmd/c.rs:1)",
        ),
        (
            // What a module hands on is not its own: `X` is of `x`.
            vec![("cmd/m.rs", "pub use x::X;\nuse self::y::Y;"), ("cmd/m/x.rs", "use super::Y;"), ("cmd/m/y.rs", "use super::X;")],
            "cmd::m: x -> y -> x (cmd/m/x.rs:1, cmd/m/y.rs:1)",
        ),
    ] {
        assert_eq!(circles(&sources(&files))[0], told);
    }
}

#[test]
fn a_child_may_know_its_parent_and_a_test_whom_it_likes() {
    for files in [
        [("cmd/m.rs", "mod x; use x::X;"), ("cmd/m/x.rs", "use super::Y; use crate::cmd::m;")],
        [("cmd/a.rs", "use super::b;"), ("cmd/b.rs", "#[cfg(test)]\nmod tests {\n    use crate::cmd::a;\n}")],
        [("cmd/a.rs", "use super::b;"), ("cmd/b/tests.rs", "use crate::cmd::a;")],
        [("cmd/a.rs", "use super::b;"), ("host/b.rs", "use super::a;")],
        [("cmd/a.rs", "use super::b;"), ("cmd/b.rs", "use super::b::c; // super::a")],
    ] {
        let sources = files.map(|(path, text)| Source::new(path, text));
        assert_eq!(circles(&sources), Vec::<String>::new(), "{files:?}");
    }
}

#[test]
fn a_planted_effect_is_found() {
    for text in [
        "use std::fs;",
        "use std::{fmt, fs::File};",
        "use std::{\n    fmt,\n    net::{IpAddr, TcpStream},\n};",
        "fn f() { let t = std::time::Instant::now(); }",
        "use std::time::Instant; fn f() { Instant::now(); }",
        "use std::time::{Duration, SystemTime};",
        "use std::env;",
        "fn f() { std::process::abort(); }",
        "fn f() { println!(\"x\"); }",
        "fn f() { std::eprintln!(\"x\"); }",
        "use rustix::fs::stat;",
        "use nix::unistd::User;",
        "use jiff::Zoned; fn f() { Zoned::now(); }",
        "fn f() { jiff::Timestamp::now(); }",
        "use std::*;",
        "use std::io; fn f() { io::stderr(); }",
        "use ring::rand::SystemRandom; fn f() { SystemRandom::new(); }",
    ] {
        assert!(!effects(&Source::new("smtp/a.rs", text)).is_empty(), "not found: {text}");
        assert!(effects(&Source::new("host/a.rs", text)).is_empty(), "host may have effects: {text}");
    }
}

#[test]
fn a_value_or_a_test_is_no_effect() {
    for text in [
        "use std::{fmt, net::{IpAddr, Ipv4Addr}};",
        "use std::net::IpAddr; fn f(a: IpAddr) -> Option<std::net::Ipv6Addr> { None }",
        "use std::io::{self, Read}; fn f() -> io::Result<()> { Ok(()) }",
        "use std::time::Duration;",
        "use jiff::fmt::rfc2822;",
        "//! Talks of std::fs and println!.\nfn f() {}",
        "fn f() -> &'static str { \"std::fs::read\" }",
        "#[cfg(test)]\nmod tests {\n    use std::fs;\n    fn f() { println!(\"{}\", '{'); }\n}",
    ] {
        assert_eq!(effects(&Source::new("smtp/a.rs", text)), Vec::<String>::new(), "{text}");
    }
    assert!(effects(&Source::new("smtp/client/tests.rs", "use std::fs;")).is_empty());
}

#[test]
fn a_path_in_build_rs_that_leads_nowhere_is_found() {
    let sources = [Source::new("cmd/a/b.rs", "fn run() {}"), Source::new("cmd/c.rs", "")];
    let line = |path: &str| format!("const SELDOM: &[&[&str]] = &[\n    &[\"sealpost\", {path}],\n    &[\"clap\"],\n];\n");
    for there in ["\"cmd\", \"a\"", "\"cmd\", \"a\", \"b\"", "\"cmd\", \"a\", \"b\", \"run\"", "\"cmd\", \"c\""] {
        assert_eq!(absent(&line(there), &sources), Vec::<String>::new());
    }
    for (path, told) in
        [("\"cmd\", \"d\"", "cmd::d"), ("\"cmd\", \"c\", \"run\"", "cmd::c::run"), ("\"cmd\", \"a\", \"run\"", "cmd::a::run")]
    {
        assert_eq!(absent(&line(path), &sources), [told]);
    }
}

#[test]
fn a_missing_first_sentence_is_found() {
    for text in ["use std::fmt;", "// no doc comment here, a plain one.", "//! word", "\n//! What is a line too late?"] {
        assert_eq!(Source::new("mail/a.rs", text).question(), None, "{text}");
    }
    assert!(Source::new("mail/a.rs", "//! What is a mail address? (RFC 5321 4.1.2)").question().is_some());
}

#[test]
fn a_long_file_and_a_long_function_are_found_and_tests_do_not_count() {
    let body = "    let x = 1;\n";
    let exact = format!("fn f() -> [u8; 2] {{\n{}}}\n", body.repeat(FUNCTION_LINES - 2));
    let long = format!("fn g(\n    a: u8,\n) {{\n    if a {{\n    }}\n{}}}\n", body.repeat(FUNCTION_LINES - 5));
    let sources = [Source::new("mail/a.rs", &exact), Source::new("mail/b.rs", &long)];
    assert_eq!(long_functions(&sources, &[]), ["mail/b.rs::g: 61 lines"]);
    assert!(long_functions(&sources, &[("mail/b.rs::g", "a table")]).is_empty());
    assert_eq!(long_functions(&sources[..1], &[("mail/a.rs::f", "a table")]).len(), 1, "an idle entry is an error");

    let tests = format!("#[cfg(test)]\nmod tests {{\n    fn t() {{\n{}    }}\n}}\n", body.repeat(100));
    let file = |lines: usize| Source::new("mail/c.rs", &format!("{}{tests}", "const X: u8 = 1;\n".repeat(lines)));
    assert!(long_files(&[file(FILE_LINES)], &[]).is_empty());
    assert_eq!(long_files(&[file(FILE_LINES + 1)], &[]), ["mail/c.rs: 501 lines"]);
    assert!(long_functions(&[file(1)], &[]).is_empty());
}
