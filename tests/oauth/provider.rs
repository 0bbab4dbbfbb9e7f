//! What does a real authorisation server want from somebody, page by page? (oidc-provider under Node.js, curl as the browser)

use std::{
    env, fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    thread,
};

use crate::common::{Scratch, certificate::Authority, needs::or_skip};

/// A running provider; it ends with its standard input.
pub(crate) struct Provider {
    pub(crate) base: String,
    /// What vouches for it, where it speaks TLS.
    pub(crate) authority_pem: Option<String>,
    _lifeline: ChildStdin,
    _child: Child,
}

/// A provider of its own for a test; `None`, and said so, where it can't run.
pub(crate) fn provider(sealed: bool) -> Option<Provider> {
    or_skip(Provider::start(sealed))
}

/// Where `tests/run` puts the server's modules.
fn modules() -> PathBuf {
    let usual = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/oauth/node_modules");
    env::var_os("OAUTH_MODULES").map_or(usual, PathBuf::from)
}

impl Provider {
    fn start(sealed: bool) -> Result<Self, String> {
        for program in ["node", "curl"] {
            if Command::new(program).arg("--version").stdout(Stdio::null()).status().is_err() {
                return Err(format!("{program} is not installed (tests/run as root installs it)"));
            }
        }
        if !modules().join("oidc-provider").is_dir() {
            return Err("oidc-provider is not installed (tests/run installs it)".to_owned());
        }
        let scratch = Scratch::new();
        let mut command = Command::new("node");
        command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/oauth/provider.mjs")).arg(modules());
        let mut authority_pem = None;
        if sealed {
            let authority = Authority::new("Provider's authority");
            let identity = authority.identity(crate::common::certificate::Flaw::None);
            command.arg(scratch.write("key.pem", &identity.key_pem)).arg(scratch.write("cert.pem", &identity.certificate_pem));
            authority_pem = Some(authority.pem());
        }
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        // Its warnings come first; a server that is installed and does not start is a failure.
        let base = lines.find(|line| line.starts_with("http")).expect("the provider did not start");
        thread::spawn(move || lines.for_each(drop));
        Ok(Self { base, authority_pem, _lifeline: child.stdin.take().unwrap(), _child: child })
    }

    /// Withdraws all that anybody agreed to.
    pub(crate) fn revoke_all(&self) {
        assert_eq!(Person::new(self).open(&["--data", "", &format!("{}/revoke-all", self.base)]), "done\n");
    }
}

/// Somebody with a browser.
pub(crate) struct Person {
    scratch: Scratch,
}

impl Person {
    pub(crate) fn new(provider: &Provider) -> Self {
        let scratch = Scratch::new();
        if let Some(pem) = &provider.authority_pem {
            scratch.write("ca.pem", pem);
        }
        Self { scratch }
    }

    /// Opens a page and does what each form asks for, until a page has none; that page.
    pub(crate) fn agree(&self, page: &str) -> String {
        let mut shown = self.open(&[page]);
        for _ in 0..8 {
            let Some((action, fields)) = form(&shown) else { return shown };
            let data: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={}", filled(name, value))).collect();
            let mut words: Vec<&str> = data.iter().flat_map(|pair| ["--data-urlencode", pair]).collect();
            words.push(&action);
            shown = self.open(&words);
        }
        panic!("forms without end: {shown}");
    }

    /// What curl shows in the end, redirects followed, cookies kept.
    fn open(&self, words: &[&str]) -> String {
        let jar = self.scratch.path().join("jar");
        let mut command = Command::new("curl");
        command
            .args(["--silent", "--show-error", "--location", "--max-time", "20"])
            .arg("--cookie")
            .arg(&jar)
            .arg("--cookie-jar")
            .arg(&jar);
        let authority = self.scratch.path().join("ca.pem");
        if fs::exists(&authority).unwrap() {
            command.arg("--cacert").arg(authority);
        }
        let output = command.args(words).output().unwrap();
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

/// Where the first form of a page goes, and its fields.
fn form(page: &str) -> Option<(String, Vec<(String, String)>)> {
    let (_, rest) = page.split_once("<form")?;
    let form = rest.split("</form>").next()?;
    let attribute = |tag: &str, name: &str| {
        let (_, value) = tag.split_once(&format!("{name}=\""))?;
        value.split('"').next().map(|value| value.replace("&amp;", "&"))
    };
    let tags = form.split('<').skip(1).filter(|tag| tag.starts_with("input") || tag.starts_with("button"));
    let fields = tags.filter_map(|tag| Some((attribute(tag, "name")?, attribute(tag, "value").unwrap_or_default())));
    Some((attribute(form, "action")?, fields.collect()))
}

/// What somebody types: the login and any password; the rest is as the page has it.
fn filled<'v>(name: &str, value: &'v str) -> &'v str {
    match name {
        "login" => "cron",
        "password" => "whatever",
        _ => value,
    }
}
