//! Do the recipes of the manual work, with stand-ins that take the same arguments and print as the programs do?

use std::{fs, os::unix::fs::PermissionsExt as _};

use crate::{
    common::{MESSAGE, PASSWORD, Sealpost, USER},
    kit::smarthost,
};

const MANUAL: &str = include_str!("../../man/sealpost.toml.5");

/// What stands in for a program: its arguments are checked, and it prints and complains as the program itself.
const STAND_INS: [(&str, &str, &str); 3] = [
    ("pizauth", r#"[ "$*" = "show work" ]"#, "ERROR - No account matches"),
    ("oama", r#"[ "$*" = "access me@gmail.com" ]"#, "oama: there is no such user"),
    ("mutt_oauth2.py", r#"[ "$*" = "$HOME/.config/mutt/me@gmail.com.token" ]"#, "usage: mutt_oauth2.py [-h] tokenfile"),
];

/// The token commands of the manual's examples.
fn commands() -> Vec<String> {
    let lines = MANUAL.lines().filter_map(|line| line.strip_prefix("auth.token_command = \""));
    lines.map(|rest| rest.trim_end_matches('"').to_owned()).collect()
}

fn account(command: &str, port: u16) -> Sealpost {
    let sealpost = Sealpost::with_limits(
        "reply_timeout = \"8s\"",
        &format!(
            "[accounts.relay]\nhost = \"127.0.0.1\"\nport = {port}\ntls.policy = \"off\"\n\
             auth = {{ user = \"{USER}\", mechanism = \"XOAUTH2\", token_command = \"{command}\" }}\n"
        ),
    );
    let bin = sealpost.scratch.path().join("bin");
    fs::create_dir(&bin).unwrap();
    for (name, check, complaint) in STAND_INS {
        let text = format!("#!/bin/sh\nif {check}; then echo '{PASSWORD}'; else echo '{complaint}' >&2; exit 1; fi\n");
        fs::write(bin.join(name), text).unwrap();
        fs::set_permissions(bin.join(name), fs::Permissions::from_mode(0o755)).unwrap();
    }
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    Sealpost { environment: vec![("PATH".to_owned(), path)], ..sealpost }
}

#[test]
fn every_recipe_of_the_manual_logs_in() {
    let commands = commands();
    let named: Vec<&str> = commands.iter().map(|command| command.split(' ').next().unwrap()).collect();
    assert_eq!(named, STAND_INS.map(|(name, ..)| name));
    for command in commands {
        let server = smarthost(true, "S: 235 2.7.0 in\nsession");
        let run = account(&command, server.port()).send(&["ok@sink.test"], MESSAGE.as_bytes());
        assert_eq!((run.code, run.field("/auth")), (0, "XOAUTH2"), "{command}: {run:?}");
        server.finish();
    }
}

#[test]
fn what_a_program_complains_about_is_passed_on() {
    for (name, _, complaint) in STAND_INS {
        let run = account(&format!("{name} nonsense"), 9).send(&["ok@sink.test"], MESSAGE.as_bytes());
        assert_eq!(run.code, 75, "{run:?}");
        assert!(run.stderr.contains(&format!("the command failed (exit status: 1): {complaint}")), "{run:?}");
    }
}
