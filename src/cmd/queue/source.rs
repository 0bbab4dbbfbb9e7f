//! Where are the queues that somebody may see: the one that the configuration names, and the service's? (sealpost(1), "sealpost queue")

use std::{ops::ControlFlow, path::Path};

use jiff::Timestamp;

use super::{
    listed::{Item, Whose},
    rests::Rests,
    walk::{Make, Walk},
};
use crate::{
    cmd::door,
    error::{Error, Exit},
    host::{
        config::{self, Config},
        inquiry::Service,
        spool::{Place, Spool},
        world::World,
    },
};

/// What is looked at.
pub(super) struct Sources {
    /// The configuration in force; `None`: there is none.
    pub(super) config: Option<Config>,
    /// The queue that it names, where it is there and may be opened.
    pub(super) own: Option<Spool>,
    /// The service, where it listens; root opens its queue directly.
    pub(super) service: Option<Service>,
    /// Why it can't be asked, where something listens: told after what is done with the own queue.
    pub(super) unreached: Option<Error>,
    now: Timestamp,
}

impl Sources {
    /// Finds them.
    ///
    /// # Errors
    /// The configuration is faulty, or a queue or a service can't be used. Where there is none of all these there is nothing to see,
    /// and no error.
    pub(super) fn find(world: &dyn World, file: Option<&Path>) -> Result<Self, Error> {
        let loaded = config::load_any(world, file);
        let configured = loaded.as_ref().ok().and_then(Option::as_ref).map(|config| config.serve.socket.clone());
        // Whoever has a configuration has the queue of it, which may be the very one of the service that is named.
        let named = door::named_socket(world).filter(|_| configured.is_none());
        let wants_service = file.is_none() && (world.uid() != 0 || named.is_some());
        let socket = configured.or(named).unwrap_or_else(|| config::SOCKET.into());
        let met = if wants_service { Service::meet(&socket) } else { Ok(None) };
        let (service, unreached) = met.map_or_else(|error| (None, Some(error)), |service| (service, None));
        let config = match loaded {
            // Whose configuration is not this user's to read has the service.
            Err(_) if service.is_some() || unreached.is_some() => None,
            loaded => loaded?,
        };
        let dir = config.as_ref().and_then(|config| config.queue.dir.as_deref());
        let own = match dir.map(Spool::open).transpose() {
            Ok(own) => own.flatten(),
            // It is the service's.
            Err(_) if service.is_some() || unreached.is_some() => None,
            Err(error) => return Err(error),
        };
        match unreached {
            Some(error) if own.is_none() => Err(error),
            unreached => Ok(Self { config, own, service, unreached, now: world.timestamp() }),
        }
    }

    /// Shows what `make` makes of what stands in these places of each queue, one queue after the other; `which` is the word of
    /// XQUEUE for the places.
    ///
    /// # Errors
    /// A queue can't be read.
    pub(super) fn each<T: Send + Sync>(
        &mut self,
        (places, which): (&[Place], &str),
        make: &Make<'_, T>,
        visit: &mut dyn FnMut(T) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        if let Some(spool) = &self.own {
            let rests = self.config.as_ref().map(|config| Rests::of(spool, config, self.now)).unwrap_or_default();
            let make = |item| make(rests.applied(item));
            for place in places {
                for made in Walk::new(spool, *place, &make)? {
                    if visit(made).is_break() {
                        return Ok(());
                    }
                }
            }
        }
        match &mut self.service {
            Some(service) => listen(service, which, &mut |item| make(item).map_or(ControlFlow::Continue(()), &mut *visit)),
            None => Ok(()),
        }
    }

    /// Tells why the service can't be asked, when what could be done without it is done.
    pub(super) fn finish(self, exit: Exit) -> Result<Exit, Error> {
        self.unreached.map_or(Ok(exit), Err)
    }

    /// Whether more than one queue is looked at.
    pub(super) fn are_two(&self) -> bool {
        self.own.is_some() && self.service.is_some()
    }

    /// What the queue is called for a person.
    pub(super) fn name(&self, whose: Whose) -> String {
        match (whose, &self.own, &self.service) {
            (Whose::Own, Some(spool), _) => format!("own queue, {}", spool.path().display()),
            (Whose::Service, _, Some(service)) => format!("own mail in the queue of the service at {}", service.path().display()),
            _ => "no queue".to_owned(),
        }
    }
}

/// Shows what stands in these places of the service's queue.
///
/// # Errors
/// It does not answer, or in riddles.
pub(super) fn listen(service: &mut Service, which: &str, visit: &mut dyn FnMut(Item) -> ControlFlow<()>) -> Result<(), Error> {
    let mut riddle = None;
    service.ask(&format!("list {which}"), &mut |line| {
        // The last line says how many there were.
        if line.starts_with(r#"{"end""#) {
            return ControlFlow::Continue(());
        }
        match serde_json::from_str::<Item>(line) {
            Ok(item) => visit(item.of(Whose::Service)),
            Err(error) => {
                riddle = Some(error.to_string());
                ControlFlow::Break(())
            }
        }
    })?;
    riddle.map_or(Ok(()), |why| Err(puzzled(&why)))
}

/// The error of an answer that is none of ours.
pub(super) fn puzzled(why: &str) -> Error {
    Error::new(Exit::Protocol, "reading what the service says of its queue", why)
        .hint("are sealpost and its service of the same version?")
}
