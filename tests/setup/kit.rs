//! Which home, which smarthost and which command do these tests share?

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use sealpost::{
    host::listen::{Certificate, Event, Settings, Sink, Tls},
    smtp::sasl::{Secret, verifier::Login},
};

use crate::common::{
    PASSWORD, Run, Scratch, USER, binary,
    certificate::{Authority, Flaw, Identity},
    run,
};

/// A home without a configuration, and an authority that the binary trusts by `SSL_CERT_FILE`.
pub(crate) struct Home {
    pub(crate) scratch: Scratch,
    pub(crate) authority: Authority,
    pub(crate) environment: Vec<(String, String)>,
}

impl Home {
    pub(crate) fn new() -> Self {
        let (scratch, authority) = (Scratch::new(), Authority::new("the authority of this home"));
        scratch.write("ca.pem", authority.pem());
        Self { scratch, authority, environment: Vec::new() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    /// A user's own, so that root's state is kept in this home too.
    pub(crate) fn config(&self) -> PathBuf {
        self.path(".config/sealpost/config.toml")
    }

    /// Writes a configuration that is there beforehand.
    pub(crate) fn has(&self, text: &str) {
        fs::create_dir_all(self.path(".config/sealpost")).unwrap();
        self.scratch.write(".config/sealpost/config.toml", text);
    }

    /// The modes and names of what is beside the configuration.
    pub(crate) fn configured(&self) -> Vec<String> {
        let beside = |name: String| {
            let (mode, path) = name.split_once(' ')?;
            Some(format!("{mode} {}", path.strip_prefix(".config/sealpost/")?))
        };
        self.found().into_iter().filter_map(beside).collect()
    }

    pub(crate) fn written(&self) -> String {
        fs::read_to_string(self.config()).unwrap()
    }

    /// The binary with this home; mail is logged there, and looked up nowhere.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command.args(args).env_clear().env("PATH", std::env::var_os("PATH").unwrap()).env("HOME", self.scratch.path());
        command.env("TZ", "UTC").env("SSL_CERT_FILE", self.path("ca.pem"));
        // Nobody answers there, at once.
        command.env("SEALPOST_DNS_SERVERS", "127.0.0.1:1");
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// `sealpost setup ARGS -C …`.
    pub(crate) fn setup(&self, args: &[&str]) -> Command {
        let config = self.config();
        let mut words = vec!["setup", "-C", config.to_str().unwrap()];
        words.extend(args);
        self.command(&words)
    }

    /// The same without a terminal, with `input` on standard input.
    pub(crate) fn silent(&self, args: &[&str], input: &str) -> Run {
        run(self.setup(args), input.as_bytes())
    }

    /// Everything below this home that was not there in the beginning, with modes.
    pub(crate) fn found(&self) -> Vec<String> {
        let mut found = Vec::new();
        walk(self.scratch.path(), self.scratch.path(), &mut found);
        found.retain(|name| !name.ends_with(" ca.pem"));
        found.sort();
        found
    }

    /// A smarthost with a certificate of the authority, for localhost, that wants a login.
    pub(crate) fn sink(&self, tls: Tls) -> Sink {
        self.sink_with(Flaw::None, tls, Some(PASSWORD))
    }

    pub(crate) fn sink_with(&self, flaw: Flaw, tls: Tls, password: Option<&str>) -> Sink {
        let identity = self.authority.identity(flaw);
        let login = password.map(|password| Login { user: USER.to_owned(), password: Secret::new(password.to_owned()) });
        sink(&identity, tls, login)
    }
}

pub(crate) fn sink(identity: &Identity, tls: Tls, login: Option<Login>) -> Sink {
    let place = Scratch::new();
    let certificate = Certificate::Files {
        chain: place.write("chain.pem", &identity.certificate_pem),
        key: place.write("key.pem", &identity.key_pem),
    };
    Sink::start(Settings { tls, certificate, login, ..Settings::default() }).unwrap()
}

fn walk(top: &Path, directory: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(directory).unwrap().map(Result::unwrap) {
        let path = entry.path();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o7777;
        found.push(format!("{mode:04o} {}", path.strip_prefix(top).unwrap().display()));
        if path.is_dir() {
            walk(top, &path, found);
        }
    }
}

/// How many messages came.
pub(crate) fn delivered(sink: &Sink) -> usize {
    sink.events.try_iter().filter(|event| matches!(event, Event::Delivered(_))).count()
}
