//! Whose thread looks after a client: one that has just become free, or a new one?
//!
//! To make a thread and to end it is a twentieth of what the service does for a short message.

use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// How long a free thread waits for something to do.
const PATIENCE: Duration = Duration::from_secs(5);
/// How many of them wait at most; each keeps some 30 KiB.
const MOST: usize = 64;

/// Threads that are free, and tasks that are for one of them.
#[derive(Debug)]
pub(super) struct Staff<T> {
    bench: Mutex<Bench<T>>,
    changed: Condvar,
}

/// There are never more tasks than free threads.
#[derive(Debug)]
struct Bench<T> {
    tasks: VecDeque<T>,
    free: usize,
    closed: bool,
}

impl<T> Staff<T> {
    pub(super) fn new() -> Self {
        let bench = Bench { tasks: VecDeque::new(), free: 0, closed: false };
        Self { bench: Mutex::new(bench), changed: Condvar::new() }
    }

    /// Has a free thread do it; where there is none the task comes back.
    pub(super) fn offer(&self, task: T) -> Result<(), T> {
        let mut bench = self.bench();
        if bench.tasks.len() >= bench.free {
            return Err(task);
        }
        bench.tasks.push_back(task);
        self.changed.notify_one();
        Ok(())
    }

    /// What a thread that is free is to do next; `None`: it is not needed any more.
    pub(super) fn next(&self) -> Option<T> {
        let until = Instant::now() + PATIENCE;
        let mut bench = self.bench();
        if bench.free >= MOST {
            return None;
        }
        bench.free += 1;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            // Counted on when it was offered, so it must be done even by a thread that was about to leave.
            let task = bench.tasks.pop_front();
            if task.is_some() || bench.closed || left.is_zero() {
                bench.free -= 1;
                return task;
            }
            (bench, _) = self.changed.wait_timeout(bench, left).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// No more tasks come.
    pub(super) fn close(&self) {
        self.bench().closed = true;
        self.changed.notify_all();
    }

    /// Nothing is done under this lock that could panic halfway.
    fn bench(&self) -> MutexGuard<'_, Bench<T>> {
        self.bench.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, thread};

    use super::*;

    #[test]
    fn a_task_that_nobody_is_free_for_comes_back() {
        assert_eq!(Staff::new().offer(1), Err(1));
    }

    #[test]
    fn a_free_thread_gets_each_task_that_was_taken_and_may_go_when_no_more_come() {
        let staff = Staff::new();
        let (done, heard) = mpsc::channel();
        thread::scope(|scope| {
            scope.spawn(|| {
                while let Some(task) = staff.next() {
                    done.send(task).unwrap();
                }
            });
            for mut task in 0..100 {
                while let Err(again) = staff.offer(task) {
                    task = again;
                    thread::yield_now();
                }
                assert_eq!(heard.recv(), Ok(task));
            }
            staff.close();
        });
        assert_eq!(staff.offer(100), Err(100));
    }

    #[test]
    fn what_was_taken_is_done_although_the_service_stops() {
        let staff = Staff::new();
        thread::scope(|scope| {
            let free = scope.spawn(|| staff.next());
            while staff.offer(1).is_err() {
                thread::yield_now();
            }
            staff.close();
            assert_eq!(free.join().unwrap(), Some(1));
        });
    }
}
