//! How is a queue gone through in the order in which its messages came, quickly, and with little of it in memory?

use std::{collections::VecDeque, ffi::OsStr, thread};

use super::listed::{Item, Listed, Odd, Whose};
use crate::{
    error::Error,
    host::{
        journal::Id,
        spool::{Named, Place, Spool},
    },
};

/// Messages that are looked at together.
const BATCH: usize = 1024;
/// Fewer than these are not worth a thread.
const FEW: usize = 128;
/// Threads at the most: reading is short, and the disk is one.
const THREADS: usize = 4;

/// What is made of what stands in one place of a spool: of the messages, the oldest first, then of what is none. 16 octets are held
/// for each.
pub(super) struct Walk<'a, T> {
    spool: &'a Spool,
    place: Place,
    ids: std::vec::IntoIter<Id>,
    odd: std::vec::IntoIter<String>,
    make: &'a Make<'a, T>,
    ready: VecDeque<T>,
}

/// Makes something of an item, or nothing; several threads do so at the same time.
pub(super) type Make<'a, T> = dyn Fn(Item) -> Option<T> + Sync + 'a;

impl<'a, T: Send + Sync> Walk<'a, T> {
    /// Looks which names there are.
    ///
    /// # Errors
    /// The directory can't be read.
    pub(super) fn new(spool: &'a Spool, place: Place, make: &'a Make<'a, T>) -> Result<Self, Error> {
        let (mut ids, mut odd) = (Vec::new(), Vec::new());
        for named in spool.named(place)? {
            match named {
                Named::Message(id) => ids.push(id),
                Named::Odd(name) => odd.push(AsRef::<OsStr>::as_ref(&name).to_string_lossy().into_owned()),
            }
        }
        ids.sort_unstable();
        odd.sort_unstable();
        Ok(Self { spool, place, ids: ids.into_iter(), odd: odd.into_iter(), make, ready: VecDeque::new() })
    }

    fn look(&self, ids: &[Id]) -> Vec<T> {
        ids.iter().filter_map(|id| look(self.spool, self.place, *id)).filter_map(self.make).collect()
    }

    /// Looks at the next messages, by several threads where they are many.
    fn look_ahead(&mut self) {
        let batch: Vec<Id> = self.ids.by_ref().take(BATCH).collect();
        let threads = thread::available_parallelism().map_or(1, usize::from).min(THREADS);
        if threads == 1 || batch.len() < FEW {
            self.ready.extend(self.look(&batch));
            return;
        }
        let this = &*self;
        let looked: Vec<Vec<T>> = thread::scope(|scope| {
            let parts = batch.chunks(batch.len().div_ceil(threads));
            let threads = parts.map(|part| (part, thread::Builder::new().spawn_scoped(scope, || this.look(part))));
            let threads: Vec<_> = threads.collect();
            let joined = threads.into_iter().map(|(part, thread)| match thread.map(thread::ScopedJoinHandle::join) {
                Ok(Ok(made)) => made,
                // There was no thread to be had.
                _ => this.look(part),
            });
            joined.collect()
        });
        self.ready.extend(looked.into_iter().flatten());
    }
}

impl<T: Send + Sync> Iterator for Walk<'_, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        while self.ready.is_empty() && !self.ids.as_slice().is_empty() {
            self.look_ahead();
        }
        let (place, source) = (self.place, Whose::Own);
        let odd = || self.odd.by_ref().find_map(|odd| (self.make)(Item::Odd(Odd { odd, place, source })));
        self.ready.pop_front().or_else(odd)
    }
}

/// What stands under a name; `None`: it is gone since.
pub(super) fn look(spool: &Spool, place: Place, id: Id) -> Option<Item> {
    if let Ok(Some(entry)) = spool.peek(place, id) {
        return Some(Item::Message(Box::new(Listed::new(id, place, Whose::Own, entry))));
    }
    let name = id.to_string();
    let is_there = spool.path().join(place.as_str()).join(&name).symlink_metadata().is_ok();
    is_there.then_some(Item::Odd(Odd { odd: name, place, source: Whose::Own }))
}
