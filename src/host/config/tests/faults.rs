//! Every kind of fault: its place, its caret, its words, its hint.

use super::read;
use crate::error::Exit;

mod login;
mod tls;

/// One fault: the lines after a sound beginning, where it is, what stands under it, why, and what to do.
struct Case {
    text: &'static str,
    place: &'static str,
    /// The excerpt's last two lines without the gutter.
    shown: &'static str,
    because: &'static str,
    hint: &'static str,
}

fn cases(cases: &[Case]) {
    for case in cases {
        let error = read(case.text).expect_err(case.text);
        let rendered = error.render("t");
        let excerpt: Vec<&str> =
            rendered.lines().skip(2).take(2).filter_map(|line| line.split_once(" | ").map(|(_, rest)| rest)).collect();
        let wanted = format!("reading /etc/sealpost/config.toml:{}: {}", case.place, case.because);
        assert_eq!(error.summary(), wanted, "\n{rendered}");
        assert_eq!(excerpt.join("\n"), case.shown, "\n{rendered}");
        assert_eq!(error.advice().unwrap_or_default(), case.hint, "\n{rendered}");
        assert_eq!(error.exit(), Exit::Config);
    }
}

#[test]
fn a_fault_of_syntax_shows_its_place() {
    cases(&[
        Case {
            text: "[accounts.relay]\nhost = smtp.example.com\n",
            place: "2:8",
            shown: "host = smtp.example.com\n       ^^^^^^^^^^^^^^^^",
            because: "text must stand in quotes",
            hint: "put the value in double quotes",
        },
        Case {
            text: "[accounts.relay]\nhost \"smtp.example.com\"\n",
            place: "2:6",
            shown: "host \"smtp.example.com\"\n     ^",
            because: "not valid TOML: key with no value, expected `=`",
            hint: "",
        },
        Case {
            text: "[accounts.relay\nhost = \"a\"\n",
            place: "1:16",
            shown: "[accounts.relay\n               ^",
            because: "not valid TOML: unclosed table, expected `]`",
            hint: "",
        },
        Case {
            text: "[accounts.relay]\r\nhost = \"a\"\r\nhost = \"b\"\r\n",
            place: "3:1",
            shown: "host = \"b\"\n^^^^",
            because: "not valid TOML: duplicate key",
            hint: "",
        },
    ]);
}

#[test]
fn an_unknown_key_is_met_with_the_right_one_or_the_list() {
    cases(&[
        Case {
            text: "[acounts.relay]\nhost = \"a\"\n",
            place: "1:2",
            shown: "[acounts.relay]\n ^^^^^^^",
            because: "unknown key `acounts` at the top of the file",
            hint: "did you mean `accounts`?",
        },
        Case {
            text: "[accounts.relay]\nhost = \"a\"\n[accounts.relay.tls]\n\tpolcy = \"required\"\n",
            place: "4:2",
            shown: " polcy = \"required\"\n ^^^^^",
            because: "unknown key `polcy` in [accounts.relay.tls]",
            hint: "did you mean `policy`?",
        },
        Case {
            text: "[accounts.relay]\nhost = \"a\"\npolicy = \"off\"\n",
            place: "3:1",
            shown: "policy = \"off\"\n^^^^^^",
            because: "unknown key `policy` in [accounts.relay]",
            hint: "`policy` belongs in [accounts.relay.tls]",
        },
        Case {
            text: "[accounts.relay]\nhost = \"a\"\npolcy = \"off\"\n",
            place: "3:1",
            shown: "polcy = \"off\"\n^^^^^",
            because: "unknown key `polcy` in [accounts.relay]",
            hint: "did you mean `policy`? It belongs in [accounts.relay.tls]",
        },
        Case {
            text: "[log]\nzebra = 1\n[accounts.relay]\nhost = \"a\"\n",
            place: "2:1",
            shown: "zebra = ***\n^^^^^",
            because: "unknown key `zebra` in [log]",
            hint: "the keys here are `file`, `syslog` and `syslog_tls`",
        },
    ]);
}

