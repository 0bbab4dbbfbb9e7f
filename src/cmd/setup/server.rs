//! Which server takes mail from an address: a provider's that is known, one that the domain names, or one that is asked for?
//! (RFC 6186, 8314; autoconfig)

use std::time::Duration;

use super::{
    answers::{self, Answers},
    dialogue::{Dialogue, Question},
    presets::{Host, PRESETS, Preset},
};
use crate::{
    error::{Error, Exit},
    host::{
        autoconfig,
        config::{self, Dns},
        dial::Way,
        dns::{Offer, Resolver, Security, Service},
        world::World,
    },
    mail::{address::Address, policy::Start},
};

/// How long the DNS may take for all its answers.
const PATIENCE: Duration = Duration::from_secs(10);
/// Submission under implicit TLS (RFC 8314), and under STARTTLS (RFC 6409).
const SUBMISSIONS: u16 = 465;
const SUBMISSION: u16 = 587;

/// A server, and what is known of it.
#[derive(Clone, Debug)]
pub(super) struct Server {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) start: Start,
    pub(super) preset: Option<&'static Preset>,
    /// The user and the way to log in that the domain publishes.
    pub(super) user: Option<String>,
    pub(super) login: Option<autoconfig::Login>,
}

/// Where to look, and for whom.
pub(super) struct Search<'a> {
    pub(super) world: &'a dyn World,
    pub(super) dns: &'a Dns,
    pub(super) answers: &'a Answers,
    pub(super) address: &'a Address,
}

