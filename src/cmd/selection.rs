//! Which log does somebody ask about, and which stretch of it? (sealpost(1), "sealpost log")

use std::path::{Path, PathBuf};

use clap::{Args, ValueHint};
use jiff::{
    SignedDuration, Timestamp,
    civil::{Date, DateTime, Time},
    tz::TimeZone,
};

use crate::{
    error::{Error, Exit},
    host::{config, ledger::filter::Filter, world::World},
};

/// What `log` and `report` have in common.
#[derive(Args, Clone, Debug, Default)]
pub struct Selection {
    /// Not before: 2h, 5d, 2026-11-23, "2026-11-23 22:53", 2026-11-23T22:53:01Z
    #[arg(long, value_name = "TIME", value_parser = When::parse)]
    since: Option<When>,
    /// Before; a date includes its day
    #[arg(long, value_name = "TIME", value_parser = When::parse)]
    until: Option<When>,
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

/// A moment as people name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum When {
    /// So long ago.
    Ago(SignedDuration),
    /// A whole day.
    Day(Date),
    /// A time in the caller's zone.
    Local(DateTime),
    /// A time with its zone.
    Instant(Timestamp),
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
    pub fn filter(&self, world: &dyn World) -> Filter {
        if self.since.is_none() && self.until.is_none() {
            return Filter { host: self.host.clone(), ..Filter::default() }; // no zone is looked up
        }
        let now = world.now();
        let at = |when: &When, is_end| when.resolve(now.timestamp(), now.time_zone(), is_end);
        let since = self.since.as_ref().map(|when| at(when, false));
        let until = self.until.as_ref().map(|when| at(when, true));
        Filter { since, until, host: self.host.clone(), ..Filter::default() }
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

impl When {
    /// Reads `2h`, `2026-11-23`, `2026-11-23 22:53[:01]`, RFC 3339.
    ///
    /// # Errors
    /// What would be right.
    pub fn parse(text: &str) -> Result<Self, String> {
        let ago = || text.strip_suffix(" ago").unwrap_or(text);
        let dated = text.len() >= 10 && text.as_bytes().get(4) == Some(&b'-');
        let parsed = match dated {
            false => duration(ago()).map(Self::Ago),
            true if text.len() == 10 => text.parse().ok().map(Self::Day),
            true => text.parse().map(Self::Instant).ok().or_else(|| text.parse().ok().map(Self::Local)),
        };
        parsed.ok_or_else(|| "a time is 2h, 5d, 2026-11-23, \"2026-11-23 22:53\" or 2026-11-23T22:53:01Z".to_owned())
    }

    /// The moment; of a day its beginning, or its end where `is_end`. What lies beyond the calendar is the calendar's end.
    fn resolve(&self, now: Timestamp, zone: &TimeZone, is_end: bool) -> Timestamp {
        let local = |time: DateTime| zone.to_ambiguous_timestamp(time).compatible().unwrap_or(Timestamp::MAX);
        match self {
            Self::Ago(duration) => now.checked_sub(*duration).unwrap_or(Timestamp::MIN),
            Self::Day(date) if is_end => date.tomorrow().map_or(Timestamp::MAX, |next| local(next.to_datetime(Time::midnight()))),
            Self::Day(date) => local(date.to_datetime(Time::midnight())),
            Self::Local(time) => local(*time),
            Self::Instant(time) => *time,
        }
    }
}

fn duration(text: &str) -> Option<SignedDuration> {
    let split = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(split);
    let seconds = match unit.trim_start() {
        "s" => 1,
        "m" | "min" => 60,
        "h" => 3_600,
        "d" => 86_400,
        "w" => 7 * 86_400,
        _ => return None,
    };
    number.parse::<i64>().ok()?.checked_mul(seconds).map(SignedDuration::from_secs)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::host::world::Pretend;

    fn resolved(text: &str, is_end: bool) -> String {
        let zone = TimeZone::fixed(jiff::tz::offset(1));
        let now = "2026-11-23T22:53:01Z".parse().unwrap();
        When::parse(text).unwrap_or_else(|_| panic!("{text}")).resolve(now, &zone, is_end).to_string()
    }

    #[test]
    fn a_time_is_read_as_people_write_it() {
        for (text, time) in [
            ("2h", "2026-11-23T20:53:01Z"),
            ("2h ago", "2026-11-23T20:53:01Z"),
            ("5d", "2026-11-18T22:53:01Z"),
            ("90 s", "2026-11-23T22:51:31Z"),
            ("1w", "2026-11-16T22:53:01Z"),
            ("2026-11-23", "2026-11-22T23:00:00Z"),
            ("2026-11-23 22:53", "2026-11-23T21:53:00Z"),
            ("2026-11-23T22:53:01", "2026-11-23T21:53:01Z"),
            ("2026-11-23T22:53:01Z", "2026-11-23T22:53:01Z"),
            ("2026-11-23T22:53:01.5+02:00", "2026-11-23T20:53:01.5Z"),
        ] {
            assert_eq!(resolved(text, false), time, "{text}");
        }
        assert_eq!(resolved("2026-11-23", true), "2026-11-23T23:00:00Z");
        assert_eq!(resolved("9999-12-31", true), Timestamp::MAX.to_string());
        assert_eq!(resolved("9000000000000000s", false), Timestamp::MIN.to_string());
        for wrong in
            ["", "soon", "2x", "h", "2", "2026-13-01", "2026-11-23T", "-2h", "99999999999999999999d", "9223372036854775807w"]
        {
            assert!(When::parse(wrong).is_err(), "{wrong}");
        }
    }

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

    proptest! {
        #[test]
        fn no_time_is_too_odd(text in "\\PC{0,12}|[0-9]{1,20}[smhdw]|[0-9]{4}-[0-9]{2}-[0-9]{2}[T ]?[0-9:.+Z-]{0,20}") {
            if let Ok(when) = When::parse(&text) {
                let _ = when.resolve(Timestamp::MAX, &TimeZone::UTC, true);
            }
        }
    }
}
