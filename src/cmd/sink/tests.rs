//! Does the sink do what its options say?

use clap::Parser;
use lettre::{Message, SmtpTransport, Transport as _};
use serde_json::json;

use super::{tell::configuration, *};
use crate::{
    host::{
        config::{self, Protocol, SecretSource, Target},
        world::Pretend,
    },
    mail::policy::Start,
};

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    options: Options,
}

fn options(words: &[&str]) -> Options {
    Line::try_parse_from([&["sink"], words].concat()).unwrap().options
}

#[test]
fn the_printed_configuration_can_be_read_and_says_what_was_asked_for() {
    let options = options(&["--implicit", "--lmtp", "--user", "t\"im", "--password-file", "/x/pw"]);
    let text = configuration(&options, "127.0.0.1:4465".parse().unwrap(), Some(Path::new("/x/c\\a.pem")));
    let config = config::parse(&Pretend::default(), Path::new("config.toml"), &text).unwrap();
    let account = &config.accounts[0];
    assert_eq!(account.target, Target::Name("localhost".to_owned(), 4465));
    assert_eq!(account.protocol, Protocol::Lmtp);
    assert_eq!(account.tls.demand.start, Start::Implicit);
    assert_eq!(account.tls.ca_file.as_deref(), Some(Path::new("/x/c\\a.pem")));
    let auth = account.auth.as_ref().unwrap();
    assert_eq!(auth.user, "t\"im");
    assert!(matches!(&auth.source, SecretSource::File(path) if path == Path::new("/x/pw")));
}

