//! `sealpost demo`: the main job end to end, with real messages, a real `sendmail`, and a smarthost of our own.

use std::{
    fs::{self, DirBuilder},
    io::{self, IsTerminal, Write},
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::Duration,
};

use clap::Args;
use lettre::{
    Message,
    address::AddressError,
    message::{Attachment, MessageBuilder, MultiPart, SinglePart, header::ContentType},
};
use ring::rand::{SecureRandom as _, SystemRandom};
use serde_json::Value;

use self::story::Style;
use crate::{
    error::{Error, Exit},
    host::listen::{Delivery, Event, Kept, Settings, Sink},
    smtp::server::fault::Faults,
};

mod story;

/// How long a sink lets a client go on after `sendmail` has returned.
const GRACE: Duration = Duration::from_secs(5);
/// What each scene runs, in its own directory.
const COMMAND: &str = "sendmail -C config.toml -t < message.eml";
const CONFIG: &str = "config.toml";
const MESSAGE: &str = "message.eml";

/// Send real messages through a real `sendmail` to a smarthost on this machine, and show what TLS did for each.
#[derive(Args, Clone, Debug, Default)]
pub struct Options {
    /// Leave configurations, logs and messages in their temporary directory, and say where that is
    #[arg(long)]
    keep: bool,
    /// Write the log's own JSON lines to standard output, and the story to standard error
    #[arg(long)]
    json: bool,
}

type Composed = Result<Message, Box<dyn std::error::Error>>;

/// One scene: a policy, a server, and what must come of them.
#[derive(Debug)]
struct Scene {
    title: &'static str,
    policy: &'static str,
    /// What the policy means, for the comment beside it.
    meaning: &'static str,
    /// What the server does.
    server: &'static str,
    faults: &'static [&'static str],
    message: fn() -> Composed,
    promise: Promise,
    /// What follows from policy and server, in a sentence or two.
    moral: &'static str,
}

/// What a scene must end with.
#[derive(Debug, PartialEq, Eq)]
struct Promise {
    exit: i32,
    delivered: bool,
    /// `tls.result` in the log.
    result: &'static str,
    /// `tls.failure` in the log.
    failure: Option<&'static str>,
}

const REQUIRED: &str = "TLS with a trusted server, or no mail";
const OPPORTUNISTIC: &str = "TLS if it can be had; the log tells";

const SCENES: [Scene; 4] = [
    Scene {
        title: "TLS required, server verified",
        policy: "required",
        meaning: REQUIRED,
        server: "offers STARTTLS; its certificate is signed by the CA in ca.pem",
        faults: &[],
        message: plain,
        promise: Promise { exit: 0, delivered: true, result: "verified", failure: None },
        moral: "The server is who it should be: the mail went, sealed. Bcc left its header, a Message-ID came in.",
    },
    Scene {
        title: "Opportunistic TLS, self-signed certificate",
        policy: "opportunistic",
        meaning: OPPORTUNISTIC,
        server: "offers STARTTLS; its certificate is signed by itself alone",
        faults: &["self-signed"],
        message: with_attachment,
        promise: Promise { exit: 0, delivered: true, result: "unverified", failure: Some("certificate-not-trusted") },
        moral: "The mail went, encrypted, but nobody vouches for that server: the log says so, and why.",
    },
    Scene {
        title: "Opportunistic TLS, STARTTLS stripped",
        policy: "opportunistic",
        meaning: OPPORTUNISTIC,
        server: "somebody on the way takes STARTTLS out of its reply to EHLO",
        faults: &["no-starttls"],
        message: plain,
        promise: Promise { exit: 0, delivered: true, result: "plaintext", failure: Some("starttls-not-supported") },
        moral: "The policy allows plaintext: the mail went, for all to read, and the log does not gloss over it.",
    },
    Scene {
        title: "TLS required, STARTTLS stripped",
        policy: "required",
        meaning: REQUIRED,
        server: "somebody on the way takes STARTTLS out of its reply to EHLO",
        faults: &["no-starttls"],
        message: plain,
        promise: Promise { exit: 75, delivered: false, result: "none", failure: Some("starttls-not-supported") },
        moral: "The same attack under the default policy: not one octet of the mail left. It is still with the caller, \
                who may try again.",
    },
];

