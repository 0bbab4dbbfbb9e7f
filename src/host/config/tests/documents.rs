//! What is printed for people is true: the manual names every key, and every example is a configuration.

use std::{fs, path::Path};

use super::super::{environment, keys};

const MANUAL: &str = include_str!("../../../../man/sealpost.toml.5");

#[test]
fn the_manual_names_every_key_and_every_variable() {
    let items: Vec<&str> = MANUAL.lines().filter_map(|line| line.strip_prefix(".It ")).collect();
    let keys = keys::TABLES
        .iter()
        .flat_map(|table| table.keys.iter().copied())
        .filter(|key| !["log", "memory", "queue", "serve", "limits", "dns", "accounts"].contains(key));
    for key in keys {
        let is_named = |item: &str| item.starts_with("Ic ") && item.split([' ', ',']).any(|word| word == key);
        assert!(items.iter().any(|item| is_named(item)), "{key}");
    }
    // Of those that have keys of the same names, each in its own section.
    for (heading, table) in [("QUEUE", &keys::QUEUE), ("SERVE", &keys::SERVE)] {
        let section = MANUAL.split(&format!(".Sh {heading}\n")).nth(1).unwrap().split("\n.Sh ").next().unwrap();
        for key in table.keys {
            assert!(section.contains(&format!(".It Ic {key} No = Ar ")), "{heading}: {key}");
        }
    }
    for name in environment::names() {
        let is_named = |item: &str| item.starts_with("Ev ") && item.split(' ').any(|word| word == name);
        assert!(items.iter().any(|item| is_named(item)), "{name}");
    }
}

#[test]
fn every_example_of_the_manual_is_a_configuration() {
    let examples: Vec<&str> =
        MANUAL.split("\n.Bd -literal -offset indent\n").skip(1).map(|rest| rest.split("\n.Ed\n").next().unwrap()).collect();
    assert_eq!(examples.len(), 14);
    for example in examples {
        super::read(example).unwrap_or_else(|error| panic!("{example}\n{}", error.render("manual")));
    }
}

#[test]
fn every_shipped_example_is_a_configuration() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/examples");
    let mut read = 0;
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("# "), "{} says what it is for", path.display());
        super::read(&text).unwrap_or_else(|error| panic!("{}", error.render(&path.display().to_string())));
        read += 1;
    }
    assert!(read >= 12, "{read}");
}
