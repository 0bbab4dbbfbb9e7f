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
use super::sink::quoted;
use crate::{
    error::{Error, Exit},
    host::listen::{Delivery, Event, Kept, Settings, Sink},
    smtp::server::fault::Faults,
};

mod story;

/// How long a sink lets a client go on after `sendmail` has returned.
const GRACE: Duration = Duration::from_secs(5);

/// Send real messages through a real `sendmail` to a smarthost on this machine, and show what TLS did for each.
#[derive(Args, Clone, Debug, Default)]
pub struct Options {
    /// Leave configurations, log and messages in their temporary directory
    #[arg(long)]
    keep: bool,
}

type Composed = Result<Message, Box<dyn std::error::Error>>;

/// One scene: a server, a policy, and what must come of it.
#[derive(Debug)]
struct Scene {
    title: &'static str,
    /// What is shown, in a sentence or two.
    about: &'static str,
    policy: &'static str,
    faults: &'static [&'static str],
    message: fn() -> Composed,
    promise: Promise,
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

const SCENES: [Scene; 4] = [
    Scene {
        title: "TLS required, server verified",
        about: "The smarthost's certificate is signed by a CA that the account knows.",
        policy: "required",
        faults: &[],
        message: plain,
        promise: Promise { exit: 0, delivered: true, result: "verified", failure: None },
    },
    Scene {
        title: "Opportunistic TLS, self-signed certificate",
        about: "Nobody vouches for this server. The mail goes, encrypted, and the log says that the peer was not verified, and why.",
        policy: "opportunistic",
        faults: &["self-signed"],
        message: with_attachment,
        promise: Promise { exit: 0, delivered: true, result: "unverified", failure: Some("certificate-not-trusted") },
    },
    Scene {
        title: "Opportunistic TLS, STARTTLS stripped",
        about: "Somebody on the way removed STARTTLS. The policy allows plaintext: the mail goes, and the log does not gloss over it.",
        policy: "opportunistic",
        faults: &["no-starttls"],
        message: plain,
        promise: Promise { exit: 0, delivered: true, result: "plaintext", failure: Some("starttls-not-supported") },
    },
    Scene {
        title: "TLS required, STARTTLS stripped",
        about: "The same attack under the default policy: not one octet of the mail leaves, and the caller gets EX_TEMPFAIL.",
        policy: "required",
        faults: &["no-starttls"],
        message: plain,
        promise: Promise { exit: 75, delivered: false, result: "none", failure: Some("starttls-not-supported") },
    },
];

/// Plays all scenes and tells them on `out`; the exit code says whether each ended as promised.
///
/// # Errors
/// The stage can't be set: no temporary directory, no sink, no program to run.
pub fn run(options: &Options, out: &mut dyn Write) -> Result<Exit, Error> {
    let program = std::env::current_exe().map_err(|error| failed("finding the program itself", &error))?;
    let colour = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    play(options, &program, Style { colour }, out)
}

fn play(options: &Options, program: &Path, style: Style, out: &mut dyn Write) -> Result<Exit, Error> {
    let stage = Stage::open(options.keep)?;
    let tell =
        |out: &mut dyn Write, text: &str| out.write_all(text.as_bytes()).map_err(|error| failed("telling the story", &error));
    tell(out, &style.opening())?;
    let mut kept = 0;
    for (number, scene) in SCENES.iter().enumerate() {
        let ending = stage.play(number + 1, scene, program)?;
        let broken = scene.promise.broken(&ending);
        kept += usize::from(broken.is_empty());
        tell(out, &style.scene(number + 1, scene, &ending, &broken))?;
    }
    tell(out, &style.closing(kept, options.keep.then_some(stage.directory.as_path())))?;
    Ok(if kept == SCENES.len() { Exit::Ok } else { Exit::Software })
}

/// The temporary directory that everything happens in.
struct Stage {
    directory: PathBuf,
    keep: bool,
}

/// How a scene ended.
struct Ending {
    command: String,
    exit: Option<i32>,
    stderr: String,
    delivered: Option<Delivery>,
    /// The last record of the log.
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
        let config = place.join("config.toml");
        let log = place.join("log.jsonl");
        let ca = place.join("ca.pem");
        let written = DirBuilder::new()
            .mode(0o700)
            .create(&place)
            .and_then(|()| fs::write(&ca, sink.ca_pem.as_deref().unwrap_or_default()))
            .and_then(|()| fs::write(&config, configuration(scene, sink.address.port(), &ca, &log)));
        written.map_err(|error| failed("writing the configuration of the demo", &error))?;
        let message =
            (scene.message)().map_err(|error| Error::new(Exit::Software, "composing a message of the demo", error.to_string()))?;
        let output = sendmail(program, &config, &message.formatted(), &place)?;
        sink.stop(GRACE);
        let delivered = sink.events.try_iter().find_map(|event| match event {
            Event::Delivered(delivery) => Some(*delivery),
            Event::Trouble { .. } => None,
        });
        Ok(Ending {
            command: format!("sendmail -C {} -t < message.eml", config.display()),
            exit: output.status.code(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            delivered,
            record: last_record(&fs::read_to_string(&log).unwrap_or_default()),
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

/// Runs the real program. Nothing of the caller's configuration may reach it.
fn sendmail(program: &Path, config: &Path, message: &[u8], place: &Path) -> Result<Output, Error> {
    let doing = format!("running {} sendmail", program.display());
    let input = place.join("message.eml");
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
        .args(["sendmail", "-C"])
        .arg(config)
        .arg("-t")
        .env("XDG_STATE_HOME", place)
        .stdin(stdin)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .output()
        .map_err(|error| failed(&doing, &error))
}

fn configuration(scene: &Scene, port: u16, ca: &Path, log: &Path) -> String {
    format!(
        "mail_domain = \"example.com\"\n\
         aliases = \"\"\n\n\
         [log]\n\
         file = {}\n\
         syslog = false\n\n\
         [accounts.demo]\n\
         host = \"localhost\"\n\
         port = {port}\n\
         from = \"cron@example.com\"\n\n\
         [accounts.demo.tls]\n\
         start = \"starttls\"\n\
         policy = \"{}\"\n\
         ca_file = {}\n",
        quoted(&log.to_string_lossy()),
        scene.policy,
        quoted(&ca.to_string_lossy()),
    )
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
