use std::{fs, os::unix::fs::PermissionsExt as _};

use clap::Parser as _;

use super::*;
use crate::{
    cmd::args::{Cli, Command, ConfigAction},
    host::world::Pretend,
};

fn options(words: &[&str]) -> Options {
    let words = ["sealpost", "config", "import"].iter().chain(words);
    let Command::Config { action: ConfigAction::Import(options) } = Cli::try_parse_from(words).unwrap().command else { panic!() };
    options
}

/// Imports a system's configuration as root to the usual place; the place, what is there, and what was told.
fn for_the_system(mode: u32, secret: &str) -> (u32, Vec<String>, String) {
    let scratch = tempfile::tempdir().unwrap();
    let world = Pretend { uid: 0, etc: scratch.path().join("etc"), ..Pretend::default() };
    let source = scratch.path().join("msmtprc");
    fs::write(&source, format!("account default\nhost x.example\ntls on\nauth on\nuser me\n{secret}\n")).unwrap();
    fs::set_permissions(&source, fs::Permissions::from_mode(mode)).unwrap();
    let mut told = Vec::new();
    let exit = run(&world, &options(&["--write", source.to_str().unwrap()]), &mut io::sink(), &mut told).unwrap();
    assert_eq!(exit, Exit::Ok);
    let place = scratch.path().join("etc/sealpost");
    let mut names: Vec<String> =
        fs::read_dir(&place).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    let mode = fs::metadata(place.join("config.toml")).unwrap().permissions().mode() & 0o777;
    (mode, names, String::from_utf8(told).unwrap())
}

#[test]
fn the_systems_configuration_is_for_all_to_read_but_its_passwords_and_hidden_commands_are_not() {
    let (mode, names, told) = for_the_system(0o644, "password in-a-file");
    assert_eq!((mode, names.join(" ").as_str()), (0o644, "config.toml secrets"));
    assert!(told.contains("mail of other users"), "{told}");
    assert_eq!(for_the_system(0o644, "passwordeval cat /run/x").0, 0o644);
    assert_eq!(for_the_system(0o600, "passwordeval cat /run/x").0, 0o600);
}

#[test]
fn a_user_s_configuration_goes_to_the_users_place() {
    let scratch = tempfile::tempdir().unwrap();
    let world = Pretend { config_dir: Some(scratch.path().join("config/sealpost")), ..Pretend::default() };
    let source = scratch.path().join(".msmtprc");
    fs::write(&source, "account default\nhost x.example\ntls on\n").unwrap();
    let words = options(&["--write", source.to_str().unwrap()]);
    run(&world, &words, &mut io::sink(), &mut io::sink()).unwrap();
    let place = scratch.path().join("config/sealpost");
    assert!(fs::read_to_string(place.join("config.toml")).unwrap().contains("x.example"));
    assert_eq!(fs::metadata(&place).unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(fs::metadata(place.join("config.toml")).unwrap().permissions().mode() & 0o777, 0o600);
    let homeless = run(&Pretend::default(), &words, &mut io::sink(), &mut io::sink()).unwrap_err();
    assert!(homeless.advice().unwrap().contains("-o"));
}

#[test]
fn what_says_the_same_of_several_accounts_is_said_once() {
    let note = |account: &str, text: &str| Note { sort: Sort::Changed, account: Some(account.to_owned()), text: text.to_owned() };
    let notes = [note("a", "x"), note("b", "y"), note("c", "x"), note("c", "x")];
    assert_eq!(together(notes.iter()), [(vec!["a", "c"], "x"), (vec!["b"], "y")]);
}
