//! What does a file of the spool say, and of what is it a file at all?

use std::{fs::File, io, os::unix::fs::FileExt as _};

use jiff::Timestamp;
use rustix::fs::{FileType, Stat, Timespec, Timestamps, futimens};

use super::{
    entry::{Entry, Head, State},
    format::{self, FIRST, Layout},
    sum::Sum,
};

/// Octets that are read at once of a file: with most messages this is all of it.
const PIECE: u64 = 8192;
/// Octets that are read at once of a message to see whether it is what was written.
const LARGE_PIECE: usize = 256 << 10;
/// Octets of a change that is looked for first, and of the longest that is ours.
const LAST_LINE: u64 = 64 << 10;
const LONGEST_LINE: u64 = 64 << 20;

/// Whether it is a file, and no directory, link, socket, FIFO or device.
pub(super) fn is_file(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
}

/// The mtime says when the next attempt is due, so that nobody needs to open a file to know.
pub(super) fn set_due(file: &File, due: Timestamp) -> io::Result<()> {
    Ok(futimens(file, &times_of(due))?)
}

/// The times of a file whose next attempt is then.
pub(super) fn times_of(due: Timestamp) -> Timestamps {
    // Before 1970 the nanoseconds of a timestamp are negative, those of a file never are.
    let nanoseconds = due.subsec_nanosecond();
    let (second, rest) =
        if nanoseconds < 0 { (due.as_second() - 1, nanoseconds + 1_000_000_000) } else { (due.as_second(), nanoseconds) };
    let time = Timespec { tv_sec: second, tv_nsec: rest.into() };
    Timestamps { last_access: time, last_modification: time }
}

/// When a file's next attempt is due.
pub(super) fn due(stat: &Stat) -> Timestamp {
    Timestamp::new(stat.st_mtime, i32::try_from(stat.st_mtime_nsec).unwrap_or(0)).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// What a file says.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) entry: Entry,
    /// Where the message begins.
    pub(super) at: u64,
    /// Where the next change goes.
    pub(super) end: u64,
    /// There is something behind that.
    pub(super) is_torn: bool,
    layout: Layout,
    /// The first octets of the file, or all.
    front: Vec<u8>,
}

impl Known {
    /// Whether the message is what was written.
    pub(super) fn is_whole(&self, file: &File) -> io::Result<bool> {
        let to = self.layout.state_at();
        let mut sum = Sum::new();
        if let Some(content) = slice(&self.front, self.at, to) {
            sum.update(content);
            return Ok(sum.finalize() == self.layout.checksum);
        }
        let mut buffer = vec![0; LARGE_PIECE];
        let mut at = self.at;
        while at < to {
            let length = usize::try_from(to - at).map_or(LARGE_PIECE, |left| left.min(LARGE_PIECE));
            file.read_exact_at(&mut buffer[..length], at)?;
            sum.update(&buffer[..length]);
            at += length as u64;
        }
        Ok(sum.finalize() == self.layout.checksum)
    }
}

/// Reads what a file says, but for the message; or why it is none of ours.
pub(super) fn read(file: &File, stat: &Stat) -> io::Result<Result<Known, String>> {
    let size = u64::try_from(stat.st_size).unwrap_or(0);
    let mut front = octets(file, 0, size.min(PIECE))?;
    let layout = match Layout::parse(&front) {
        Ok(layout) => layout,
        Err(why) => return Ok(Err(why)),
    };
    let at = layout.content_at();
    if size < layout.state_at() {
        return Ok(Err("is shorter than it says".to_owned()));
    }
    if (front.len() as u64) < at {
        let rest = octets(file, front.len() as u64, at)?;
        front.extend_from_slice(&rest);
    }
    let (first, json) = slice(&front, 0, at).unwrap_or_default().split_at_checked(FIRST).unwrap_or_default();
    let head = match format::head(first, json, &layout) {
        Ok(head) => head,
        Err(why) => return Ok(Err(why)),
    };
    Ok(match last_state(file, size, &front, &layout, &head)? {
        Ok((mut state, end)) => {
            state.next = due(stat);
            Ok(Known { entry: Entry { head, state }, at, end, is_torn: end < size, layout, front })
        }
        Err(why) => Err(why),
    })
}

/// Finds the last whole change from the end, and where it ends: a message of many recipients has changes of a megabyte each.
fn last_state(file: &File, size: u64, front: &[u8], layout: &Layout, head: &Head) -> io::Result<Result<(State, u64), String>> {
    let (first, mut window) = (layout.state_at(), LAST_LINE);
    loop {
        let from = size.saturating_sub(window).max(first);
        let read;
        let lines = if let Some(lines) = slice(front, from, size) {
            lines
        } else {
            read = octets(file, from, size)?;
            &read
        };
        match format::last_state(lines, from == first, head.envelope.recipients.len()) {
            Err(why) => return Ok(Err(why)),
            Ok(Some((state, length))) => return Ok(Ok((state, from + length as u64))),
            Ok(None) if from == first || window >= LONGEST_LINE => return Ok(Err("has no state".to_owned())),
            Ok(None) => window *= 8,
        }
    }
}

/// The octets of a file from one place to another.
fn octets(file: &File, from: u64, to: u64) -> io::Result<Vec<u8>> {
    let length = usize::try_from(to - from).map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory))?;
    let mut octets = vec![0; length];
    file.read_exact_at(&mut octets, from)?;
    Ok(octets)
}

/// What `front`, the first octets of a file, has of it from one place to another.
fn slice(front: &[u8], from: u64, to: u64) -> Option<&[u8]> {
    front.get(usize::try_from(from).ok()?..usize::try_from(to).ok()?)
}