/// Plays all scenes and tells them on `out`; the exit code says whether each ended as promised. With `--json` only the log
/// goes to `out`, and the story to `talk`.
///
/// # Errors
/// The stage can't be set: no temporary directory, no sink, no program to run.
pub fn run(options: &Options, out: &mut dyn Write, talk: &mut dyn Write) -> Result<Exit, Error> {
    let program = std::env::current_exe().map_err(|error| failed("finding the program itself", &error))?;
    let terminal = if options.json { io::stderr().is_terminal() } else { io::stdout().is_terminal() };
    let colour = terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    play(options, &program, Style { colour }, out, talk)
}

fn play(options: &Options, program: &Path, style: Style, out: &mut dyn Write, talk: &mut dyn Write) -> Result<Exit, Error> {
    let stage = Stage::open(options.keep)?;
    let mut tell = |story: &str, log: &str| {
        let told = if options.json {
            talk.write_all(story.as_bytes()).and_then(|()| out.write_all(log.as_bytes()))
        } else {
            out.write_all(story.as_bytes())
        };
        told.and_then(|()| out.flush()).map_err(|error| failed("telling the story", &error))
    };
    tell(&style.opening(), "")?;
    let mut kept = 0;
    for (number, scene) in SCENES.iter().enumerate() {
        let ending = stage.play(number + 1, scene, program)?;
        let broken = scene.promise.broken(&ending);
        kept += usize::from(broken.is_empty());
        tell(&style.scene(number + 1, scene, &ending, &broken), &ending.log)?;
    }
    tell(&style.closing(kept, options.keep.then_some(stage.directory.as_path())), "")?;
    Ok(if kept == SCENES.len() { Exit::Ok } else { Exit::Software })
}

/// The temporary directory that everything happens in.
struct Stage {
    directory: PathBuf,
    keep: bool,
}

/// How a scene ended.
struct Ending {
    exit: Option<i32>,
    stderr: String,
    delivered: Option<Delivery>,
    /// What the log says, as it stands there.
    log: String,
    /// The last record of it.
    record: Option<Value>,
}

impl Stage {
    fn open(keep: bool) -> Result<Self, Error> {
        let mut random = [0; 8];
        SystemRandom::new()
            .fill(&mut random)
            .map_err(|_| Error::new(Exit::OsErr, "setting the stage", "the system gives no randomness"))?;
        let name = random.iter().fold("sealpost-demo-".to_owned(), |name, octet| format!("{name}{octet:02x}"));
        let directory = std::env::temp_dir().join(name);
        DirBuilder::new().mode(0o700).create(&directory).map_err(|error| failed("making a temporary directory", &error))?;
        Ok(Self { directory, keep })
    }