#[test]
fn a_wrong_value_says_what_would_be_right() {
    cases(&[
        Case {
            text: "[accounts.relay]\nhost = \"a\"\ntls.policy = \"requird\"\n",
            place: "3:14",
            shown: "tls.policy = \"requird\"\n             ^^^^^^^^^",
            because: "`requird` is not known here",
            hint: "did you mean `required`? it takes `off`, `opportunistic` or `required`",
        },
        Case {
            text: "[accounts.relay]\nhost = \"a\"\nport = \"587\"\n",
            place: "3:8",
            shown: "port = \"587\"\n       ^^^^^",
            because: "`port` is text",
            hint: "`port` takes a number without quotes",
        },
        Case {
            text: "[accounts.relay]\nhost = \"a\"\nport = 65536\n",
            place: "3:8",
            shown: "port = 65536\n       ^^^^^",
            because: "`port` must be a whole number, from 1 to 65535",
            hint: "",
        },
        Case {
            text: "[limits]\nreply_timeout = 30\n[accounts.relay]\nhost = \"a\"\n",
            place: "2:17",
            shown: "reply_timeout = 30\n                ^^",
            because: "`reply_timeout` needs a unit",
            hint: "write it in quotes: `\"30s\"`, `\"5m\"`, `\"2h\"` or `\"5d\"`",
        },
        Case {
            text: "[log]\nsyslog = \"yes\"\n[accounts.relay]\nhost = \"a\"\n",
            place: "2:10",
            shown: "syslog = \"yes\"\n         ^^^^^",
            because: "`syslog` is text",
            hint: "`syslog` takes `true` or `false`",
        },
        Case {
            text: "[accounts.relay]\nhost = \"a\"\nmatch = \"*@a\"\n",
            place: "3:9",
            shown: "match = \"*@a\"\n        ^^^^^",
            because: "`match` is text",
            hint: "`match` takes a list: put it in square brackets",
        },
        Case {
            text: "[accounts.relay]\nhost = \"a\"\nmatch = [\n  \"a é\",\n]\n",
            place: "4:3",
            shown: "  \"a é\",\n  ^^^^^",
            because: "`a é` is not a pattern",
            hint: "like `*@example.com`; `*` stands for anything",
        },
        Case {
            text: "mail_domain = \"\"\n[accounts.relay]\nhost = \"a\"\n",
            place: "1:15",
            shown: "mail_domain = \"\"\n              ^^",
            because: "it is empty",
            hint: "leave the key out, or give it a value",
        },
        Case {
            text: "accounts = 5\n",
            place: "1:12",
            shown: "accounts = ***\n           ^",
            because: "`accounts` is a number",
            hint: "`accounts` takes tables: `[accounts.NAME]`",
        },
    ]);
}

#[test]
fn settings_that_contradict_each_other_are_refused() {
    cases(&[
        Case {
            text: "default_account = \"rely\"\n[accounts.relay]\nhost = \"a\"\n",
            place: "1:19",
            shown: "default_account = \"rely\"\n                  ^^^^^^",
            because: "there is no account `rely`",
            hint: "did you mean `relay`? the only account is `relay`",
        },
        Case {
            text: "[accounts.relay]\nhost = \"a\"\nfallback = [\"x\", \"relay\"]\n[accounts.x]\nhost = \"b\"\n",
            place: "3:18",
            shown: "fallback = [\"x\", \"relay\"]\n                 ^^^^^^^",
            because: "account `relay` falls back on itself",
            hint: "name other accounts",
        },
        Case {
            text: "[accounts.relay]\nport = 25\n",
            place: "1:1",
            shown: "[accounts.relay]\n^^^^^^^^^^^^^^^^",
            because: "[accounts.relay] has no `host`",
            hint: "name the smarthost, like `host = \"smtp.example.com\"`",
        },
        Case {
            text: "[accounts.relay]\nhost = \"a\"\ntls.trust = \"pin\"\n",
            place: "3:13",
            shown: "tls.trust = \"pin\"\n            ^^^^^",
            because: "there is no pin to trust",
            hint: "add `pins`: the log shows the digest of a server that was refused (certificate.sha256)",
        },
        Case {
            text: "[accounts.relay]\nhost = \"a\"\n[accounts.relay.tls]\npins = [\"0000000000000000000000000000000000000000000000000000000000000000\"]\n",
            place: "4:1",
            shown: "pins = [\"0000000000000000000000000000000000000000000000000000000000000000\"]\n^^^^",
            because: "pins have no meaning with trust \"system\"",
            hint: "set `trust` to \"pin\", or leave `pins` out",
        },
        Case {
            text: "[accounts.relay]\nhost = \"unix:/run/x\"\nport = 24\n",
            place: "3:1",
            shown: "port = 24\n^^^^",
            because: "a unix socket has no port",
            hint: "leave `port` out",
        },
        Case {
            text: "[accounts.relay]\nhost = \"a\"\n[accounts.relay.tls]\nstart = \"implicit\"\npolicy = \"off\"\n",
            place: "4:9",
            shown: "start = \"implicit\"\n        ^^^^^^^^^^",
            because: "without TLS there is no implicit TLS",
            hint: "leave `start` out, or choose another policy",
        },
        Case {
            text: "[accounts.relay]\nhost = \"192.0.2.1\"\nsource_address = \"::1\"\n",
            place: "3:1",
            shown: "source_address = \"::1\"\n^^^^^^^^^^^^^^",
            because: "192.0.2.1 can't be reached from ::1: one is IPv4, the other IPv6",
            hint: "name an address of the same family",
        },
        Case {
            text: "[accounts.relay]\nhost = \"a\"\n[accounts.relay.auth]\npassword_env = \"P\"\n",
            place: "3:1",
            shown: "[accounts.relay.auth]\n^^^^^^^^^^^^^^^^^^^^^",
            because: "[accounts.relay.auth] has no `user`",
            hint: "name the login, like `user = \"cron@example.com\"`",
        },
    ]);
}

