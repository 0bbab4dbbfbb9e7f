//! Does `sealpost log` show what is asked for, all of it, and nothing else?

use std::{
    fs,
    io::{Seek as _, SeekFrom, Write as _},
    process::{Command, Stdio},
};

use super::*;

#[test]
fn the_whole_log_is_shown_a_line_for_each_record_with_what_went_wrong_below() {
    let (sealpost, _) = scene();
    let run = ask(&sealpost, &["log"]);
    // The year is there once it is over: the columns behind the time are the same.
    let rows: Vec<&str> = run.stdout.lines().map(|row| if row.starts_with(' ') { row } else { row[16..].trim_start() }).collect();
    assert_eq!(
        rows,
        [
            "sent      + verified    TLSv1.3  relay  admin@example.com  4XYZ",
            "sent      ~ unverified  TLSv1.2  relay  admin@example.com  4XYZ",
            "    mx.example:587: certificate-expired (expired in May)  [01M859SPA3MPJTB9D5MPJTB9D5]",
            "sent      ! plaintext   -        relay  root@example.com  4XYZ",
            "    mx.example:587: starttls-not-supported (not offered)  [01M859SPA3MPJTB9D5MPJTB9D5]",
            "    downgrade: this host offered TLS before",
            "failed    + verified    TLSv1.3  relay  admin@example.com",
            "    smtp.example.com:587  [01M859SPA3MPJTB9D5MPJTB9D5]",
            "sent      + verified    TLSv1.3  relay  admin@example.com  4XYZ",
        ],
        "{}",
        run.stdout
    );
    assert_eq!((run.code, run.stderr.as_str()), (0, "sealpost: 4 lines of the log are no records, and left out\n"));
    assert!(!run.stdout.contains('\x1b'));
}

#[test]
fn json_is_the_lines_themselves_and_every_filter_holds() {
    let (sealpost, lines) = scene();
    let table: [(&[&str], &[usize]); 16] = [
        (&[], &[0, 1, 2, 3, 4]),
        (&["-n", "2"], &[3, 4]),
        (&["-n", "0"], &[]),
        (&["--since", "2026-11-22"], &[2, 3, 4]),
        (&["--until", "2026-11-21"], &[0, 1]),
        (&["--since", "2026-11-21T10:00:00Z", "--until", "2026-11-22T10:00:00Z"], &[1]),
        (&["--status", "failed"], &[3]),
        (&["--status", "sent", "--tls", "unverified", "--tls", "plaintext"], &[1, 2]),
        (&["--tls", "none"], &[]),
        (&["--host", "MX.example"], &[1, 2]),
        (&["--host", "192.0.2.1", "-n1"], &[4]),
        (&["--account", "relay", "--recipient", "root"], &[2]),
        (&["--account", "other"], &[]),
        (&["--id", "01m859", "--status", "failed"], &[3]),
        (&["--id", "1@example.com", "-n", "1"], &[4]),
        (&["--id", "02"], &[]),
    ];
    for (options, wanted) in table {
        let run = ask(&sealpost, &[&["log", "--json"], options].concat());
        let wanted: String = wanted.iter().map(|index| lines[*index].as_str()).collect();
        assert_eq!((run.code, run.stdout), (0, wanted), "{options:?}");
    }
}

#[test]
fn a_log_can_be_named_or_piped_in() {
    let (sealpost, lines) = scene();
    let packed = sealpost.scratch.path().join("log.jsonl.2.gz");
    let run = sealpost.command(&["log", "--json", "--file", packed.to_str().unwrap()], b"");
    assert_eq!((run.code, run.stdout.as_str(), run.stderr.as_str()), (0, lines[0].as_str(), ""));
    let run = sealpost.command(&["log", "--json", "--file", "-"], lines.concat().as_bytes());
    assert_eq!((run.code, run.stdout), (0, lines.concat()));
    let run = sealpost.command(&["log", "--follow", "--file", "-"], b"");
    assert_eq!(run.code, 64);
}

