//! Where in a long file do the records begin that are wanted, without reading what stands before them?
//!
//! The log is written in the order of time, but not quite: an attempt that took long ends after a later one, and a clock may be
//! set. So a place counts only where [`LEEWAY`] and two looks, the other one nearer to the end, agree that all is older there.

use std::{
    fs::File,
    io::{self, Read},
    os::unix::fs::FileExt as _,
};

use jiff::Timestamp;

use super::{
    LEEWAY,
    entry::Entry,
    filter::Filter,
    lines::{LONGEST, Line, Lines},
    unpack::is_packed,
};

/// Octets that are looked at to see how old the records around a place are: some dozens of them.
const GLANCE: u64 = 64 << 10;
/// How far the first look is from the end; each other one is twice as far.
const NEAREST: u64 = 1 << 20;
/// Octets at the end in which the last records are looked for first; then eight times as many, and so on.
const TAIL: u64 = 128 << 10;

/// An octet where a line begins, before which no record is as new as `since`; 0 where none is found.
pub(super) fn of_time(file: &File, since: Timestamp) -> u64 {
    let Some(size) = size(file) else { return 0 };
    let oldest = since.checked_sub(LEEWAY).unwrap_or(Timestamp::MIN);
    let (mut back, mut is_second) = (NEAREST, false);
    while back < size {
        match older_than(file, size - back, oldest) {
            Some(place) if is_second => return place,
            place => is_second = place.is_some(),
        }
        back = back.saturating_mul(2);
    }
    0
}

/// An octet where a line begins, behind which `last` records stand that `filter` admits; `None` where there are not so many.
pub(super) fn of_last(file: &File, last: usize, filter: &Filter) -> Option<u64> {
    let size = size(file)?;
    let mut tail = TAIL;
    while tail < size {
        let start = size - tail;
        let mut lines = Lines::new(Stretch { file, at: start, end: size }, LONGEST);
        let first = begins(&lines.advance().ok()??, start);
        let (mut count, mut ended) = (0, false);
        while count < last && !ended {
            match lines.advance().ok()? {
                Some(Line::Whole(line)) => {
                    count += usize::from(Entry::parse(line).is_some_and(|(_, entry)| filter.admits(&entry)));
                }
                Some(Line::Overlong) => {}
                None => ended = true,
            }
        }
        if let (true, Some(first)) = (count >= last, first) {
            return Some(first);
        }
        tail = tail.saturating_mul(8);
    }
    None
}

/// The size of a file in which places can be looked for.
fn size(file: &File) -> Option<u64> {
    let metadata = file.metadata().ok()?;
    (metadata.is_file() && !is_packed(file)).then_some(metadata.len())
}

/// Where the first whole line behind `start` begins, if some records stand there and all of them are older than `oldest`.
fn older_than(file: &File, start: u64, oldest: Timestamp) -> Option<u64> {
    let mut lines = Lines::new(Stretch { file, at: start, end: start + GLANCE }, LONGEST);
    let first = begins(&lines.advance().ok()??, start);
    let mut latest = None;
    while let Some(line) = lines.advance().ok()? {
        let Line::Whole(line) = line else { continue };
        latest = latest.max(Entry::parse(line).map(|(_, entry)| entry.time));
    }
    first.filter(|_| latest.is_some_and(|latest| latest < oldest))
}

/// Where the line behind the one that `start` lies in begins.
fn begins(line: &Line<'_>, start: u64) -> Option<u64> {
    match line {
        Line::Whole(rest) => Some(start + rest.len() as u64 + 1),
        Line::Overlong => None,
    }
}

/// A stretch of a file.
struct Stretch<'a> {
    file: &'a File,
    at: u64,
    end: u64,
}

impl Read for Stretch<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.end.saturating_sub(self.at)).unwrap_or(usize::MAX).min(buffer.len());
        let length = self.file.read_at(buffer.get_mut(..most).unwrap_or_default(), self.at)?;
        self.at += length as u64;
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use std::{fmt::Write as _, io::Write as _};

    use super::*;

    /// A log with a record every minute; `odd` says which of them have another time.
    fn log(records: i64, odd: impl Fn(i64) -> Option<i64>) -> (File, String) {
        let mut text = String::new();
        for n in 0..records {
            let time = Timestamp::from_second(odd(n).unwrap_or(1_790_000_000 + n * 60)).unwrap();
            let padding = "x".repeat(900);
            let _ = writeln!(text, r#"{{"time":"{time}","event":"send","id":"{n}","error":"{padding}"}}"#);
        }
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        (file, text)
    }

    fn at(n: i64) -> Timestamp {
        Timestamp::from_second(1_790_000_000 + n * 60).unwrap()
    }

    /// Whether everything that is as new as `since` stands behind the place, and it is the beginning of a line.
    fn holds(text: &str, place: u64, since: Timestamp) -> bool {
        let (before, _) = text.split_at(usize::try_from(place).unwrap());
        let is_old = |line: &str| Entry::parse(line.as_bytes()).unwrap().1.time < since;
        (before.is_empty() || before.ends_with('\n')) && before.lines().all(is_old)
    }

    #[test]
    fn what_is_older_than_a_day_before_is_passed_over_and_nothing_that_is_wanted() {
        let (file, text) = log(12_000, |_| None);
        for (n, passed_over) in [(0, 0), (1000, 0), (9700, 3), (11_999, 7), (20_000, 9)] {
            let place = of_time(&file, at(n));
            assert!(holds(&text, place, at(n)), "{n}: {place}");
            assert!(place >= passed_over << 20, "{n}: {place}");
        }
    }

    #[test]
    fn a_clock_that_was_wrong_for_a_while_hides_nothing() {
        // 200 records of a machine that thought it was 1970, and some of one that thought it was later than it is.
        for begin in (0..12_000).step_by(500) {
            let (file, text) = log(12_000, |n| (begin..begin + 200).contains(&n).then_some(n));
            let place = of_time(&file, at(11_000));
            assert!(holds(&text, place, at(11_000)), "{begin}: {place}");
        }
        let (file, text) = log(12_000, |n| (n % 50 == 0).then_some(1_790_000_000 + n * 60 - 80_000));
        let place = of_time(&file, at(11_000));
        assert!(place > 0 && holds(&text, place, at(11_000)));
    }

    #[test]
    fn the_last_ones_are_found_from_the_end() {
        let (file, text) = log(3000, |_| None);
        let all = Filter::default();
        for (last, most) in [(1, 128 << 10), (10, 128 << 10), (500, 1 << 20)] {
            let place = of_last(&file, last, &all).unwrap();
            let (before, behind) = text.split_at(usize::try_from(place).unwrap());
            assert!(before.ends_with('\n') && behind.lines().count() >= last && behind.len() <= most, "{last}: {place}");
        }
        let one = Filter { id: Some("2950".into()), ..Filter::default() };
        assert!(text[usize::try_from(of_last(&file, 1, &one).unwrap()).unwrap()..].contains("\"id\":\"2950\""));
        assert_eq!(of_last(&file, 2, &one), None);
        assert_eq!(of_last(&file, 3001, &all), None);
    }

    #[test]
    fn a_file_without_records_or_lines_is_read_from_its_beginning() {
        for content in [vec![b'x'; 5 << 20], vec![0; 5 << 20], b"noise\n".repeat(1 << 20), b"\x1f\x8b\0\0".repeat(2 << 20)] {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(&content).unwrap();
            assert_eq!((of_time(&file, at(0)), of_last(&file, 1, &Filter::default())), (0, None));
        }
    }
}