#[test]
fn the_printed_configuration_fetches_a_token_whatever_its_file_is_called() {
    let options = options(&["--user", "t", "--token-file", "/x/o'brien's \"token\""]);
    let text = configuration(&options, "127.0.0.1:4465".parse().unwrap(), None);
    let config = config::parse(&Pretend::default(), Path::new("config.toml"), &text).unwrap();
    let source = &config.accounts[0].auth.as_ref().unwrap().source;
    assert!(
        matches!(source, SecretSource::TokenCommand { command, .. } if command == r#"cat '/x/o'\''brien'\''s "token"'"#),
        "{source:?}"
    );
}

#[test]
fn faults_are_known_by_name_and_explained_in_help() {
    assert_eq!(options(&["--fault", "expired", "--fault", "slow"]).fault.len(), 2);
    let help = <Line as clap::CommandFactory>::command().render_long_help().to_string();
    let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
    for fault in &FAULTS {
        assert!(help.contains(fault.name) && help.contains(fault.about), "{}", fault.name);
    }
    for wrong in [
        &["--fault", "nonsense"][..],
        &["--user", "x"],
        &["--user", "x", "--password-file", "y", "--token-file", "z"],
        &["--cert", "x"],
        &["--count", "0"],
        &["--listen", "mail.example:25"],
    ] {
        assert!(Line::try_parse_from([&["sink"], wrong].concat()).is_err(), "{wrong:?}");
    }
}

/// A pipe end that the thread of the test reads lines from.
struct Lines(std::sync::mpsc::Sender<String>);

impl Write for Lines {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.0.send(String::from_utf8_lossy(octets).into_owned()).map_err(io::Error::other)?;
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn it_says_where_it_listens_tells_of_one_message_and_stops() {
    let ca = std::env::temp_dir().join(format!("sealpost-sink-test-{}.pem", std::process::id()));
    let options = options(&["--listen", "127.0.0.1:0", "--once", "--json", "--quiet", "--ca-out", ca.to_str().unwrap()]);
    let (sender, receiver) = std::sync::mpsc::channel();
    let running = std::thread::spawn(move || run(&options, &mut Lines(sender), &mut io::sink()));
    let mut said = String::new();
    while !said.ends_with('\n') {
        said.push_str(&receiver.recv().unwrap());
    }
    let listening: serde_json::Value = serde_json::from_str(&said).unwrap();
    let address: SocketAddr = listening["address"].as_str().unwrap().parse().unwrap();
    assert!(fs::read_to_string(listening["ca_file"].as_str().unwrap()).unwrap().contains("BEGIN CERTIFICATE"));
    let message = Message::builder().from("a@b.example".parse().unwrap()).to("c@d.example".parse().unwrap());
    SmtpTransport::builder_dangerous("127.0.0.1")
        .port(address.port())
        .build()
        .send(&message.body("x".to_owned()).unwrap())
        .unwrap();
    assert_eq!(running.join().unwrap().unwrap(), Exit::Ok);
    let told: serde_json::Value = serde_json::from_str(&receiver.iter().collect::<String>()).unwrap();
    assert_eq!(told["from"], "a@b.example");
    assert_eq!(told["recipients"], json!(["c@d.example"]));
    assert_eq!(told["tls"], serde_json::Value::Null);
    fs::remove_file(ca).unwrap();
}

#[test]
fn a_port_that_is_taken_is_an_error_with_a_way_out() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let options = options(&["--listen", &taken.local_addr().unwrap().to_string()]);
    let error = run(&options, &mut io::sink(), &mut io::sink()).unwrap_err();
    assert_eq!(error.exit(), Exit::Unavailable);
    assert!(error.advice().unwrap().contains("--listen 0"));
}

#[test]
fn an_address_may_be_a_port_alone() {
    let table = [
        ("0", "127.0.0.1:0"),
        (":25", "127.0.0.1:25"),
        ("localhost:25", "127.0.0.1:25"),
        ("[::1]:25", "[::1]:25"),
        ("0.0.0.0:1", "0.0.0.0:1"),
    ];
    for (text, meant) in table {
        assert_eq!(options(&["--listen", text]).listen.to_string(), meant);
    }
}

#[test]
fn a_fault_that_could_never_strike_is_refused_with_what_it_needs() {
    let table: [(&[&str], &str); 7] = [
        (&["--fault", "auth-535"], "--user"),
        (&["--fault", "bad-scram"], "--user"),
        (&["--fault", "bad-scram", "--user", "x", "--token-file", "y"], "--password-file"),
        (&["--fault", "token-refused", "--user", "x", "--password-file", "y"], "--token-file"),
        (&["--implicit", "--fault", "no-starttls"], "--implicit"),
        (&["--fault", "plaintext-on-implicit"], "--implicit"),
        (&["--fault", "expired", "--cert", "x", "--key", "y"], "--cert"),
    ];
    for (words, hint) in table {
        let error = run(&options(words), &mut io::sink(), &mut io::sink()).unwrap_err();
        assert_eq!(error.exit(), Exit::Usage, "{words:?}");
        assert!(error.advice().unwrap().contains(hint), "{words:?}");
    }
    for fault in &FAULTS {
        let secret = if fault.premise() == Some(Premise::Token) { "--token-file" } else { "--password-file" };
        let mut words = vec!["--user", "x", secret, "y", "--fault", fault.name];
        words.extend((fault.premise() == Some(Premise::Implicit)).then_some("--implicit"));
        assert!(possible(&options(&words), fault).is_ok(), "{}", fault.name);
    }
}

#[test]
fn a_message_is_shown_to_a_person_only_so_far_and_can_not_drive_the_terminal() {
    let mut sink = Sink::start(Settings { store: Store::Beginning(SHOWN), ..Settings::default() }).unwrap();
    let message = Message::builder().from("a@b.example".parse().unwrap()).to("c@d.example".parse().unwrap());
    let body = format!("\u{1b}[2J{}", "0123456789\n".repeat(4000));
    let mailer = SmtpTransport::builder_dangerous("127.0.0.1").port(sink.address.port()).build();
    mailer.send(&message.body(body).unwrap()).unwrap();
    sink.stop(GRACE);
    let mut told = Vec::new();
    for event in sink.events.try_iter() {
        tell::event(&options(&[]), &event, &mut told, &mut io::sink()).unwrap();
    }
    let told = String::from_utf8(told).unwrap();
    assert!(told.starts_with("<a@b.example> -> <c@d.example>, "), "{told}");
    assert!(told.contains("\n  | To: c@d.example\n") && told.contains("\n  |\n"), "{told}");
    assert!(told.trim_end().ends_with("more octets") && told.len() < 2 * SHOWN, "{} octets", told.len());
    assert!(!told.contains('\u{1b}'));
}
