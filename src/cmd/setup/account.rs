//! How does an address become an account in the configuration? (find, ask, test, write; sealpost(1), "sealpost setup")

use std::io::Write;

use super::{
    Options, agree,
    answers::{self, Answers},
    dialogue::{Dialogue, Question},
    draft::{self, Draft},
    login::{Asking, Keep, Login},
    presets::Preset,
    server::{Search, Server},
    trial::{self, Verdict},
};
use crate::{
    cmd::check,
    error::{Error, Exit},
    host::{
        config::{
            self, Account, Config, Origin,
            grow::{self, Grown, Growth},
        },
        private,
        secrets::{
            self, Errand,
            oauth::{Grant, Store},
        },
        terminal::Watch,
        world::World,
    },
    mail::address::Address,
    smtp::sasl::Secret,
};

/// What every step needs.
struct Story<'a> {
    world: &'a dyn World,
    options: &'a Options,
    growth: Growth,
    /// The configuration that is there, if it has an account.
    before: Option<Config>,
}

/// An account that is ready to be written: the draft, the whole text, and the configuration that it means.
struct Ready {
    draft: Draft,
    text: String,
    config: Config,
}

/// Sets up a new account.
///
/// # Errors
/// Something is missing or wrong, the account would not send, or it could not be written.
pub(super) fn run(world: &dyn World, options: &Options, watch: &Watch, talk: &mut dyn Write) -> Result<Exit, Error> {
    private::conceal();
    let mut answers = Answers::of(world, options)?;
    let mut dialogue = Dialogue::begin(world, talk, watch, !options.non_interactive)?;
    let story = Story::begin(world, options)?;
    story.greet(&mut dialogue);
    let address = address(&answers, &mut dialogue)?;
    let mut server = story.server(&address, &answers, &mut dialogue)?;
    let ready = loop {
        let ready = story.ask(&address, &server, &mut answers, &mut dialogue)?;
        let (ready, verdict) = story.test(ready, &mut dialogue)?;
        match verdict {
            Verdict::Fine(_) => break ready,
            Verdict::Stop(error) => return Err(error),
            Verdict::Again { server: is_other } => {
                // What was said did not do.
                answers = Answers { user: None, secret: None, ..answers };
                if is_other {
                    answers = Answers { host: None, preset: None, port: None, start: None, by_hand: true, ..answers };
                    server = story.server(&address, &answers, &mut dialogue)?;
                }
            }
            Verdict::Pinned(_) => {}
        }
    };
    story.finish(&ready, watch, &mut dialogue)
}

fn address(answers: &Answers, dialogue: &mut Dialogue<'_>) -> Result<Address, Error> {
    if let Some(address) = answers.address.as_ref().or(answers.from.as_ref()) {
        return Ok(address.clone());
    }
    let question = Question { text: "Mail address to send from", usual: None, option: "the address" };
    dialogue.ask(question, answers::address)
}

impl<'a> Story<'a> {
    fn begin(world: &'a dyn World, options: &'a Options) -> Result<Self, Error> {
        let own = options.file.is_some() || world.uid() != 0;
        let of_system = options.system || (!own && world.env("SEALPOST_CONFIG").is_none_or(|path| path.is_empty()));
        let path = match &options.file {
            Some(path) => path.clone(),
            None => grow::place(world, of_system)?,
        };
        let growth = Growth::begin(world, path, of_system)?;
        if growth.text()?.is_some() && options.non_interactive && !options.yes {
            let because = format!("{} is there already", growth.path.display());
            return Err(Error::new(Exit::Usage, "setting up without questions", because)
                .hint("add --yes: the account is added to it, and a copy of what it was stays beside it"));
        }
        let parse = |text: &str| config::parse(world, &growth.path, text);
        // What packages bring is often a comment from the first line to the last; all that it lacks is what is coming.
        let lacks_an_account = |text: &&str| parse(text).is_err() && parse(&draft::with_any_account(text)).is_ok();
        let before = growth.text()?.filter(|text| !lacks_an_account(text)).map(parse).transpose()?;
        Ok(Self { world, options, growth, before })
    }

    fn greet(&self, dialogue: &mut Dialogue<'_>) {
        if !dialogue.asks() {
            return;
        }
        dialogue.title("Setting up an account");
        dialogue.tell(&format!(
            "It is tested first, then written to {}, if you agree. Until then nothing is changed, and Ctrl-C ends this.",
            self.growth.path.display()
        ));
        if let Some(before) = &self.before {
            let names: Vec<&str> = before.accounts.iter().map(|account| account.name.as_str()).collect();
            dialogue.tell(&format!("That file is there, with {}; it is kept, and gets one account more.", names.join(", ")));
        } else if self.is_there() {
            dialogue.tell("That file is there, without an account; it is kept, and gets one.");
        }
        dialogue.show("\n");
    }

    /// Whether there is a configuration, with an account or without.
    fn is_there(&self) -> bool {
        self.growth.text().is_ok_and(|text| text.is_some())
    }

