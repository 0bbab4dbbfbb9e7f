//! Which moment does somebody mean? (sealpost(1), `--since`)

use jiff::{
    SignedDuration, Span, Timestamp, ToSpan as _, ZonedDateTime,
    civil::{Date, DateTime, Time, Weekday},
};

/// A moment as people name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum When {
    /// So long ago.
    Ago(SignedDuration),
    /// The day that is so many days past.
    DaysAgo(i64),
    /// The last day of this name, today included.
    Weekday(Weekday),
    /// A whole day.
    Day(Date),
    /// A time of today.
    Clock(Time),
    /// A time without a zone.
    Local(DateTime),
    /// A time with its zone.
    Instant(Timestamp),
}

/// What is said to who wrote something else.
const FORMS: &str = "a time is 2h, 1h30m, now, today, yesterday, monday, 22:53, 2026-11-23, \"2026-11-23 22:53\", 2026-11-23T22:53:01Z or @1795474381";

const WEEKDAYS: [(&str, Weekday); 7] = [
    ("monday", Weekday::Monday),
    ("tuesday", Weekday::Tuesday),
    ("wednesday", Weekday::Wednesday),
    ("thursday", Weekday::Thursday),
    ("friday", Weekday::Friday),
    ("saturday", Weekday::Saturday),
    ("sunday", Weekday::Sunday),
];

impl When {
    /// Reads `2h`, `1h30m ago`, `now`, `today`, `yesterday`, `monday`, `mon`, `22:53[:01]`, `2026-11-23`, `2026-11-23 22:53[:01]`,
    /// RFC 3339, `@` and the seconds since 1970.
    ///
    /// # Errors
    /// What is wrong with it, and what would be right.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim().to_lowercase();
        let is_dated = text.len() >= 10 && text.as_bytes().get(4) == Some(&b'-');
        let starts_with_digit = text.starts_with(|c: char| c.is_ascii_digit());
        match text.as_str() {
            "now" => return Ok(Self::Ago(SignedDuration::ZERO)),
            "today" => return Ok(Self::DaysAgo(0)),
            "yesterday" => return Ok(Self::DaysAgo(1)),
            _ => {}
        }
        if let Some(seconds) = text.strip_prefix('@') {
            let time = seconds.parse().ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
            return time.map(Self::Instant).ok_or_else(|| format!("behind @ stand the seconds since 1970; {FORMS}"));
        }
        if is_dated {
            return dated(&text).ok_or_else(|| format!("there is no such day or time; {FORMS}"));
        }
        if starts_with_digit && text.contains(':') {
            return text.parse().map(Self::Clock).map_err(|_| format!("there is no such time of day; {FORMS}"));
        }
        if starts_with_digit {
            return duration(text.strip_suffix(" ago").unwrap_or(&text)).map(Self::Ago);
        }
        let is_named = |(name, _): &&(&str, Weekday)| text.len() >= 3 && name.starts_with(&text);
        WEEKDAYS.iter().find(is_named).map(|(_, day)| Self::Weekday(*day)).ok_or_else(|| FORMS.to_owned())
    }

    /// The moment, seen from `now` and in its zone; of a day its beginning, or its end where `is_end`. What lies beyond the calendar
    /// is the calendar's end.
    pub fn resolve(&self, now: &ZonedDateTime, is_end: bool) -> Timestamp {
        let local = |time: DateTime| now.time_zone().to_ambiguous_timestamp(time).compatible().unwrap_or(Timestamp::MAX);
        let day = |date: Date| match date.tomorrow() {
            Ok(next) if is_end => local(next.to_datetime(Time::midnight())),
            Err(_) if is_end => Timestamp::MAX,
            _ => local(date.to_datetime(Time::midnight())),
        };
        let past = |days: Span| now.date().saturating_sub(days);
        match self {
            Self::Ago(duration) => now.timestamp().checked_sub(*duration).unwrap_or(Timestamp::MIN),
            Self::DaysAgo(days) => day(past(days.days())),
            Self::Weekday(weekday) => day(past(i64::from(now.date().weekday().since(*weekday)).days())),
            Self::Day(date) => day(*date),
            Self::Clock(time) => local(now.date().to_datetime(*time)),
            Self::Local(time) => local(*time),
            Self::Instant(time) => *time,
        }
    }
}

fn dated(text: &str) -> Option<When> {
    if text.len() == 10 {
        return text.parse().ok().map(When::Day);
    }
    text.parse().map(When::Instant).ok().or_else(|| text.parse().ok().map(When::Local))
}