#[test]
fn what_can_not_be_read_is_told_with_66_and_the_rest_is_shown() {
    let sealpost = Sealpost::new("[accounts.relay]\nhost = \"smtp.example.com\"\n");
    let run = ask(&sealpost, &["log"]);
    assert_eq!((run.code, run.stdout.as_str()), (66, ""));
    assert!(run.stderr.contains("log.jsonl: there is no such file\nsealpost: hint: "), "{}", run.stderr);
    let line = Line::default().to_string();
    sealpost.scratch.write("log.jsonl", &line);
    let packed = gzipped(line.repeat(100));
    sealpost.scratch.write("log.jsonl.1.gz", &packed[..packed.len() - 12]);
    let run = ask(&sealpost, &["log", "--json"]);
    assert!(run.stdout.ends_with(&line) && run.stdout.lines().count() > 1);
    assert!(run.stderr.contains("log.jsonl.1.gz: the compressed file ends in the middle"), "{}", run.stderr);
    assert_eq!(run.code, 66);
}

#[test]
fn a_huge_log_with_a_huge_line_is_read_in_little_memory() {
    let mut sealpost = Sealpost::new("[accounts.relay]\nhost = \"smtp.example.com\"\n");
    let line = Line::default().to_string();
    let log = [line.repeat(20_000).as_bytes(), &vec![b'x'; 64 << 20], b"\n", line.as_bytes()].concat();
    sealpost.scratch.write("log.jsonl", log);
    // 64 MiB and more are on disk; the address space that is left could not hold them.
    sealpost.wrapper = ["sh", "-c", "ulimit -v 65536; exec \"$0\" \"$@\""].map(str::to_owned).to_vec();
    let run = ask(&sealpost, &["log", "--json"]);
    assert_eq!((run.code, run.stdout.lines().count()), (0, 20_001), "{}", run.stderr);
}

#[test]
fn a_mistake_on_the_command_line_is_64() {
    let (sealpost, _) = scene();
    for options in [&["--since", "soon"][..], &["--tls", "good"], &["--status", "lost"], &["-n", "x"], &["--file", "x"]] {
        assert_eq!(ask(&sealpost, &[&["log"], options].concat()).code, 64, "{options:?}");
    }
}

#[test]
fn parts_are_read_whatever_packed_them_and_what_can_not_be_is_told() {
    let sealpost = Sealpost::new("[accounts.relay]\nhost = \"smtp.example.com\"\n");
    let line = |day: u8| Line { time: &format!("2026-11-{day}T10:00:00.000Z"), ..Line::default() }.to_string();
    let mut wanted = String::new();
    for (number, program) in [(9, "xz"), (8, "bzip2"), (7, "zstd"), (6, "lz4"), (5, "gzip")] {
        let day = 20 - number;
        let file = sealpost.scratch.write("plain", line(day));
        let packed = Command::new(program).arg("-c").stdin(fs::File::open(file).unwrap()).output();
        let packed = packed.unwrap_or_else(|error| panic!("{program}, which tests/run installs: {error}"));
        // The ending tells nothing: logrotate's compressext may be any.
        sealpost.scratch.write(&format!("log.jsonl.{number}.gz"), packed.stdout);
        wanted += &line(day);
    }
    let run = ask(&sealpost, &["log", "--json"]);
    assert_eq!((run.code, run.stdout.as_str(), run.stderr.as_str()), (0, wanted.as_str(), ""));
    // Without the programs the rest is there.
    let config = sealpost.scratch.path().join("config.toml");
    let mut command = Command::new(common::binary());
    command.args(["log", "--json", "-C"]).arg(&config).env("PATH", "/nonexistent");
    let output = command.output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), String::from_utf8(output.stdout).unwrap()), (Some(66), line(15)));
    for program in ["xz", "bzip2", "zstd", "lz4"] {
        assert!(told.contains(&format!("it is compressed by {program}, and that program is not here")), "{told}");
    }
}