impl Search<'_> {
    /// The server, as far as can be found out, else as somebody says.
    ///
    /// # Errors
    /// There is nobody to say so.
    pub(super) fn find(&self, dialogue: &mut Dialogue<'_>) -> Result<Server, Error> {
        let answers = self.answers;
        let server = match (&answers.host, answers.preset) {
            (Some(host), preset) => self.by_hand(host.clone(), preset, dialogue)?,
            (None, Some(preset)) => self.of_preset(preset, dialogue)?,
            (None, None) if answers.by_hand => self.ask(dialogue)?,
            (None, None) => match self.look(dialogue)? {
                Some(server) => server,
                None => self.ask(dialogue)?,
            },
        };
        let server = self.with_answers(server);
        tell(&server, dialogue);
        Ok(server)
    }

    /// What the domain of the address leads to, as far as somebody agrees.
    fn look(&self, dialogue: &mut Dialogue<'_>) -> Result<Option<Server>, Error> {
        // An address literal is nobody's domain.
        let Some(domain) = config::host(self.address.domain()).ok().filter(|domain| domain.contains('.')) else { return Ok(None) };
        if let Some(preset) = Preset::of_domain(&domain) {
            return self.of_preset(preset, dialogue).map(Some);
        }
        let has_proxy = self.answers.proxy.is_some();
        let resolver = if has_proxy { None } else { Resolver::new(self.world, self.dns, PATIENCE).ok() };
        if let Some(resolver) = &resolver {
            dialogue.tell(&format!("Asking the DNS who takes mail from {domain} …"));
            match resolver.submission(&domain) {
                Ok(services) => {
                    if let Some(server) = Self::of_services(&services, &domain, dialogue)? {
                        return Ok(Some(server));
                    }
                }
                Err(trouble) => dialogue.warn(&format!("That did not work: {trouble}.")),
            }
        }
        dialogue.tell(&format!("Asking the web server of {domain} …"));
        let way = Way { proxy: self.answers.proxy.as_ref().map(|(_, proxy)| proxy), source: None };
        match autoconfig::find(way, self.address, &domain) {
            Ok(Some(found)) => {
                if let Some(server) = Self::of_autoconfig(found, dialogue) {
                    return Ok(Some(server));
                }
            }
            Ok(None) => dialogue.tell("It names no server with TLS."),
            Err(error) => dialogue.tell(&format!("Nothing: {}.", error.because())),
        }
        let exchangers = resolver.and_then(|resolver| resolver.exchangers(&domain).ok()).unwrap_or_default();
        match exchangers.iter().find_map(|host| Preset::of_exchanger(host)) {
            Some(preset) => {
                dialogue.tell(&format!("Mail to {domain} goes to {}.", preset.name));
                let agreed = dialogue.agrees(&format!("Is {} your provider?", preset.name), true)?;
                if agreed { self.of_preset(preset, dialogue).map(Some) } else { Ok(None) }
            }
            None => Ok(None),
        }
    }

    /// The first offer of the first service that is offered. Where anybody may have said so a person has to agree, if the server is
    /// not within the domain (RFC 6186 6).
    fn of_services(services: &[Service], domain: &str, dialogue: &mut Dialogue<'_>) -> Result<Option<Server>, Error> {
        let Some((service, offer)) = first(services) else { return Ok(None) };
        if service.security == Security::Insecure && !offer.is_within(domain) {
            let because =
                format!("the DNS names {} for {domain}, without a signature, so that anybody may have said so", offer.host);
            if !dialogue.asks() {
                return Err(Error::new(Exit::Usage, "setting up without questions", because)
                    .hint(format!("if that is your provider, add --host {} --port {}", offer.host, offer.port)));
            }
            dialogue.warn(&format!("Take care: {because}."));
            if !dialogue.agrees(&format!("Is {} your provider's server?", offer.host), false)? {
                return Ok(None);
            }
        }
        let (host, port, start) = (offer.host.clone(), offer.port, service.start);
        let preset = known(&host);
        Ok(Some(Server { host, port, start, preset, user: None, login: None }))
    }

    fn of_autoconfig(found: autoconfig::Server, dialogue: &mut Dialogue<'_>) -> Option<Server> {
        let autoconfig::Server { host, port, start, user, login } = found;
        match config::host(&host) {
            Ok(host) => {
                let preset = known(&host);
                Some(Server { host, port, start, preset, user, login: Some(login) })
            }
            Err(why) => {
                dialogue.warn(&format!("It names a server that can't be: {why}."));
                None
            }
        }
    }

    fn of_preset(&self, preset: &'static Preset, dialogue: &mut Dialogue<'_>) -> Result<Server, Error> {
        let has_regions = matches!(preset.host, Host::By(pattern, ..) if pattern != "*");
        if self.answers.region.is_some() && !has_regions {
            let error = Error::new(Exit::Usage, "reading --region", format!("{} has no regions here", preset.name));
            return Err(error.hint("leave it out; another server of the provider is named with --host"));
        }
        let host = match preset.host {
            Host::Is(host) => host.to_owned(),
            Host::By(pattern, question, usual) => {
                let option = if pattern == "*" { "--host HOST" } else { "--region REGION" };
                let whole = |text: &str| config::host(&pattern.replace('*', text));
                match &self.answers.region {
                    Some(region) => whole(region).map_err(|why| Error::new(Exit::Usage, "reading --region", why))?,
                    None => dialogue.ask(Question { text: question, usual: Some(usual), option }, whole)?,
                }
            }
            Host::Asked => dialogue.ask(Question { text: "Server", usual: None, option: "--host HOST" }, config::host)?,
        };
        Ok(Server { host, port: preset.port, start: preset.start, preset: Some(preset), user: None, login: None })
    }

    /// The server that somebody names, or the provider.
    fn ask(&self, dialogue: &mut Dialogue<'_>) -> Result<Server, Error> {
        let ids: Vec<&str> = PRESETS.iter().map(|preset| preset.id).collect();
        if dialogue.asks() {
            dialogue.tell(&format!("Known providers: {}.", ids.join(", ")));
        }
        let question = Question { text: "Server (its name), or provider", usual: None, option: "--host HOST, or --provider NAME" };
        let named = dialogue.ask(question, |text| match Preset::named(&text.to_lowercase()) {
            Some(preset) => Ok(Err(preset)),
            None => config::host(text).map(Ok),
        })?;
        match named {
            Ok(host) => self.by_hand(host, None, dialogue),
            Err(preset) => self.of_preset(preset, dialogue),
        }
    }

    fn by_hand(&self, host: String, preset: Option<&'static Preset>, dialogue: &mut Dialogue<'_>) -> Result<Server, Error> {
        let preset = preset.or_else(|| known(&host));
        let (said, usual) = (self.answers.port, preset.map(|preset| preset.port));
        let by_start = || self.answers.start.map(|start| if start == Start::Implicit { SUBMISSIONS } else { SUBMISSION });
        let port = match said.or(usual).or_else(by_start) {
            Some(port) => port,
            None => dialogue.ask(Question { text: "Port", usual: Some("587"), option: "--port PORT" }, answers::port)?,
        };
        let start = match (self.answers.start, preset.filter(|preset| preset.port == port)) {
            (Some(start), _) => start,
            (None, Some(preset)) => preset.start,
            (None, None) if [25, SUBMISSION, SUBMISSIONS].contains(&port) || !dialogue.asks() => usual_start(port),
            (None, None) => {
                let question = Question {
                    text: "Does TLS begin by starttls, or is it implicit?",
                    usual: Some("starttls"),
                    option: "--start HOW",
                };
                dialogue.ask(question, answers::start_of)?
            }
        };
        Ok(Server { host, port, start, preset, user: None, login: None })
    }

    /// What the options say stands above what was found.
    fn with_answers(&self, server: Server) -> Server {
        let port = self.answers.port.unwrap_or(server.port);
        let start = self.answers.start.unwrap_or(if port == server.port { server.start } else { usual_start(port) });
        Server { port, start, ..server }
    }
}

fn usual_start(port: u16) -> Start {
    if port == SUBMISSIONS { Start::Implicit } else { Start::Starttls }
}

/// The provider that has this server; what is on this machine could be anything.
fn known(host: &str) -> Option<&'static Preset> {
    PRESETS.iter().find(|preset| matches!(preset.host, Host::Is(name) if name == host && !name.starts_with("127.")))
}

fn first(services: &[Service]) -> Option<(&Service, &Offer)> {
    services.iter().filter(|service| !service.declined).find_map(|service| Some((service, service.offers.first()?)))
}

fn tell(server: &Server, dialogue: &mut Dialogue<'_>) {
    if let Some(preset) = server.preset {
        dialogue.row("provider", preset.name);
    }
    let start = if server.start == Start::Implicit { "TLS from the first byte" } else { "TLS by STARTTLS" };
    dialogue.row("server", &format!("{}, port {}, {start}", server.host, server.port));
    if let Some(preset) = server.preset {
        dialogue.row("note", preset.advice);
        dialogue.link("see", preset.page);
    }
}
