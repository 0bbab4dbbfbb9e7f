//! The option table of the design, row by row, and two properties of arbitrary command lines.

use std::os::unix::ffi::OsStringExt;

use proptest::prelude::*;

use super::*;
use crate::cmd::flags::{FLAGS, Takes};

fn words(line: &[&str]) -> Vec<OsString> {
    line.iter().map(OsString::from).collect()
}

fn invoke(line: &[&str]) -> Result<Invocation, Box<Refusal>> {
    parse(Name::Sendmail, words(line))
}

/// What `line` and a recipient make.
fn submission(line: &[&str]) -> Submission {
    let line: Vec<&str> = line.iter().copied().chain(["bob@x"]).collect();
    match invoke(&line) {
        Ok(Invocation::Submit(submission)) => *submission,
        other => panic!("{line:?}: {other:?}"),
    }
}

fn changed(change: impl FnOnce(&mut Submission)) -> Submission {
    let mut submission = Submission { operands: vec!["bob@x".to_owned()], ..Submission::default() };
    change(&mut submission);
    submission
}

#[test]
fn a_flag_with_a_meaning_has_its_effect_and_no_other() {
    type Change = fn(&mut Submission);
    let table: &[(&[&[&str]], Change)] = &[
        (&[&[], &["-bm"], &["-B8BITMIME"], &["-B", "7bit"], &["-odb"], &["-oep"], &["-ep"], &["--"]], |_| ()),
        (&[&["-t"], &["--read-recipients"]], |s| s.read_recipients = true),
        (&[&["-i"], &["-oi"], &["-oitrue"], &["-o", "i"], &["-OIgnoreDots=True"], &["-O", "ignoredots"]], |s| s.ignore_dot = true),
        (&[&["-i", "-oifalse"], &["-oi", "-O", "IgnoreDots=n"]], |_| ()),
        (&[&["-ti"], &["-it"], &["-toi"]], |s| (s.read_recipients, s.ignore_dot) = (true, true)),
        (&[&["-f", "a@y"], &["-fa@y"], &["-r", "a@y"], &["-ra@y"], &["-f", "b@y", "-f", "a@y"], &["-f", "b@y", "-ra@y"]], |s| {
            s.sender = Some("a@y".to_owned());
        }),
        (&[&["-f", ""], &["-r", ""]], |s| s.sender = Some(String::new())),
        (&[&["-f<>"], &["-f", "<>"]], |s| s.sender = Some("<>".to_owned())),
        (&[&["-itf", "a@y"], &["-itfa@y"]], |s| {
            (s.read_recipients, s.ignore_dot, s.sender) = (true, true, Some("a@y".to_owned()));
        }),
        (&[&["-F", "Cron Daemon"], &["-FCron Daemon"], &["-FCron\nDaemon"], &["-FCron\u{85}Daemon"]], |s| {
            s.full_name = Some("Cron Daemon".to_owned());
        }),
        (&[&["-oem"], &["-em"], &["-e", "m"], &["-OErrorMode=Mail"]], |s| s.errors = ErrorMode::Mail),
        (&[&["-oeq"], &["-eq"], &["-O", "ErrorMode=quiet"]], |s| s.errors = ErrorMode::Quiet),
        (&[&["-oew"], &["-ew"]], |s| s.errors = ErrorMode::Write),
        (&[&["-oee"], &["-ee"]], |s| s.errors = ErrorMode::Berkeley),
        (&[&["-odi"], &["-O", "DeliveryMode=interactive"]], |s| s.delivery = Delivery::Interactive),
        (&[&["-odq"], &["-odd"], &["-ODeliveryMode=deferred"]], |s| s.delivery = Delivery::QueueOnly),
        (&[&["-v"], &["-ov"], &["-vv"], &["-OVerbose=1"]], |s| s.verbose = true),
        (&[&["--debug"]], |s| s.debug = true),
        (&[&["-G"]], |s| s.gateway = true),
        (&[&["-n"]], |s| s.no_aliases = true),
        (&[&["-L", "tag"], &["-Ltag"]], |s| s.tag = Some("tag".to_owned())),
        (&[&["-a", "relay"], &["-arelay"], &["--account=relay"], &["--account", "relay"]], |s| {
            s.account = Some("relay".to_owned());
        }),
        (&[&["-C", "/c"], &["-C/c"], &["--file=/c"]], |s| s.config = Some(PathBuf::from("/c"))),
        (&[&["--read-envelope-from"]], |s| s.read_envelope_from = true),
        (&[&["-N", "never"], &["-NNEVER"]], |s| s.dsn.notify = Some(Notify::Never)),
        (&[&["-N", "failure,delay"], &["-NDELAY, Failure"]], |s| {
            s.dsn.notify = Some(Notify::When { success: false, failure: true, delay: true });
        }),
        (&[&["-R", "hdrs"], &["-RHDRS"]], |s| s.dsn.ret = Some(Ret::Headers)),
        (&[&["-Rfull"]], |s| s.dsn.ret = Some(Ret::Full)),
        (&[&["-V00001234"], &["-V", "00001234"]], |s| s.dsn.envid = Some("00001234".to_owned())),
    ];
    for (lines, change) in table {
        for line in *lines {
            assert_eq!(submission(line), changed(change), "{line:?}");
        }
    }
}

