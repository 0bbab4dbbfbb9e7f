//! How do many share one fsync of a directory? (group commit)

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use rustix::io::Errno;

/// Whoever comes while an fsync runs waits for the next one, together with all who came meanwhile.
#[derive(Debug, Default)]
pub(super) struct GroupSync {
    run: Mutex<Run>,
    ended: Condvar,
}

#[derive(Debug, Default)]
struct Run {
    /// Fsyncs that were begun; they are numbered by it.
    begun: u64,
    /// The last one that ended well.
    done: u64,
    /// The last one that failed.
    failed: Option<(u64, Errno)>,
    running: bool,
}

/// The first fsync that may have to do with a change that is yet to be made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ticket(u64);

impl GroupSync {
    /// To be taken before the change is made.
    pub(super) fn ticket(&self) -> Ticket {
        let run = self.lock();
        Ticket(run.begun + u64::from(!run.running))
    }

    /// Returns when an fsync that began after this call has ended.
    ///
    /// # Errors
    /// An fsync failed since the ticket was taken, whoever ran it: the kernel tells that once, and takes what it could not write for
    /// written. An fsync that succeeds after it proves nothing about what was changed before.
    pub(super) fn settle(&self, ticket: Ticket, fsync: impl Fn() -> Result<(), Errno>) -> Result<(), Errno> {
        let mut run = self.lock();
        let wanted = run.begun + 1;
        loop {
            if let Some((_, errno)) = run.failed.filter(|(number, _)| *number >= ticket.0) {
                return Err(errno);
            }
            if run.done >= wanted {
                return Ok(());
            }
            if run.running {
                run = self.ended.wait(run).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            run.running = true;
            run.begun += 1;
            let mine = run.begun;
            drop(run);
            let ended = fsync();
            run = self.lock();
            run.running = false;
            match ended {
                Ok(()) => run.done = mine,
                Err(errno) => run.failed = Some((mine, errno)),
            }
            self.ended.notify_all();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Run> {
        self.run.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            atomic::{AtomicU32, Ordering},
            mpsc,
        },
        thread,
    };

    use super::*;

    #[test]
    fn alone_each_call_is_an_fsync_of_its_own() {
        let (sync, count) = (GroupSync::default(), AtomicU32::new(0));
        for _ in 0..3 {
            sync.settle(sync.ticket(), || {
                count.fetch_add(1, Ordering::SeqCst);
                Ok(())
            })
            .unwrap();
        }
        assert_eq!(count.into_inner(), 3);
    }

    #[test]
    fn an_fsync_that_failed_counts_for_nobody_who_changed_something_before_it_ended() {
        let sync = GroupSync::default();
        let before = sync.ticket();
        assert_eq!(sync.settle(sync.ticket(), || Err(Errno::IO)), Err(Errno::IO));
        // The change lies before the failure, though this one comes after it.
        assert_eq!(sync.settle(before, || Ok(())), Err(Errno::IO));
        assert_eq!(sync.settle(sync.ticket(), || Ok(())), Ok(()));
        assert_eq!(sync.settle(before, || Ok(())), Err(Errno::IO));
    }

    #[test]
    fn who_comes_while_one_runs_shares_the_next_and_the_failure_of_the_one() {
        for fails in [false, true] {
            let (sync, count) = (GroupSync::default(), AtomicU32::new(0));
            let (inside, is_inside) = mpsc::channel();
            let (go, may_go) = mpsc::channel::<()>();
            let quick = || {
                count.fetch_add(1, Ordering::SeqCst);
                Ok(())
            };
            thread::scope(|scope| {
                let first = scope.spawn(|| {
                    let (inside, may_go) = (inside, may_go);
                    sync.settle(sync.ticket(), || {
                        inside.send(()).unwrap();
                        may_go.recv().unwrap();
                        if fails { Err(Errno::IO) } else { Ok(()) }
                    })
                });
                is_inside.recv().unwrap();
                let tickets: Vec<Ticket> = (0..8).map(|_| sync.ticket()).collect();
                let (sync, quick) = (&sync, &quick);
                let others: Vec<_> = tickets.into_iter().map(|ticket| scope.spawn(move || sync.settle(ticket, quick))).collect();
                go.send(()).unwrap();
                let expected = if fails { Err(Errno::IO) } else { Ok(()) };
                assert_eq!(first.join().unwrap(), expected);
                for other in others {
                    assert_eq!(other.join().unwrap(), expected);
                }
            });
            // Whoever came late for the second ran one more; nobody ran one for a change that was lost.
            let ran = count.into_inner();
            assert!(if fails { ran == 0 } else { (1..=8).contains(&ran) }, "{ran}");
        }
    }
}
