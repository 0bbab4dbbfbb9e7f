//! How do many share one fsync of a directory? (group commit)

use std::{
    io,
    sync::{Condvar, Mutex, PoisonError},
};

/// Whoever comes while an fsync runs waits for the next one, together with all who came meanwhile.
#[derive(Debug, Default)]
pub(super) struct GroupSync {
    run: Mutex<Run>,
    ended: Condvar,
}

#[derive(Debug, Default)]
struct Run {
    /// Fsyncs that were begun.
    begun: u64,
    /// The last one that ended well.
    done: u64,
    running: bool,
}

impl GroupSync {
    /// Returns when an fsync that began after this call has ended.
    ///
    /// # Errors
    /// What the fsync says that this thread ran itself; others then run their own.
    pub(super) fn run(&self, fsync: impl Fn() -> io::Result<()>) -> io::Result<()> {
        let mut run = self.run.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = run.begun + 1;
        while run.done < wanted {
            if run.running {
                run = self.ended.wait(run).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            run.running = true;
            run.begun += 1;
            let mine = run.begun;
            drop(run);
            let ended = fsync();
            run = self.run.lock().unwrap_or_else(PoisonError::into_inner);
            run.running = false;
            if ended.is_ok() {
                run.done = mine;
            }
            self.ended.notify_all();
            ended?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[test]
    fn alone_each_call_is_an_fsync_of_its_own() {
        let (sync, count) = (GroupSync::default(), AtomicU32::new(0));
        for _ in 0..3 {
            sync.run(|| {
                count.fetch_add(1, Ordering::SeqCst);
                Ok(())
            })
            .unwrap();
        }
        assert_eq!(count.into_inner(), 3);
    }

    #[test]
    fn an_fsync_that_failed_counts_for_nobody() {
        let sync = GroupSync::default();
        assert!(sync.run(|| Err(io::ErrorKind::StorageFull.into())).is_err());
        let count = AtomicU32::new(0);
        sync.run(|| {
            count.fetch_add(1, Ordering::SeqCst);
            Ok(())
        })
        .unwrap();
        assert_eq!(count.into_inner(), 1);
    }
}