#[test]
fn a_flag_without_a_meaning_is_ignored_and_noted_once() {
    let lines: &[&[&str]] = &[
        &["-Ac"],
        &["-Am"],
        &["-Bfoo"],
        &["-c"],
        &["-d"],
        &["-d0.1"],
        &["-h", "5"],
        &["-h5"],
        &["-m"],
        &["-om"],
        &["-oo"],
        &["-o7"],
        &["-o8"],
        &["-oT5d"],
        &["-oQ/dir"],
        &["-oX9"],
        &["-oAfile"],
        &["-oxyz"],
        &["-oU"],
        &["-os"],
        &["-o", ""],
        &["-odx"],
        &["-oex"],
        &["-ex"],
        &["-O", "QueueDirectory=/x"],
        &["-O", "nonsense"],
        &["-pNNTP:h"],
        &["-p", "NNTP"],
        &["-s"],
        &["-U"],
        &["-x"],
        &["-X", "/log"],
        &["-XVerbose"],
        &["-Nbogus"],
        &["-N", "never,delay"],
        &["-N", ""],
        &["-Rsome"],
        &["-V", "caf\u{e9}"],
        &["-V", ""],
        &["-oé"],
    ];
    for line in lines {
        let mut found = submission(line);
        assert_eq!(found.notes.len(), 1, "{line:?}: {:?}", found.notes);
        found.notes.clear();
        assert_eq!(found, changed(|_| ()), "{line:?}");
        let twice: Vec<&str> = line.iter().chain(*line).copied().collect();
        assert_eq!(submission(&twice).notes.len(), 1, "{line:?}");
    }
    assert_eq!(submission(&["-m", "-x", "-om", "-m"]).notes.len(), 3);
}

fn plain() -> Request {
    Request::default()
}

fn verbose(request: Request) -> Request {
    Request { verbose: true, ..request }
}

fn matching(what: What, not: bool) -> Request {
    Request { matches: vec![Match { what, not, part: "x".to_owned() }], ..Request::default() }
}

