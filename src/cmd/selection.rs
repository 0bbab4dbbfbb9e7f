//! Which log does somebody ask about, and which stretch of it? (sealpost(1), "sealpost log")

use std::path::{Path, PathBuf};

use clap::{Args, ValueHint};
use jiff::ZonedDateTime;

use super::when::When;
use crate::{
    error::{Error, Exit},
    host::{config, ledger::filter::Filter, world::World},
};

/// What `log` and `report` have in common.
#[derive(Args, Clone, Debug, Default)]
pub struct Selection {
    /// Not before: 2h, 1h30m, today, monday, 22:53, 2026-11-23, "2026-11-23 22:53", 2026-11-23T22:53:01Z
    #[arg(long, value_name = "TIME", value_parser = When::parse)]
    since: Option<When>,
    /// Before; a day is included whole
    #[arg(long, value_name = "TIME", value_parser = When::parse)]
    until: Option<When>,
    /// Days and times of UTC, not of the own zone
    #[arg(long)]
    utc: bool,
    /// To this host only: its name or address
    #[arg(long, value_name = "HOST", value_hint = ValueHint::Hostname)]
    host: Option<String>,
    /// Read the log of this configuration
    #[arg(short = 'C', long, value_name = "FILE", conflicts_with = "file", value_hint = ValueHint::FilePath)]
    config: Option<PathBuf>,
    /// Read this log (- is standard input) instead of the one that the configuration names
    #[arg(long, value_name = "LOG", value_hint = ValueHint::FilePath)]
    file: Option<PathBuf>,
}

/// Where the records come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Standard input.
    Stream,
    /// A log, with what was rotated.
    Log(PathBuf),
}

impl Selection {
    /// Where to read: `--file`, else what the configuration in force says.
    ///
    /// # Errors
    /// No configuration, a faulty one, or one that keeps no log.
    pub fn source(&self, world: &dyn World) -> Result<Source, Error> {
        match &self.file {
            Some(file) if file.as_os_str() == "-" => return Ok(Source::Stream),
            Some(file) => return Ok(Source::Log(file.clone())),
            None => {}
        }
        let config = config::load(world, self.config.as_deref())?;
        config.log.file.map(Source::Log).ok_or_else(|| {
            Error::new(Exit::NoInput, "reading the send log", "the configuration keeps none")
                .hint("set file in [log], or name one with --file")
        })
    }

    /// What a record must be.
    ///
    /// # Errors
    /// The end is before the beginning.
    pub fn filter(&self, world: &dyn World) -> Result<Filter, Error> {
        self.filter_in(&self.now(world))
    }

    /// What a record must be, `now` giving the zone of days and times.
    ///
    /// # Errors
    /// The end is before the beginning.
    pub fn filter_in(&self, now: &ZonedDateTime) -> Result<Filter, Error> {
        let since = self.since.as_ref().map(|when| when.resolve(now, false));
        let until = self.until.as_ref().map(|when| when.resolve(now, true));
        if let (Some(since), Some(until)) = (since, until)
            && since > until
        {
            let why = format!("--until ({until:.0}) is before --since ({since:.0})");
            return Err(Error::new(Exit::Usage, "choosing records", why).hint("exchange the two"));
        }
        Ok(Filter { since, until, host: self.host.clone(), ..Filter::default() })
    }

    /// The time, in the zone that days and times are of.
    pub fn now(&self, world: &dyn World) -> ZonedDateTime {
        let now = world.now();
        if self.utc { now.with_time_zone(jiff::tz::TimeZone::UTC) } else { now }
    }

    /// The configuration that was named.
    pub fn config(&self) -> Option<&Path> {
        self.config.as_deref()
    }

    /// Whether somebody said where to begin.
    pub fn has_beginning(&self) -> bool {
        self.since.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::world::Pretend;

    #[test]
    fn a_configuration_that_keeps_no_log_is_said_so() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("c.toml");
        std::fs::write(&path, "[log]\nfile = \"\"\n[accounts.a]\nhost = \"h.example\"\n").unwrap();
        let selection = Selection { config: Some(path), ..Selection::default() };
        let error = selection.source(&Pretend::default()).unwrap_err();
        assert_eq!((error.exit(), error.because()), (Exit::NoInput, "the configuration keeps none"));
        let selection = Selection { file: Some("-".into()), ..Selection::default() };
        assert_eq!(selection.source(&Pretend::default()).unwrap(), Source::Stream);
    }

    #[test]
    fn an_end_before_the_beginning_is_a_mistake() {
        let when = |text| Some(When::parse(text).unwrap());
        let world = Pretend::default();
        let selection = Selection { since: when("2h"), until: when("3h"), ..Selection::default() };
        let error = selection.filter(&world).unwrap_err();
        assert_eq!(error.exit(), Exit::Usage);
        assert!(error.because().contains("(2026-11-23T19:53:01Z) is before --since (2026-11-23T20:53:01Z)"), "{error}");
        let day = Selection { since: when("today"), until: when("today"), ..Selection::default() };
        assert!(day.filter(&world).is_ok());
    }
}
