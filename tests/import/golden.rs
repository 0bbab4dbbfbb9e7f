//! Each case against what has to come out of it.

use std::{env, fs};

use crate::kit::{Case, ann, cases, mode, secrets};

#[test]
fn every_configuration_becomes_what_is_written_beside_it() {
    let cases = cases();
    assert!(cases.len() >= 40, "{} cases: is the search right?", cases.len());
    let wrong: Vec<String> = cases.iter().flat_map(compare).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What is not as it should be.
fn compare(case: &Case) -> Vec<String> {
    let sealpost = ann();
    let shown = case.import(&sealpost, &[]);
    assert_eq!(shown.code, 0, "{}: {}", case.name, shown.stderr);
    let config = sealpost.scratch.path().join("out/config.toml");
    let written = case.import(&sealpost, &["-o", config.to_str().unwrap()]);
    assert_eq!(written.code, 0, "{}: {}", case.name, written.stderr);
    assert_eq!(written.stdout, "", "{}", case.name);
    assert_eq!(fs::read_to_string(&config).unwrap(), shown.stdout, "{}", case.name);
    assert_eq!(mode(&config), 0o600, "{}", case.name);

    // Ours, read by ours: no warning is about the configuration itself, only about files that this machine lacks.
    let checked = sealpost.command(&["config", "check", "-C", config.to_str().unwrap()], b"");
    assert_eq!(checked.code, 0, "{}: {}", case.name, checked.stderr);

    let kept = secrets(config.parent().unwrap());
    for (file, line) in &kept {
        let secret = line.strip_suffix('\n').unwrap();
        for (where_, text) in [("stdout", &shown.stdout), ("stderr", &shown.stderr), ("stderr of -o", &written.stderr)] {
            assert!(!text.contains(secret), "{}: the secret of {file} is on {where_}", case.name);
        }
    }
    let kept = kept.iter().map(|(file, line)| format!("{file}: {line}")).collect::<Vec<_>>().concat();
    let expected = [("expected.toml", &shown.stdout), ("expected.told", &shown.stderr), ("expected.secrets", &kept)];
    expected.into_iter().filter_map(|(file, text)| differs(case, file, text)).collect()
}

fn differs(case: &Case, file: &str, text: &str) -> Option<String> {
    let path = case.root.join(file);
    if env::var_os("BLESS").is_some() {
        match text {
            "" => drop(fs::remove_file(&path)),
            text => fs::write(&path, text).unwrap(),
        }
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    (expected != text).then(|| format!("{}/{file} should be\n{expected}\nand is\n{text}", case.name))
}

#[test]
fn what_is_told_fits_a_terminal_and_has_no_control_character() {
    for case in cases() {
        let told = case.import(&ann(), &[]).stderr;
        for line in told.lines() {
            assert!(line.chars().count() < 80 || !line.trim_start().contains(' '), "{}: {line}", case.name);
            assert!(!line.chars().any(char::is_control), "{}: {line:?}", case.name);
        }
    }
}