#[test]
fn a_mode_is_chosen_by_flag_or_by_name() {
    let table: &[(&[&str], Invocation)] = &[
        (&["-bs"], Invocation::SmtpOnStdin(Box::default())),
        (
            &["-bs", "-a", "x", "-odq", "-i"],
            Invocation::SmtpOnStdin(Box::new(changed(|s| {
                s.operands.clear();
                s.account = Some("x".into());
                s.delivery = Delivery::QueueOnly;
                s.ignore_dot = true;
            }))),
        ),
        (&["-bp"], Invocation::Mailq(plain())),
        (&["-b", "p", "-v", "-Ac"], Invocation::Mailq(verbose(Request::default()))),
        (&["-bi"], Invocation::Newaliases(None)),
        (&["-I", "-C", "/c"], Invocation::Newaliases(Some(PathBuf::from("/c")))),
        (&["-bP", "bob@x"], Invocation::QueueSize(plain())),
        (&["-bh", "bob@x"], Invocation::Nothing),
        (&["-bH"], Invocation::Nothing),
        (&["-q"], Invocation::Flush(plain())),
        (&["-qf"], Invocation::Flush(plain())),
        (&["-q30m", "-v"], Invocation::Flush(verbose(Request { due: true, ..Request::default() }))),
        (&["-qp5m"], Invocation::Flush(Request { due: true, ..Request::default() })),
        (&["-qIx", "-C", "c.toml"], Invocation::Flush(Request { config: Some("c.toml".into()), ..matching(What::Id, false) })),
        (&["-q!Sx"], Invocation::Flush(matching(What::Sender, true))),
        (&["-i", "--help", "-Z"], Invocation::Help),
        (&["--version"], Invocation::Version),
    ];
    for (line, expected) in table {
        assert_eq!(invoke(line).as_ref(), Ok(expected), "{line:?}");
    }
    assert_eq!(
        parse(Name::Mailq, words(&["-v", "-Ac", "-Am", "-qRx"])),
        Ok(Invocation::Mailq(verbose(matching(What::Recipient, false))))
    );
    assert_eq!(parse(Name::Newaliases, words(&["-v"])), Ok(Invocation::Newaliases(None)));
}

#[test]
fn a_daemon_or_a_test_of_addresses_is_not_here() {
    for (line, exit) in [
        (&["-bd"][..], Exit::Unavailable),
        (&["-bd", "-q30m"], Exit::Unavailable),
        (&["-bD"], Exit::Unavailable),
        (&["-bl"], Exit::Unavailable),
        (&["-bv", "bob@x"], Exit::Usage),
        (&["-bt"], Exit::Usage),
    ] {
        let Ok(Invocation::NotHere(error)) = invoke(line) else { panic!("{line:?}") };
        assert_eq!(error.exit(), exit, "{line:?}");
        assert!(error.advice().is_some());
    }
}

#[test]
fn what_can_not_be_meant_is_a_usage_error_before_anything_is_sent() {
    let lines: &[&[&str]] = &[
        &[],
        &["-i"],
        &["-ba"],
        &["-bX"],
        &["-b", ""],
        &["-Z", "bob@x"],
        &["--foo", "bob@x"],
        &["-q", "bob@x"],
        &["-q", "30m"],
        &["-q", "-t"],
        &["-qG"],
        &["-qQ"],
        &["-q!"],
        &["-q!5m"],
        &["-XV", "bob@x"],
        &["-XV+=", "bob@x"],
        &["-bp", "bob@x"],
        &["-bi", "bob@x"],
        &["-M", "x", "bob@x"],
        &["-T", "5m", "bob@x"],
        &["-D", "f", "bob@x"],
        &["bob@x", "-f", "x"],
        &["bob@x", "-"],
        &["-"],
        &["-f"],
        &["-i", "bob@x", "--", "a@x"],
        &["bob@x\nRCPT TO:<evil@x>"],
        &["bob@x\u{7f}"],
        &["bob@x", "-i\r"],
        &["-f", "a@x>\r\nRCPT TO:<evil@x", "bob@x"],
        &["-ra\tb", "bob@x"],
    ];
    for line in lines {
        assert_eq!(invoke(line).map_err(|refusal| refusal.error.exit()), Err(Exit::Usage), "{line:?}");
    }
}

#[test]
fn an_address_that_is_not_utf_8_is_a_usage_error_but_a_name_is_taken_for_latin_1() {
    let latin = |prefix: &str| OsString::from_vec([prefix.as_bytes(), b"Jos\xe9"].concat());
    for line in
        [vec![latin("")], vec![latin("-f"), "bob@x".into()], vec![latin("-L"), "bob@x".into()], vec![latin("-a"), "bob@x".into()]]
    {
        assert_eq!(parse(Name::Sendmail, line).map_err(|refusal| refusal.error.exit()), Err(Exit::Usage));
    }
    let Ok(Invocation::Submit(named)) = parse(Name::Sendmail, [latin("-F"), "bob@x".into()]) else { panic!() };
    assert_eq!(named.full_name.as_deref(), Some("José"));
}