/// Numbers and their units.
fn duration(text: &str) -> Result<SignedDuration, String> {
    let (mut total, mut rest) = (SignedDuration::ZERO, text);
    while !rest.is_empty() {
        let (number, behind) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len()));
        let behind = behind.trim_start();
        let (unit, behind) = behind.split_at(behind.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(behind.len()));
        let seconds = match unit {
            "s" | "sec" | "second" | "seconds" => 1,
            "m" | "min" | "minute" | "minutes" => 60,
            "h" | "hour" | "hours" => 3_600,
            "d" | "day" | "days" => 86_400,
            "w" | "week" | "weeks" => 7 * 86_400,
            "" => return Err(format!("a unit is missing behind {number}: s, m, h, d or w; {FORMS}")),
            _ => return Err(format!("{unit} is no unit: s, m, h, d and w are; {FORMS}")),
        };
        let part = number.parse::<i64>().ok().and_then(|number| number.checked_mul(seconds)).map(SignedDuration::from_secs);
        total = part.and_then(|part| total.checked_add(part)).ok_or_else(|| format!("{number} is no number of a time; {FORMS}"))?;
        rest = behind.trim_start();
    }
    Ok(total)
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;
    use proptest::prelude::*;

    use super::*;

    fn resolved(text: &str, is_end: bool) -> String {
        let zone = TimeZone::fixed(jiff::tz::offset(1));
        let now: Timestamp = "2026-11-23T22:53:01Z".parse().unwrap(); // a Monday, 23:53 in the zone
        When::parse(text).unwrap_or_else(|why| panic!("{text}: {why}")).resolve(&now.to_zoned_datetime(zone), is_end).to_string()
    }

    #[test]
    fn a_time_is_read_as_people_write_it() {
        for (text, time) in [
            ("2h", "2026-11-23T20:53:01Z"),
            ("2h ago", "2026-11-23T20:53:01Z"),
            ("1h30m", "2026-11-23T21:23:01Z"),
            ("1 day 2 hours ago", "2026-11-22T20:53:01Z"),
            ("5d", "2026-11-18T22:53:01Z"),
            ("90 s", "2026-11-23T22:51:31Z"),
            ("1w", "2026-11-16T22:53:01Z"),
            ("now", "2026-11-23T22:53:01Z"),
            ("Today", "2026-11-22T23:00:00Z"),
            ("yesterday", "2026-11-21T23:00:00Z"),
            ("monday", "2026-11-22T23:00:00Z"),
            ("Tue", "2026-11-16T23:00:00Z"),
            ("sunday", "2026-11-21T23:00:00Z"),
            ("22:53", "2026-11-23T21:53:00Z"),
            ("22:53:01", "2026-11-23T21:53:01Z"),
            ("2026-11-23", "2026-11-22T23:00:00Z"),
            ("2026-11-23 22:53", "2026-11-23T21:53:00Z"),
            ("2026-11-23T22:53:01", "2026-11-23T21:53:01Z"),
            ("2026-11-23T22:53:01Z", "2026-11-23T22:53:01Z"),
            ("2026-11-23T22:53:01.5+02:00", "2026-11-23T20:53:01.5Z"),
            ("@1795474381", "2026-11-23T22:53:01Z"),
        ] {
            assert_eq!(resolved(text, false), time, "{text}");
        }
        for (text, end) in [
            ("2026-11-23", "2026-11-23T23:00:00Z"),
            ("today", "2026-11-23T23:00:00Z"),
            ("sun", "2026-11-22T23:00:00Z"),
            ("22:53", "2026-11-23T21:53:00Z"),
        ] {
            assert_eq!(resolved(text, true), end, "{text}");
        }
        assert_eq!(resolved("9999-12-31", true), Timestamp::MAX.to_string());
        assert_eq!(resolved("9000000000000000s", false), Timestamp::MIN.to_string());
    }

    #[test]
    fn what_is_no_time_is_refused_with_what_is_wrong_about_it() {
        for (wrong, why) in [
            ("", "a time is 2h"),
            ("soon", "a time is 2h"),
            ("mo", "a time is 2h"),
            ("h", "a time is 2h"),
            ("-2h", "a time is 2h"),
            ("2x", "x is no unit"),
            ("2h3", "a unit is missing behind 3"),
            ("2", "a unit is missing behind 2"),
            ("25:00", "there is no such time of day"),
            ("2026-13-01", "there is no such day"),
            ("2026-11-23T", "there is no such day"),
            ("99999999999999999999d", "is no number"),
            ("9223372036854775807w", "is no number"),
            ("@now", "behind @"),
        ] {
            let error = When::parse(wrong).expect_err(wrong);
            assert!(error.starts_with(why) || error.contains(why), "{wrong}: {error}");
        }
    }

    #[test]
    fn a_day_has_the_hours_that_it_has_where_clocks_change() {
        let zone = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        let now = "2026-10-25T12:00:00Z".parse::<Timestamp>().unwrap().to_zoned_datetime(zone);
        let today = When::parse("today").unwrap();
        assert_eq!(today.resolve(&now, true).duration_since(today.resolve(&now, false)), SignedDuration::from_hours(25));
        // 02:30 comes twice: the first one is meant.
        assert_eq!(When::parse("02:30").unwrap().resolve(&now, false).to_string(), "2026-10-25T00:30:00Z");
    }

    proptest! {
        #[test]
        fn no_time_is_too_odd(text in "\\PC{0,12}|@?[0-9]{1,20}[smhdw:]?|[0-9]{4}-[0-9]{2}-[0-9]{2}[T ]?[0-9:.+Z-]{0,20}") {
            if let Ok(when) = When::parse(&text) {
                let _ = when.resolve(&Timestamp::MAX.to_zoned_datetime(TimeZone::UTC), true);
                let _ = when.resolve(&Timestamp::MIN.to_zoned_datetime(TimeZone::UTC), true);
            }
        }
    }
}