    /// The server, and who says how it is to be found out: the configuration, or the environment.
    fn server(&self, address: &Address, answers: &Answers, dialogue: &mut Dialogue<'_>) -> Result<Server, Error> {
        let dns = self.before.as_ref().map(|before| Ok(before.dns.clone()));
        let dns = dns.unwrap_or_else(|| config::dns(self.world))?;
        Search { world: self.world, dns: &dns, answers, address }.find(dialogue)
    }

    /// Asks for the login, and lays the account out.
    fn ask(&self, address: &Address, server: &Server, answers: &mut Answers, dialogue: &mut Dialogue<'_>) -> Result<Ready, Error> {
        let login = Asking { options: self.options, answers, server, address }.ask(dialogue)?;
        let name = self.name(server, address, dialogue)?;
        let draft = self.draft(name, server, login, address, answers)?;
        self.grown(draft)
    }

    fn grown(&self, draft: Draft) -> Result<Ready, Error> {
        let before = self.growth.text()?.map(|text| (text, self.before.as_ref()));
        let parse = |text: &str| config::parse(self.world, &self.growth.path, text);
        let (text, mut config) = draft::grown(before, &draft.text(), self.options.queue.as_deref(), parse)?;
        if let Some(account) = config.accounts.iter_mut().find(|account| account.name == draft.name) {
            trial::lend(account, &draft.login);
        }
        Ok(Ready { draft, text, config })
    }

    fn draft(&self, name: String, server: &Server, login: Login, address: &Address, answers: &Answers) -> Result<Draft, Error> {
        let preset = server.preset;
        let absolute = |path: &std::path::PathBuf| {
            std::path::absolute(path)
                .map(|path| path.display().to_string())
                .map_err(|error| Error::new(Exit::OsErr, "finding --ca-file", error.to_string()))
        };
        let whose = preset.map_or(server.host.as_str(), |preset| preset.name);
        Ok(Draft {
            secret_name: self.growth.free_secret(&name),
            remark: format!("{whose}, set up on {}.", self.world.now().strftime("%Y-%m-%d")),
            name,
            from: answers.from.as_ref().unwrap_or(address).to_string(),
            strict: preset.is_some_and(|preset| preset.strict),
            hello: preset.filter(|preset| preset.says_domain).map(|_| address.domain().to_owned()),
            proxy: answers.proxy.as_ref().map(|(text, _)| text.clone()),
            ca_file: self.options.ca_file.as_ref().map(absolute).transpose()?,
            pin: answers.pin.clone(),
            mechanism: preset.and_then(|preset| preset.mechanism).filter(|_| matches!(login, Login::OAuth { .. })),
            host: server.host.clone(),
            port: server.port,
            start: server.start,
            login,
        })
    }

    /// A name that no account has: after the provider, else the domain.
    fn name(&self, server: &Server, address: &Address, dialogue: &mut Dialogue<'_>) -> Result<String, Error> {
        let free = |name: &str| self.free_name(name);
        if let Some(name) = &self.options.account {
            return free(name).map_err(|why| {
                Error::new(Exit::Usage, "naming the account", why).hint("name another with --account; this one is not changed")
            });
        }
        let plain = |text: &str| text.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect::<String>();
        let after_domain = || match plain(address.domain()).trim_matches('-') {
            "" => "relay".to_owned(),
            name => name.to_owned(),
        };
        let after = server.preset.map_or_else(after_domain, |preset: &Preset| preset.id.to_owned());
        match free(&after) {
            Ok(name) => Ok(name),
            Err(why) => {
                if dialogue.asks() {
                    dialogue.tell(&format!("{why}."));
                }
                dialogue.ask(Question { text: "Name of the new account", usual: None, option: "--account NAME" }, free)
            }
        }
    }

