//! Which configuration, and which log, is in force for those who begin now? (SIGHUP brings another)

use crate::{
    cmd::caller::{ErrorMode, complain},
    host::{
        config::Config,
        journal::{Journal, Record, Sockets},
    },
};

/// A configuration, and the log as it wants it; those who began with it end with it.
#[derive(Debug)]
pub(super) struct Generation {
    pub(super) config: Config,
    pub(super) journal: Journal,
}

impl Generation {
    pub(super) fn new(config: Config) -> Self {
        let journal = Journal::new(&config.log, None, Sockets::default());
        Self { config, journal }
    }

    pub(super) fn log(&self, record: &Record) {
        for unlogged in self.journal.write(record) {
            complain("sealpost", ErrorMode::Print, &unlogged);
        }
    }
}
