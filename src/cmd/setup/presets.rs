//! What is known of providers, so that nobody has to look it up? (each with the page of the provider itself)

use crate::mail::policy::Start;

/// A provider.
#[derive(Debug)]
pub(super) struct Preset {
    /// What `--provider` calls it.
    pub(super) id: &'static str,
    /// What people call it.
    pub(super) name: &'static str,
    /// Domains of its addresses.
    pub(super) domains: &'static [&'static str],
    /// Ends of its mail exchangers' names, by which other domains show that they are its customers.
    pub(super) exchangers: &'static [&'static str],
    pub(super) host: Host,
    pub(super) port: u16,
    pub(super) start: Start,
    pub(super) user: User,
    pub(super) login: Login,
    /// The mechanism that has to be named, for the server offers another one first, or none that fits.
    pub(super) mechanism: Option<&'static str>,
    /// It takes mail from the account's own addresses only.
    pub(super) strict: bool,
    /// It wants to hear the account's domain in EHLO.
    pub(super) says_domain: bool,
    /// What a person has to do there first.
    pub(super) advice: &'static str,
    /// Where the provider itself says so.
    pub(super) page: &'static str,
}

/// The name of its server.
#[derive(Debug)]
pub(super) enum Host {
    Is(&'static str),
    /// With `*` standing for what is asked: the question, and the usual answer.
    By(&'static str, &'static str, &'static str),
    /// Only the administrator knows.
    Asked,
}

/// What it calls the user.
#[derive(Debug)]
pub(super) enum User {
    /// By the address.
    Address,
    /// By the same word for all.
    Is(&'static str),
    /// By a name that the provider shows.
    Asked(&'static str),
}

/// How one logs in.
#[derive(Debug)]
pub(super) enum Login {
    /// Not at all: it knows the machine by its address.
    Nothing,
    /// By a secret that the provider calls so.
    Secret(&'static str),
    /// By OAuth2, with the client of this provider in sealpost.toml(5).
    OAuth(&'static str),
    /// By either.
    Either(&'static str, &'static str),
}

use Login::{Either, Nothing, OAuth, Secret};
use Start::{Implicit, Starttls};

/// Where nothing else is said.
const USUAL: Preset = Preset {
    id: "",
    name: "",
    domains: &[],
    exchangers: &[],
    host: Host::Asked,
    port: 465,
    start: Implicit,
    user: User::Address,
    login: Secret("Password"),
    mechanism: None,
    strict: true,
    says_domain: false,
    advice: "",
    page: "",
};

/// All of them.
pub(super) const PRESETS: [Preset; 17] = [
    Preset {
        id: "gmail",
        name: "Gmail",
        domains: &["gmail.com", "googlemail.com"],
        exchangers: &["google.com", "googlemail.com"],
        host: Host::Is("smtp.gmail.com"),
        login: Either("App password", "google"),
        advice: "Google takes an app password, which wants 2-step verification, or OAuth2; never the password of the account itself.",
        page: "https://support.google.com/accounts/answer/185833",
        ..USUAL
    },
    Preset {
        id: "workspace-relay",
        name: "Google Workspace SMTP relay",
        host: Host::Is("smtp-relay.gmail.com"),
        port: 587,
        start: Starttls,
        login: Nothing,
        says_domain: true,
        advice: "An administrator lets this machine's address in first (Apps, Google Workspace, Gmail, Routing, SMTP relay service), with TLS required.",
        page: "https://support.google.com/a/answer/2956491",
        ..USUAL
    },
    Preset {
        id: "office365",
        name: "Microsoft 365 (Exchange Online)",
        exchangers: &["mail.protection.outlook.com", "mx.microsoft"],
        host: Host::Is("smtp.office365.com"),
        port: 587,
        start: Starttls,
        login: OAuth("microsoft"),
        mechanism: Some("XOAUTH2"),
        advice: "Microsoft takes OAuth2; an administrator switches authenticated SMTP on for the mailbox, and registers a client (an app).",
        page: "https://aka.ms/smtp_auth_disabled",
        ..USUAL
    },
    Preset {
        id: "outlook",
        name: "Outlook.com",
        domains: &["outlook.com", "hotmail.com", "live.com", "msn.com", "outlook.de", "hotmail.co.uk", "hotmail.fr"],
        exchangers: &["olc.protection.outlook.com"],
        host: Host::Is("smtp-mail.outlook.com"),
        port: 587,
        start: Starttls,
        login: OAuth("microsoft"),
        mechanism: Some("XOAUTH2"),
        advice: "Outlook.com takes OAuth2 alone; register a client (an app) for personal accounts with Microsoft Entra first.",
        page: "https://support.microsoft.com/office/d088b986-291d-42b8-9564-9c414e2aa040",
        ..USUAL
    },
    Preset {
        id: "fastmail",
        name: "Fastmail",
        domains: &["fastmail.com", "fastmail.fm"],
        exchangers: &["messagingengine.com"],
        host: Host::Is("smtp.fastmail.com"),
        login: Secret("App password"),
        advice: "Fastmail wants an app password with access to SMTP (Settings, Privacy & Security), not the password of the account.",
        page: "https://www.fastmail.help/hc/en-us/articles/360058752854",
        ..USUAL
    },
    Preset {
        id: "ses",
        name: "Amazon SES",
        host: Host::By("email-smtp.*.amazonaws.com", "AWS region", "us-east-1"),
        user: User::Asked("SMTP user name (not the access key of an IAM user's API)"),
        login: Secret("SMTP password"),
        advice: "Make SMTP credentials in the SES console of your region, and verify the sender there.",
        page: "https://docs.aws.amazon.com/ses/latest/dg/smtp-credentials.html",
        ..USUAL
    },
    Preset {
        id: "mailgun",
        name: "Mailgun",
        host: Host::By("*", "Server (smtp.mailgun.org, or smtp.eu.mailgun.org)", "smtp.mailgun.org"),
        user: User::Asked("SMTP login (like postmaster@mg.example.com)"),
        login: Secret("SMTP password"),
        strict: false,
        advice: "The SMTP credentials are those of the sending domain (Sending, Domain settings, SMTP credentials).",
        page: "https://documentation.mailgun.com/docs/mailgun/user-manual/sending-messages/send-smtp",
        ..USUAL
    },
    Preset {
        id: "postmark",
        name: "Postmark",
        host: Host::Is("smtp.postmarkapp.com"),
        port: 587,
        start: Starttls,
        user: User::Asked("Access key of an SMTP token"),
        login: Secret("Secret key of the SMTP token"),
        advice: "Make an SMTP token in the settings of the message stream; the sender is to be a verified signature or domain.",
        page: "https://postmarkapp.com/developer/user-guide/send-email-with-smtp",
        ..USUAL
    },
    Preset {
        id: "sendgrid",
        name: "SendGrid",
        host: Host::Is("smtp.sendgrid.net"),
        user: User::Is("apikey"),
        login: Secret("API key"),
        advice: "The user is the word apikey, the password an API key with the right to send mail; the sender is to be verified.",
        page: "https://www.twilio.com/docs/sendgrid/for-developers/sending-email/integrating-with-the-smtp-api",
        ..USUAL
    },
    Preset {
        id: "brevo",
        name: "Brevo",
        host: Host::Is("smtp-relay.brevo.com"),
        user: User::Asked("SMTP login (like 8abc01@smtp-brevo.com)"),
        login: Secret("SMTP key"),
        advice: "Login and SMTP key are under Settings, SMTP & API; an API key is another thing.",
        page: "https://developers.brevo.com/docs/smtp-integration",
        ..USUAL
    },
    Preset {
        id: "yahoo",
        name: "Yahoo Mail",
        domains: &["yahoo.com", "yahoo.co.uk", "yahoo.de", "yahoo.fr", "yahoo.it", "yahoo.es", "ymail.com", "rocketmail.com"],
        exchangers: &["yahoodns.net"],
        host: Host::Is("smtp.mail.yahoo.com"),
        login: Secret("App password"),
        advice: "Yahoo wants an app password (Account security), not the password of the account.",
        page: "https://help.yahoo.com/kb/SLN15241.html",
        ..USUAL
    },
    Preset {
        id: "icloud",
        name: "iCloud Mail",
        domains: &["icloud.com", "me.com", "mac.com"],
        exchangers: &["mail.icloud.com"],
        host: Host::Is("smtp.mail.me.com"),
        port: 587,
        start: Starttls,
        login: Secret("App-specific password"),
        advice: "Apple wants an app-specific password (account.apple.com, Sign-In and Security), not the password of the account.",
        page: "https://support.apple.com/en-us/102525",
        ..USUAL
    },
    Preset {
        id: "gmx",
        name: "GMX",
        domains: &["gmx.de", "gmx.net", "gmx.at", "gmx.ch", "gmx.org"],
        exchangers: &["gmx.net"],
        host: Host::Is("mail.gmx.net"),
        advice: "Switch POP3 and IMAP on in the settings of the mailbox first; with two-factor login an app password is wanted.",
        page: "https://hilfe.gmx.net/pop-imap/imap/imap-serverdaten.html",
        ..USUAL
    },
    Preset {
        id: "gmx-com",
        name: "GMX (.com)",
        domains: &["gmx.com", "gmx.us", "gmx.co.uk", "gmx.fr"],
        host: Host::Is("mail.gmx.com"),
        advice: "Switch POP3 and IMAP on in the settings of the mailbox first; with two-factor login an app password is wanted.",
        page: "https://support.gmx.com/pop-imap/imap/server.html",
        ..USUAL
    },
    Preset {
        id: "zoho",
        name: "Zoho Mail",
        domains: &["zoho.com", "zohomail.com", "zoho.eu", "zohomail.eu", "zoho.in", "zohomail.in"],
        exchangers: &["zoho.com", "zoho.eu", "zoho.in", "zoho.com.au", "zoho.jp", "zoho.com.cn", "zoho.sa", "zohocloud.ca"],
        host: Host::By("*", "Server (smtp.zoho.com, .eu, .in …; smtppro.zoho.com … for a domain of your own)", "smtp.zoho.com"),
        login: Secret("Password, or app password"),
        advice: "With two-factor login Zoho wants an application-specific password; the server is that of your data centre.",
        page: "https://www.zoho.com/mail/help/zoho-smtp.html",
        ..USUAL
    },
    Preset {
        id: "exchange",
        name: "Exchange on premises",
        port: 587,
        start: Starttls,
        user: User::Asked("User (me@example.com, or DOMAIN\\me)"),
        strict: false,
        advice: "The connector \"Client Frontend\" listens on port 587; its certificate should bear the name that is asked for here.",
        page: "https://learn.microsoft.com/en-us/exchange/mail-flow/connectors/receive-connectors",
        ..USUAL
    },
    Preset {
        id: "proton-bridge",
        name: "Proton Mail Bridge on this machine",
        domains: &["proton.me", "protonmail.com", "pm.me", "protonmail.ch"],
        exchangers: &["protonmail.ch"],
        host: Host::Is("127.0.0.1"),
        port: 1025,
        start: Starttls,
        login: Secret("Password that the Bridge shows"),
        advice: "The Bridge has to run on this machine; its own certificate is to be pinned, and it shows a password of its own. Some plans have SMTP tokens for a domain of one's own instead: --host smtp.protonmail.ch --port 587.",
        page: "https://proton.me/support/protonmail-bridge-install",
        ..USUAL
    },
];

impl Preset {
    /// The provider that `--provider` names.
    pub(super) fn named(id: &str) -> Option<&'static Self> {
        PRESETS.iter().find(|preset| preset.id == id)
    }

    /// The provider whose addresses are in this domain.
    pub(super) fn of_domain(domain: &str) -> Option<&'static Self> {
        let domain = domain.to_ascii_lowercase();
        PRESETS.iter().find(|preset| preset.domains.contains(&domain.as_str()))
    }

    /// The provider that takes mail for a domain by this mail exchanger: the one that says most of its name.
    pub(super) fn of_exchanger(host: &str) -> Option<&'static Self> {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        let fits = |end: &&&str| host.strip_suffix(**end).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
        let longest = |preset: &Self| preset.exchangers.iter().filter(fits).map(|end| end.len()).max();
        PRESETS
            .iter()
            .filter_map(|preset| Some((longest(preset)?, preset)))
            .max_by_key(|(length, _)| *length)
            .map(|(_, preset)| preset)
    }

    /// The word for its secret, if it takes one.
    pub(super) fn secret(&self) -> Option<&'static str> {
        match self.login {
            Secret(word) | Either(word, _) => Some(word),
            Nothing | OAuth(_) => None,
        }
    }

    /// Who hands out its tokens, if it takes some.
    pub(super) fn oauth(&self) -> Option<&'static str> {
        match self.login {
            OAuth(provider) | Either(_, provider) => Some(provider),
            Nothing | Secret(_) => None,
        }
    }
}