#[test]
fn a_program_that_unpacks_sees_nothing_of_our_environment() {
    let mut sealpost = Sealpost::new("[accounts.relay]\nhost = \"smtp.example.com\"\n");
    let here = sealpost.scratch.path().display().to_string();
    sealpost.scratch.write("log.jsonl.1.xz", b"\xfd7zXZ\0");
    let program = sealpost.scratch.write("xz", format!("#!/bin/sh\nenv >{here}/seen\n"));
    fs::set_permissions(program, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    sealpost.environment.push(("PATH".to_owned(), format!("{here}:/usr/bin:/bin")));
    sealpost.environment.push(("SEALPOST_PASSWORD".to_owned(), common::PASSWORD.to_owned()));
    let run = ask(&sealpost, &["log"]);
    let seen = fs::read_to_string(sealpost.scratch.path().join("seen")).unwrap_or_else(|error| panic!("{error}: {run:?}"));
    assert!(seen.contains(&format!("PATH={here}")) && !seen.contains("PASSWORD") && !seen.contains("HOME="), "{seen}");
}

#[test]
fn a_record_of_a_later_version_is_shown_and_counted() {
    let sealpost = Sealpost::new("[accounts.relay]\nhost = \"smtp.example.com\"\n");
    let later =
        Line { status: "parked", tls: r#""result":"sealed","moon":[1,{}],"failure":"sts-webpki-invalid""#, ..Line::default() };
    let bounce = "{\"time\":\"2026-11-23T22:54:00.000Z\",\"event\":\"bounce\",\"to\":7}\n";
    let log = later.to_string().replace("\"port\":587", "\"port\":{\"tcp\":587},\"new\":null") + bounce;
    sealpost.scratch.write("log.jsonl", &log);
    let run = ask(&sealpost, &["log", "--json"]);
    assert_eq!((run.code, run.stdout.as_str(), run.stderr.as_str()), (0, log.as_str(), ""));
    let rows = ask(&sealpost, &["log"]).stdout;
    for part in [
        "  parked    ? sealed      -        relay  admin@example.com",
        "    smtp.example.com: sts-webpki-invalid",
        "  bounce    ? -",
    ] {
        assert!(rows.contains(part), "{rows}");
    }
    let report = ask(&sealpost, &["report"]).stdout;
    for part in ["  not sent     parked 1\n", "  other TLS    sealed 1\n", "  failures     sts-webpki-invalid 1\n"] {
        assert!(report.contains(part), "{report}");
    }
    let report = ask(&sealpost, &["report", "--format", "tlsrpt"]).stdout;
    assert_eq!(grammar::of_tls_report(&report), Vec::<String>::new(), "{report}");
    assert!(report.contains("\"failure-reason-code\":\"sts-webpki-invalid\""), "{report}");
}

#[test]
fn records_out_of_order_are_all_there_and_a_filter_by_time_finds_them() {
    let sealpost = Sealpost::new("[accounts.relay]\nhost = \"smtp.example.com\"\n");
    let times = ["2026-11-23T10:00:00.000Z", "1970-01-01T00:00:07.000Z", "2026-11-23T09:00:00.000Z", "2036-01-01T00:00:00.000Z"];
    let lines = times.map(|time| Line { time, ..Line::default() }.to_string());
    sealpost.scratch.write("log.jsonl", lines.concat());
    assert_eq!(ask(&sealpost, &["log", "--json"]).stdout, lines.concat());
    let run = ask(&sealpost, &["log", "--json", "--since", "2026-11-23", "--until", "2026-11-23"]);
    assert_eq!(run.stdout, lines[0].clone() + &lines[2]);
    assert_eq!(ask(&sealpost, &["log", "--json", "-n", "1"]).stdout, lines[3]);
}

#[test]
fn the_end_of_a_large_log_is_found_without_reading_it() {
    let sealpost = Sealpost::new("[accounts.relay]\nhost = \"smtp.example.com\"\n");
    let path = sealpost.scratch.path().join("log.jsonl");
    let old = Line { time: "2026-11-01T00:00:00.000Z", ..Line::default() }.to_string();
    let (first, last) = (Line { status: "failed", ..Line::default() }.to_string(), Line::default().to_string());
    // A hole of 64 GiB, which nobody reads in ten seconds, stands for the years between.
    let recent = old.repeat(60_000) + &first + &last;
    let mut file = fs::File::create(&path).unwrap();
    file.write_all(old.as_bytes()).unwrap();
    file.set_len(64 << 30).unwrap();
    file.seek(SeekFrom::End(0)).unwrap();
    file.write_all(b"\n").unwrap();
    file.write_all(recent.as_bytes()).unwrap();
    for (options, wanted) in [
        (&["--since", "2026-11-23"][..], first.clone() + &last),
        (&["-n", "2"], first.clone() + &last),
        (&["-n", "1", "--status", "failed"], first.clone()),
    ] {
        let run = ask(&sealpost, &[&["log", "--json"], options].concat());
        assert_eq!((run.code, run.stdout.as_str(), run.stderr.as_str()), (0, wanted.as_str(), ""), "{options:?}");
    }
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let (sealpost, _) = scene();
    let log = sealpost.scratch.write("long.jsonl", Line::default().to_string().repeat(20_000));
    let line = format!("{} log --file {} | head -n 1", common::binary().display(), log.display());
    let run = Command::new("bash").args(["-c", &format!("set -o pipefail; {line}")]).output().unwrap();
    assert_eq!((run.status.code(), String::from_utf8(run.stderr).unwrap().as_str()), (Some(0), ""));
    assert_eq!(String::from_utf8(run.stdout).unwrap().lines().count(), 1);
}

#[test]
fn what_is_no_log_is_refused_at_once() {
    let (sealpost, _) = scene();
    let fifo = sealpost.scratch.path().join("fifo");
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    for place in [fifo.as_path(), sealpost.scratch.path(), std::path::Path::new("/dev/zero")] {
        for command in ["log", "report"] {
            let run = sealpost.command(&[command, "--file", place.to_str().unwrap()], b"");
            assert_eq!(run.code, 66, "{place:?}");
            assert!(run.stderr.contains("it is not a regular file"), "{}", run.stderr);
        }
    }
}

#[test]
fn on_a_terminal_of_eighty_columns_nothing_is_wider_and_signs_stand_for_colours() {
    let (sealpost, _) = scene();
    let long = Line { to: "a.very.long.name.of.somebody@a.very.long.name.of.a.domain.example", tls: EXPIRED, ..Line::default() };
    let log = sealpost.scratch.path().join("log.jsonl");
    fs::write(&log, long.to_string() + &Line::default().to_string()).unwrap();
    let shown = |command: &str, variables: &str| {
        let line = format!("stty cols 80 rows 40; {variables} {} {command} --file {}", common::binary().display(), log.display());
        let output = Command::new("script").args(["-qec", &line, "/dev/null"]).stdin(Stdio::null()).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().replace('\r', "")
    };
    let plain = shown("log", "NO_COLOR=1 LC_ALL=C");
    assert!(plain.lines().all(|row| row.chars().count() <= 80) && !plain.contains('\x1b'), "{plain}");
    assert!(plain.contains("~ unverified") && plain.contains("+ verified  "), "{plain}");
    assert!(shown("log", "LC_ALL=C").contains("\x1b[33m~ unverified\x1b[0m"));
    let report = shown("report", "NO_COLOR=1 LC_ALL=C");
    assert!(report.is_ascii() && report.lines().all(|row| row.len() <= 80), "{report}");
    assert!(report.contains("  ===========\n") && report.contains("# verified   = unverified   ! plaintext   . none"), "{report}");
    assert!(shown("report", "NO_COLOR=1 LC_ALL=C.UTF-8").contains("█ verified   ▓ unverified   ▒ plaintext   ░ none"));
}