    fn free_name(&self, name: &str) -> Result<String, String> {
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_') {
            return Err(format!("`{name}` is no name for an account: letters, digits, - and _"));
        }
        match self.before.as_ref().and_then(|before| before.account(name)) {
            Some(_) => Err(format!("there is an account {name} already")),
            None => Ok(name.to_owned()),
        }
    }

    /// Tries the account, unless that is not wanted, or somebody has to agree first.
    fn test(&self, mut ready: Ready, dialogue: &mut Dialogue<'_>) -> Result<(Ready, Verdict), Error> {
        if self.options.no_test || matches!(ready.draft.login, Login::OAuth { .. }) {
            return Ok((ready, Verdict::Fine(false)));
        }
        loop {
            match trial::look(self.world, &ready.config, account_of(&ready)?, dialogue)? {
                // Once more, with the key pinned.
                Verdict::Pinned(pin) => ready = self.grown(Draft { pin: Some(pin), ..ready.draft })?,
                Verdict::Fine(true) => {
                    trial::post(self.world, &ready.config, account_of(&ready)?, self.options.send.as_deref(), dialogue)?;
                    return Ok((ready, Verdict::Fine(true)));
                }
                verdict => return Ok((ready, verdict)),
            }
        }
    }

    /// Has somebody agree, where the account needs that, shows what is to be written, and writes it.
    fn finish(&self, ready: &Ready, watch: &Watch, dialogue: &mut Dialogue<'_>) -> Result<Exit, Error> {
        self.consent(ready, dialogue)?;
        let account = account_of(ready)?;
        let agreed = match &account.auth {
            Some(auth) if matches!(ready.draft.login, Login::OAuth { .. }) && dialogue.asks() => {
                Some(Errand { world: self.world, config: &ready.config, account, auth })
            }
            _ => None,
        };
        let given = match &agreed {
            Some(errand) => {
                let (_, client) = agree::errand(self.world, &ready.config, account)?;
                let given = agree::obtain(errand, client, self.options, dialogue.talk)?;
                Some((client, Grant::new(errand, given)?))
            }
            None => None,
        };
        let grown = watch.whole(|| {
            if let (Some(errand), Some((client, grant))) = (&agreed, &given) {
                Store::new(errand, client)?.keep(grant)?;
            }
            self.keep_in_keyring(ready, account)?;
            self.growth.write(&ready.text, secret_of(&ready.draft))
        })?;
        self.tell(ready, &grown, dialogue);
        if agreed.is_some() && !self.options.no_test { self.test_written(&ready.draft.name, dialogue) } else { Ok(Exit::Ok) }
    }

    fn consent(&self, ready: &Ready, dialogue: &mut Dialogue<'_>) -> Result<(), Error> {
        let path = self.growth.path.display();
        if dialogue.asks() {
            dialogue.title("To be written");
            for line in ready.draft.text().lines() {
                dialogue.show(&format!("  {}\n", crate::error::printable(line)));
            }
            dialogue.show("\n");
        }
        if self.is_there() {
            dialogue.tell(&format!("{path} is there already: this is added to it, and a copy of what it was stays beside it."));
        } else if dialogue.asks() {
            dialogue.tell(&format!("It goes to {path} (mode {:04o}).", self.growth.mode()));
        }
        if self.options.yes || dialogue.agrees("Write it?", true)? {
            return Ok(());
        }
        Err(Error::new(Exit::NoInput, "setting up", "it was not wanted").hint("nothing was written"))
    }

    fn keep_in_keyring(&self, ready: &Ready, account: &Account) -> Result<(), Error> {
        match (&ready.draft.login, &account.auth) {
            (Login::Password { keep: Keep::Keyring(secret), .. }, Some(auth)) => {
                secrets::keep_in_keyring(&Errand { world: self.world, config: &ready.config, account, auth }, secret)
            }
            _ => Ok(()),
        }
    }

    fn tell(&self, ready: &Ready, grown: &Grown, dialogue: &mut Dialogue<'_>) {
        let name = &ready.draft.name;
        dialogue.title("Written");
        dialogue.row("account", &format!("{name}, in {} (mode {:04o})", self.growth.path.display(), self.growth.mode()));
        if let Some(path) = &grown.secret {
            dialogue.row("secret", &format!("in {} (mode 0600)", path.display()));
            if self.growth.of_system {
                dialogue.row("others", "only root can read the secret: mail of other users goes by way of sealpost serve");
            }
        }
        if let Some(path) = &grown.backup {
            dialogue.row("before", &format!("as it was: {}", path.display()));
        }
        if let (Some(old), Some(now)) = (&self.before, &ready.config.default_account)
            && old.default_account.as_ref() == Some(now)
        {
            dialogue.row("default", &format!("{now}, as before; for this one say -a {name}"));
        }
        let in_force = config::find(self.world, None).map(|location| location.origin);
        match (&self.options.file, in_force) {
            (None, Ok(origin)) if origin != Origin::File(self.growth.path.clone()) => {
                let place = match origin {
                    Origin::File(path) => path.display().to_string(),
                    Origin::Environment => "the environment".to_owned(),
                };
                dialogue.warn(&format!("For you {place} comes before it, and is in force."));
            }
            _ => {}
        }
        if matches!(ready.draft.login, Login::OAuth { .. }) && !dialogue.asks() {
            dialogue.row("next", &format!("somebody has to agree, once: sealpost setup {name}"));
        }
    }

    /// The account as it is in the file now, by the token that was given.
    fn test_written(&self, name: &str, dialogue: &mut Dialogue<'_>) -> Result<Exit, Error> {
        let config = config::load(self.world, Some(&self.growth.path))?;
        let account = config.choose(Some(name), None)?;
        dialogue.title("Testing the account");
        let seen = check::look(self.world, &config, account, dialogue.colour);
        dialogue.show(&seen.page);
        match seen.error {
            None => trial::post(self.world, &config, account, self.options.send.as_deref(), dialogue).map(|()| Exit::Ok),
            Some(error) => Ok(error.exit()),
        }
    }
}

/// The secret that gets a file of its own.
fn secret_of(draft: &Draft) -> Option<(&str, &Secret)> {
    match &draft.login {
        Login::Password { keep: Keep::File(secret), .. } | Login::OAuth { secret: Some(Keep::File(secret)), .. } => {
            Some((&draft.secret_name, secret))
        }
        _ => None,
    }
}

fn account_of(ready: &Ready) -> Result<&Account, Error> {
    ready.config.account(&ready.draft.name).ok_or_else(|| {
        Error::new(Exit::Software, "growing the configuration", "the new account is not in it").hint("this is a fault of sealpost")
    })
}