#[test]
fn a_password_is_never_in_the_excerpt() {
    for (line, shown) in [
        ("password = \"hunter2", "password = ***"),
        ("password = hunter2", "password = ***"),
        ("password: hunter2", "***"),
        ("password \"hunter2\"", "***"),
        ("pasword = \"hunter2\"", "pasword = ***"),
        ("pwd = \"hunter2\"", "pwd = ***"),
        ("PASSWORD = \"hunter2\"", "PASSWORD = ***"),
        ("\"pass\\u0077ord\" = \"hunter2", "\"pass\\u0077ord\" = ***"),
        ("allow_unverified = 5, password = \"hunter2\"", "allow_unverified = 5, password = ***"),
        ("password = \"\"\"\nhunter2\n\"\"\"\nallow_unverified = 5", "***"),
        ("password = '''\nx''', hunter2", "***"),
        ("password = \"a\nhunter2\"", "password = ***"),
        ("password = [\"hunter2\"]", "password = ***"),
        ("oauth.client_secret = \"hunter2", "oauth.client_secret = ***"),
        ("oauth.client_secrt = \"hunter2\"", "oauth.client_secrt = ***"),
        ("oauth = { client_secret = \"hunter2\" }", "oauth = ***"),
        ("oauth.client_secret \"hunter2\"", "***"),
        ("[accounts.b]\nhost = \"smtp://cron:hunter2@h\"", "host = \"smtp://cron:***@h\""),
        ("[accounts.b]\nhost = 'cron:hunter2@h:587' # mine", "host = 'cron:***@h:587' # mine"),
        ("[accounts.b]\nhost = \"cron@a:@hunter2:@h\"", "host = \"cron@a:***@h\""),
        ("[accounts.b]\nhost = \"h\"\nproxy = \"socks5://cron:hunter2@p:1\"", "proxy = \"socks5://cron:***@p:1\""),
        (
            "[accounts.a.auth.oauth]\nclient_id = \"x\"\ntoken_endpoint = \"https://c:hunter2@h\"",
            "token_endpoint = \"https://c:***@h\"",
        ),
    ] {
        let error = read(&format!("[accounts.a]\nhost = \"h\"\n[accounts.a.auth]\nuser = \"u\"\n{line}\n")).expect_err(line);
        let rendered = error.render("t");
        assert!(!rendered.contains("hunter2"), "{rendered}");
        assert!(rendered.contains(&format!(" | {shown}\n")), "{line}: {rendered}");
    }
}

#[test]
fn a_long_line_is_cut_around_the_caret() {
    let text = format!("[accounts.a]\nhost = \"h\"\nmatch = [{}\"a b\", {}]\n", "\"x\", ".repeat(5000), "\"y\", ".repeat(5000));
    let rendered = read(&text).unwrap_err().render("t");
    assert!(rendered.len() < 600, "{rendered}");
    let lines: Vec<&str> = rendered.lines().collect();
    let caret = lines[3].chars().position(|c| c == '^').unwrap();
    let above: String = lines[2].chars().skip(caret).take(5).collect();
    assert_eq!(above, "\"a b\"");
}
