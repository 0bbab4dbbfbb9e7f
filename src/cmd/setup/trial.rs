//! Would a new account send, before it is written? (as `sealpost check` finds it; sealpost(1), "sealpost setup")

use super::{
    answers,
    dialogue::{Dialogue, Question},
    login::{Keep, Login},
};
use crate::{
    cmd::check,
    error::Error,
    host::{
        config::{Account, ClientSecret, Config, SecretSource},
        world::World,
    },
};

/// What came of it.
pub(super) enum Verdict {
    /// It is wanted, and whether it would send.
    Fine(bool),
    /// It shows a certificate that nobody vouches for, and somebody says that it is the right one.
    Pinned(String),
    /// The login is to be asked for again, and perhaps the server.
    Again { server: bool },
    /// All of it is to be forgotten.
    Stop(Error),
}

/// Has the account find its secret in memory, where it is before anything is written.
pub(super) fn lend(account: &mut Account, login: &Login) {
    let Some(auth) = &mut account.auth else { return };
    match (login, &mut auth.source) {
        (Login::Password { keep: Keep::File(secret) | Keep::Keyring(secret), .. }, source) => {
            *source = SecretSource::Inline(secret.clone());
        }
        (Login::OAuth { secret: Some(Keep::File(secret)), .. }, SecretSource::OAuth(client)) => {
            client.client_secret = ClientSecret::Inline(secret.clone());
        }
        _ => {}
    }
}

/// Looks at the account as `sealpost check` does, shows it, and asks what to do where it would not send.
///
/// # Errors
/// There is no answer.
pub(super) fn look(world: &dyn World, config: &Config, account: &Account, dialogue: &mut Dialogue<'_>) -> Result<Verdict, Error> {
    dialogue.title("Testing the account");
    let seen = check::look(world, config, account, dialogue.colour);
    dialogue.show(&seen.page);
    let Some(error) = seen.error else { return Ok(Verdict::Fine(true)) };
    if !dialogue.asks() {
        return Ok(Verdict::Stop(error));
    }
    dialogue.show("\n");
    if let Some(pin) = seen.pin {
        dialogue.tell("No authority vouches for the certificate above. If you know that it is the server's own, sealpost can pin its key, and from then on believe that key alone.");
        dialogue.row("key", &pin);
        if dialogue.agrees("Is that the server's key?", false)? {
            return Ok(Verdict::Pinned(pin));
        }
    }
    let text = "Another (l)ogin, another (s)erver, (w)rite it all the same, or (q)uit?";
    dialogue.ask(Question { text, usual: Some("l"), option: "--no-test" }, |answer| match answer {
        "l" | "login" => Ok(Verdict::Again { server: false }),
        "s" | "server" => Ok(Verdict::Again { server: true }),
        "w" | "write" => Ok(Verdict::Fine(false)),
        "q" | "quit" => Ok(Verdict::Stop(given_up(&error))),
        _ => Err("Please answer l, s, w or q".to_owned()),
    })
}

/// The reason is on the page already.
fn given_up(error: &Error) -> Error {
    Error::new(error.exit(), "setting up", "the account would not send").hint("nothing was written")
}

/// Sends a test mail where one is wanted.
///
/// # Errors
/// It was not sent, and nobody can be asked what that means.
pub(super) fn post(
    world: &dyn World,
    config: &Config,
    account: &Account,
    wanted: Option<&str>,
    dialogue: &mut Dialogue<'_>,
) -> Result<(), Error> {
    let to = if let Some(to) = wanted {
        Some(to.to_owned())
    } else {
        let question = Question { text: "Send a test mail to (Enter: to nobody)", usual: Some(""), option: "--send ADDRESS" };
        dialogue.ask(question, |text| match text {
            "" => Ok(None),
            text => answers::address(text).map(|_| Some(text.to_owned())),
        })?
    };
    let Some(to) = to else { return Ok(()) };
    let (words, error) = check::post(world, config, account, &to)?;
    match error {
        None => dialogue.row("test mail", &words),
        Some(error) if dialogue.asks() => {
            dialogue.warn(&format!("The test mail was {words}."));
            if let Some(hint) = error.advice() {
                dialogue.row("hint", hint);
            }
        }
        Some(error) => return Err(error),
    }
    Ok(())
}