    fn play(&self, number: usize, scene: &Scene, program: &Path) -> Result<Ending, Error> {
        let settings = Settings { faults: Faults::named(scene.faults.iter().copied()), ..Settings::default() };
        let mut sink = Sink::start(settings).map_err(|error| failed("starting the smarthost of the demo", &error))?;
        let place = self.directory.join(format!("scene-{number}"));
        let written = DirBuilder::new()
            .mode(0o700)
            .create(&place)
            .and_then(|()| fs::write(place.join("ca.pem"), sink.ca_pem.as_deref().unwrap_or_default()))
            .and_then(|()| fs::write(place.join(CONFIG), configuration(scene, sink.address.port())));
        written.map_err(|error| failed("writing the configuration of the demo", &error))?;
        let message =
            (scene.message)().map_err(|error| Error::new(Exit::Software, "composing a message of the demo", error.to_string()))?;
        let output = sendmail(program, &message.formatted(), &place)?;
        sink.stop(GRACE);
        let delivered = sink.events.try_iter().find_map(|event| match event {
            Event::Delivered(delivery) => Some(*delivery),
            Event::Trouble { .. } => None,
        });
        let log = fs::read_to_string(place.join("log.jsonl")).unwrap_or_default();
        Ok(Ending {
            exit: output.status.code(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            delivered,
            record: last_record(&log),
            log,
        })
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if !self.keep {
            let _ = fs::remove_dir_all(&self.directory);
        }
    }
}

/// Runs the real program as [`COMMAND`] says. Nothing of the caller's configuration may reach it.
fn sendmail(program: &Path, message: &[u8], place: &Path) -> Result<Output, Error> {
    let doing = format!("running {} sendmail", program.display());
    let input = place.join(MESSAGE);
    let stdin = fs::write(&input, message).and_then(|()| fs::File::open(&input)).map_err(|error| failed(&doing, &error))?;
    let ours = std::env::vars_os().map(|(name, _)| name).filter(|name| {
        let name = name.to_string_lossy();
        name.starts_with("SEALPOST_") || name.starts_with("SMTP_")
    });
    let mut command = Command::new(program);
    ours.for_each(|name| {
        command.env_remove(name);
    });
    command
        .args(["sendmail", "-C", CONFIG, "-t"])
        .current_dir(place)
        .env("XDG_STATE_HOME", place)
        .stdin(stdin)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .output()
        .map_err(|error| failed(&doing, &error))
}

/// Paths in it start at its own directory.
fn configuration(scene: &Scene, port: u16) -> String {
    format!(
        "mail_domain = \"example.com\"\n\
         aliases = \"\"\n\n\
         [log]\n\
         file = \"log.jsonl\"\n\
         syslog = false\n\n\
         [memory]\n\
         file = \"\"\n\n\
         [accounts.demo]\n\
         host = \"localhost\"\n\
         port = {port}\n\
         from = \"cron@example.com\"\n\n\
         [accounts.demo.tls]\n{}\n",
        promises(scene).join("\n"),
    )
}

/// The part of the configuration that the story is about.
fn promises(scene: &Scene) -> [String; 3] {
    let policy = format!("policy = \"{}\"", scene.policy);
    [
        format!("{policy:<24} # {}", scene.meaning),
        format!("{:<24} # trusted: a CA vouches for its name", "trust = \"system\""),
        format!("{:<24} # ... this CA, and no other", "ca_file = \"ca.pem\""),
    ]
}

fn last_record(log: &str) -> Option<Value> {
    log.lines().next_back().and_then(|line| serde_json::from_str(line).ok())
}

fn plain() -> Composed {
    Ok(addressed("Backup finished")?.body("412 files, 3.1 GiB, no errors.\n".to_owned())?)
}

fn with_attachment() -> Composed {
    let text = SinglePart::plain("Grüße: the report is attached.\n".to_owned());
    let table = Attachment::new("report.csv".to_owned()).body("host,errors\nalpha,0\n".to_owned(), ContentType::TEXT_PLAIN);
    Ok(addressed("Report für März")?.multipart(MultiPart::mixed().singlepart(text).singlepart(table))?)
}

/// The Bcc stays in what `sendmail` gets: taking it out is its business.
fn addressed(subject: &str) -> Result<MessageBuilder, AddressError> {
    let message = Message::builder().from("Cron <cron@example.com>".parse()?).to("Admin <admin@example.com>".parse()?);
    Ok(message.bcc("archive@example.com".parse()?).keep_bcc().subject(subject))
}

impl Promise {
    /// What is not as promised, a phrase each.
    fn broken(&self, ending: &Ending) -> Vec<String> {
        let tls = |key: &str| ending.record.as_ref().and_then(|record| record["tls"][key].as_str());
        let mut broken = Vec::new();
        if ending.exit != Some(self.exit) {
            broken.push(format!("exit code {} was promised", self.exit));
        }
        match &ending.delivered {
            Some(_) if !self.delivered => broken.push("that nothing arrives was promised".to_owned()),
            None if self.delivered => broken.push("delivery was promised".to_owned()),
            Some(delivery) => broken.extend(leaks(delivery)),
            None => {}
        }
        if tls("result") != Some(self.result) {
            broken.push(format!("tls.result = {} was promised", self.result));
        }
        if tls("failure") != self.failure {
            broken.push(format!("tls.failure = {} was promised", self.failure.unwrap_or("null")));
        }
        broken
    }
}

/// What is wrong with a message that arrived: both recipients were to get it, and neither was to see the hidden one.
fn leaks(delivery: &Delivery) -> Vec<String> {
    let to: Vec<&str> = delivery.transaction.recipients.iter().map(|recipient| recipient.address.as_str()).collect();
    let mut leaks = Vec::new();
    if to != ["admin@example.com", "archive@example.com"] {
        leaks.push("mail for admin and archive was promised".to_owned());
    }
    if matches!(&delivery.kept, Kept::Memory(octets) if String::from_utf8_lossy(octets).contains("archive@")) {
        leaks.push("that Bcc leaves the header was promised".to_owned());
    }
    leaks
}

fn failed(doing: &str, error: &io::Error) -> Error {
    Error::new(Exit::OsErr, doing, error.to_string())
}

#[cfg(test)]
mod tests;
