//! How is it that a client which is refused again and again does not fill the log?

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Instant,
};

/// Refusals of one user that are logged within a minute.
const MOST: u32 = 20;
/// Users that are remembered.
const USERS: usize = 10_000;

/// Lets through the first refusals of each minute, and counts the others.
#[derive(Debug)]
pub(super) struct Damper {
    began: Instant,
    users: Mutex<HashMap<Option<u32>, Tally>>,
}

#[derive(Debug, Default)]
struct Tally {
    minute: u64,
    logged: u32,
    silent: u64,
}

impl Default for Damper {
    fn default() -> Self {
        Self { began: Instant::now(), users: Mutex::default() }
    }
}

impl Damper {
    /// Whether a refusal of this user is to be logged, and how many before it were not; `None`: of nobody that is known.
    pub(super) fn admits(&self, uid: Option<u32>) -> Option<u64> {
        self.at(uid, self.began.elapsed().as_secs() / 60)
    }

    fn at(&self, uid: Option<u32>, minute: u64) -> Option<u64> {
        let mut users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        if users.len() >= USERS && !users.contains_key(&uid) {
            users.clear();
        }
        let tally = users.entry(uid).or_default();
        if tally.minute != minute {
            tally.minute = minute;
            tally.logged = 0;
        }
        if tally.logged >= MOST {
            tally.silent += 1;
            return None;
        }
        tally.logged += 1;
        Some(std::mem::take(&mut tally.silent))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_counted_and_the_count_is_told_once_it_is_over() {
        let damper = Damper::default();
        let told: Vec<Option<u64>> = (0..MOST + 5).map(|_| damper.at(Some(1), 7)).collect();
        assert_eq!(told.iter().filter(|told| **told == Some(0)).count(), MOST as usize);
        assert_eq!(told.last(), Some(&None));
        assert_eq!([damper.at(Some(2), 7), damper.at(None, 7)], [Some(0), Some(0)], "the others are heard");
        assert_eq!([damper.at(Some(1), 8), damper.at(Some(1), 8)], [Some(5), Some(0)]);
        (0..2 * USERS).for_each(|uid| drop(damper.at(u32::try_from(uid).ok(), 9)));
        assert!(damper.users.lock().unwrap().len() <= USERS);
    }
}
