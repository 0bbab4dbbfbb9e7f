//! Does `sealpost log` show what is asked for, all of it, and nothing else?

use super::*;

#[test]
fn the_whole_log_is_shown_a_line_for_each_record_with_what_went_wrong_below() {
    let (sealpost, _) = scene();
    let run = ask(&sealpost, &["log"]);
    // The year is there once it is over: the columns behind the time are the same.
    let rows: Vec<&str> = run.stdout.lines().map(|row| if row.starts_with(' ') { row } else { row[15..].trim_start() }).collect();
    assert_eq!(
        rows,
        [
            "sent      verified    TLSv1.3  relay  admin@example.com  4XYZ",
            "sent      unverified  TLSv1.2  relay  admin@example.com  4XYZ",
            "    mx.example:587: certificate-expired (expired in May)  [01M859SPA3MPJTB9D5MPJTB9D5]",
            "sent      plaintext   -        relay  root@example.com  4XYZ",
            "    mx.example:587: starttls-not-supported (not offered)  [01M859SPA3MPJTB9D5MPJTB9D5]",
            "    downgrade: this host offered TLS before",
            "failed    verified    TLSv1.3  relay  admin@example.com",
            "    smtp.example.com:587  [01M859SPA3MPJTB9D5MPJTB9D5]",
            "sent      verified    TLSv1.3  relay  admin@example.com  4XYZ",
        ],
        "{}",
        run.stdout
    );
    assert_eq!((run.code, run.stderr.as_str()), (0, "sealpost: 4 lines of the log are no records of a send, and left out\n"));
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