#[test]
fn a_refusal_keeps_the_error_mode_and_knows_whether_a_message_waits() {
    let refused = |name, line: &[&str]| parse(name, words(line)).unwrap_err();
    assert_eq!(refused(Name::Sendmail, &["-oeq", "-Z", "bob@x"]).errors, ErrorMode::Quiet);
    assert!(refused(Name::Sendmail, &["-Z", "bob@x"]).submission);
    // A monitor's mailq inherits a standard input that may never end.
    assert!(!refused(Name::Mailq, &["-Z"]).submission);
    assert!(!refused(Name::Sendmail, &["-bp", "-Z"]).submission);
    assert!(refused(Name::Sendmail, &["-q", "bob@x"]).submission);
}

#[test]
fn operands_stay_as_they_were_given_also_behind_two_dashes() {
    let Ok(Invocation::Submit(found)) = invoke(&["-i", "-f", "a@x", "--", "-x@y", "", "B <b@x>, c@x"]) else { panic!() };
    assert_eq!(found.operands, ["-x@y", "", "B <b@x>, c@x"]);
}

fn any_word() -> impl Strategy<Value = OsString> {
    let foreign = prop::collection::vec(any::<u8>(), 0..12).prop_map(OsString::from_vec);
    let likely = "(-|--|-[a-zA-Z]{1,3}|--[a-z]{4,9}(=[a-z]{0,3})?|[a-z]{1,4}@x)".prop_map(OsString::from);
    prop_oneof![foreign, likely]
}

/// A flag of the table with a value where it may have one, in one word or two; never one that ends or leaves the submission.
fn any_flag() -> impl Strategy<Value = Vec<String>> {
    let sends =
        |flag: &&Flag| !matches!(flag.effect, Effect::Help | Effect::Version | Effect::Mode | Effect::Newaliases | Effect::Queue);
    let flags: Vec<&'static Flag> = FLAGS.iter().filter(sends).collect();
    (prop::sample::select(flags), "[a-z@=<]{1,8}", any::<bool>()).prop_map(|(flag, value, attached)| match (flag.takes, attached) {
        (Takes::Nothing, _) => vec![flag.spelling()],
        (Takes::Value(_), false) => vec![flag.spelling(), value],
        (Takes::Value(_) | Takes::Attached(_), _) => vec![flag.spelling() + &value],
    })
}

proptest! {
    #[test]
    fn no_command_line_panics_and_an_operand_is_always_a_word_of_it(line in prop::collection::vec(any_word(), 0..8)) {
        if let Ok(Invocation::Submit(found)) = parse(Name::Sendmail, line.clone()) {
            prop_assert!(!found.operands.is_empty() || found.read_recipients);
            let tail: Vec<OsString> = found.operands.iter().map(OsString::from).collect();
            prop_assert!(line.ends_with(&tail), "operands are the last words, in order");
            if found.operands.iter().any(|operand| operand.starts_with('-')) {
                prop_assert!(line.iter().any(|word| word == "--"));
            }
        }
    }

    #[test]
    fn the_value_of_a_flag_never_becomes_a_recipient(
        flags in prop::collection::vec(any_flag(), 0..8),
        dashes: bool,
        recipients in prop::collection::vec("[a-z]{1,5}@[a-z]{1,5}", 1..4),
    ) {
        let dashes = dashes.then(|| "--".to_owned());
        let line = flags.concat().into_iter().chain(dashes).chain(recipients.clone()).map(OsString::from);
        match parse(Name::Sendmail, line) {
            Ok(Invocation::Submit(found)) => prop_assert_eq!(found.operands, recipients),
            other => prop_assert!(false, "{:?}", other),
        }
    }
}
