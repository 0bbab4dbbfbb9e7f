//! Where are the queues that somebody may see: the one that the configuration names, and the service's? (sealpost(1), "sealpost queue")

use std::{ops::ControlFlow, path::Path};

use super::{
    listed::{Item, Whose},
    walk::{Make, Walk},
};
use crate::{
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
}

impl Sources {
    /// Finds them.
    ///
    /// # Errors
    /// The configuration is faulty, or a queue or a service can't be used. Where there is none of all these there is nothing to see,
    /// and no error.
    pub(super) fn find(world: &dyn World, file: Option<&Path>) -> Result<Self, Error> {
        let loaded = config::load_any(world, file);
        let socket = loaded.as_ref().ok().and_then(Option::as_ref).map(|config| config.serve.socket.as_path());
        let wants_service = world.uid() != 0 && file.is_none();
        let service = if wants_service { Service::meet(socket.unwrap_or(Path::new(config::SOCKET)))? } else { None };
        let config = match loaded {
            // Whose configuration is not this user's to read has the service.
            Err(_) if service.is_some() => None,
            loaded => loaded?,
        };
        let dir = config.as_ref().and_then(|config| config.queue.dir.as_deref());
        let own = match dir.map(Spool::open).transpose() {
            Ok(own) => own.flatten(),
            // It is the service's.
            Err(_) if service.is_some() => None,
            Err(error) => return Err(error),
        };
        Ok(Self { config, own, service })
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
            for place in places {
                for made in Walk::new(spool, *place, make)? {
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
