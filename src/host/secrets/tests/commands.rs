//! Does a command give its password, and nothing else, whatever it does?

use super::*;

#[test]
fn the_first_line_that_a_command_prints_is_the_password() {
    assert_eq!(run("echo hunter2; echo second").unwrap(), "hunter2");
    assert_eq!(run("printf hunter2; echo talk >&2").unwrap(), "hunter2");
    assert_eq!(run("printf 'a b\\r\\n'").unwrap(), "a b");
}

#[test]
fn a_command_that_says_its_secret_again_when_it_fails_is_not_quoted_with_it() {
    let error = run("set -x; echo hunter2; false").unwrap_err().render("t");
    assert!(error.contains("+ echo *** / + false") && !error.contains("hunter2"), "{error}");
}

#[test]
fn a_long_complaint_is_not_cut_within_a_secret() {
    for octets in command::COMPLAINT - 7..command::COMPLAINT {
        let error = run(&format!("echo hunter2.hunter2; printf '%0{octets}dhunter2.hunter2' 0 >&2; false")).unwrap_err();
        assert!(!error.summary().contains("hunt"), "{octets}: {error}");
    }
}

#[test]
fn a_command_that_fails_is_quoted_and_may_be_tried_again() {
    let error = run("echo hunter2; printf 'no\\033[2J key\\nfor you\\n' >&2; exit 3").unwrap_err();
    assert_eq!(error.exit(), Exit::TempFail);
    let rendered = error.render("t");
    assert!(rendered.contains("the command failed (exit status: 3): no\\u{1b}[2J key / for you"), "{rendered}");
    assert!(!rendered.contains("hunter2"), "what it printed may be the password: {rendered}");
    let chatter = run("yes complaint | head -c 1000000 >&2; exit 1").unwrap_err();
    assert!(chatter.summary().len() < 2 * command::COMPLAINT, "{}", chatter.summary().len());
    assert!(run("kill -9 $$").unwrap_err().summary().contains("signal: 9"));
}

#[test]
fn a_command_that_prints_nothing_is_a_fault_of_the_configuration() {
    let error = run("true").unwrap_err();
    assert_eq!(error.summary(), "fetching the password of account relay: the command printed an empty first line");
    assert_eq!(error.exit(), Exit::Config);
}

#[test]
fn a_command_that_prints_without_end_is_cut_and_does_not_block() {
    let error = run("yes | tr -d '\\n' | head -c 3000000").unwrap_err();
    assert!(error.summary().ends_with("the command printed a first line of more than 64 KiB"), "{}", error.summary());
}

#[test]
fn a_command_reads_nothing_from_the_message() {
    assert_eq!(run("cat; echo end").unwrap(), "end");
}

#[test]
fn a_command_that_hangs_is_killed_with_its_children() {
    let root = tempfile::tempdir().unwrap();
    let pids = root.path().join("pids");
    let command = format!("sleep 1000 & echo $! >{0}; echo $$ >>{0}; wait", pids.display());
    let patience = Duration::from_millis(1500);
    let error = on_errand(&machine(), SecretSource::Prompt, |errand| command::output(errand, command::shell(&command), patience))
        .unwrap_err();
    assert_eq!(error.exit(), Exit::TempFail);
    assert!(error.summary().contains("did not end within"), "{}", error.summary());
    for pid in fs::read_to_string(&pids).unwrap().lines() {
        assert!(ends(pid), "process {pid} is still running");
    }
}

#[test]
fn a_command_takes_all_that_it_is_given_or_holds_nobody_up_by_not_taking_it() {
    let given = |command: &str| {
        let shell = command::shell(command);
        on_errand(&machine(), SecretSource::Prompt, |errand| {
            command::run(errand, shell, &vec![b'x'; 300_000], Duration::from_secs(2))
        })
    };
    let said = given("tr x y | wc -c | tr -d ' '").unwrap();
    assert_eq!(std::str::from_utf8(&said.stdout).unwrap().trim(), "300000");
    assert!(given("exit 0").unwrap().status.success());
    assert!(given("exec sleep 5").err().unwrap().summary().ends_with("the command did not end within 2 s"));
}

/// Whether a process that was killed is gone, or waits for its parent only, before long.
fn ends(pid: &str) -> bool {
    let deadline = Instant::now() + Duration::from_secs(10);
    while Instant::now() < deadline {
        match fs::read_to_string(format!("/proc/{pid}/stat")) {
            Err(_) => return true,
            Ok(stat) if stat.contains(") Z ") => return true,
            Ok(_) => std::thread::yield_now(),
        }
    }
    false
}

#[test]
fn an_agent_left_behind_does_not_hold_up_the_answer() {
    let started = Instant::now();
    assert_eq!(run("sleep 20 & echo hunter2").unwrap(), "hunter2");
    assert!(started.elapsed() < Duration::from_secs(15));
}

#[test]
fn a_command_does_not_see_the_passwords_of_the_environment() {
    // The child's environment is the real one: what matters is which names are taken away.
    let names =
        ["SEALPOST_PASSWORD", "SEALPOST_HOST", "SMTP_PASS", "RELAY", "OTHER_PASSWORD", "PATH", "HOME", "HTTP_PROXY", "VAULT_TOKEN"];
    let world = names.into_iter().fold(machine(), |world, name| world.with_env(name, "x"));
    let hidden = |world: &Pretend| on_errand(world, SecretSource::Environment("RELAY".to_owned()), command::hidden);
    let ours = ["OTHER_PASSWORD", "RELAY", "SEALPOST_HOST", "SEALPOST_PASSWORD", "SMTP_PASS"];
    assert_eq!(hidden(&world), ours);
    // Under a web server HTTP_* is what a stranger sent.
    assert_eq!(hidden(&world.with_env("GATEWAY_INTERFACE", "CGI/1.1")), ["HTTP_PROXY"].into_iter().chain(ours).collect::<Vec<_>>());
}
