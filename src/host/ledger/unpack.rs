//! How is a compressed part of the log read? (gzip by ourselves, as logrotate packs; the rest by the programs that made it)

use std::{
    env,
    fs::File,
    io::{self, BufReader, ErrorKind, Read},
    os::unix::fs::FileExt as _,
    process::{Child, ChildStdout, Command, Stdio},
};

use flate2::read::MultiGzDecoder;

/// Octets that one part may unpack to: a year of a million mails a day. What is larger was made to keep us busy.
const LARGEST: u64 = 512 << 30;

/// How the files begin that another program unpacks, and which; all of them take `-dc`.
///
/// Not by libraries: logrotate needs the program to pack, so it is there where such parts are, and each crate would put some
/// hundred KiB into every send for what few ever read.
const PROGRAMS: [(&[u8], &str); 5] = [
    (b"\xfd7zXZ\0", "xz"),
    (b"BZh", "bzip2"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\x04\x22\x4d\x18", "lz4"),
    (b"\x1f\x9d", "gzip"), // compress(1)
];

/// The content of a file, judged by its first octets, whatever it is called.
pub(super) fn unpacked(file: File) -> io::Result<Box<dyn Read>> {
    let mut magic = [0; 6];
    let length = file.read_at(&mut magic, 0)?;
    let magic = magic.get(..length).unwrap_or_default();
    if magic.starts_with(b"\x1f\x8b") {
        return Ok(Box::new(Bounded { source: MultiGzDecoder::new(BufReader::new(file)), left: LARGEST }));
    }
    match PROGRAMS.iter().find(|(start, _)| magic.starts_with(start)) {
        Some((_, program)) => Ok(Box::new(Bounded { source: Program::start(program, file)?, left: LARGEST })),
        None => Ok(Box::new(file)),
    }
}

/// Whether a file would be unpacked: then no octet of it has a place in the log.
pub(super) fn is_packed(file: &File) -> bool {
    let mut magic = [0; 6];
    let length = file.read_at(&mut magic, 0).unwrap_or(0);
    let starts = |start: &[u8]| magic.get(..length).is_some_and(|magic| magic.starts_with(start));
    starts(b"\x1f\x8b") || PROGRAMS.iter().any(|(start, _)| starts(start))
}

/// A program that unpacks its standard input. It ends with this value.
struct Program {
    name: &'static str,
    child: Child,
    output: ChildStdout,
}

impl Program {
    fn start(name: &'static str, file: File) -> io::Result<Self> {
        let mut command = Command::new(name);
        // What else is in the environment, passwords among it, is none of its business.
        command.env_clear().envs(env::var_os("PATH").map(|path| ("PATH", path)));
        let started = command.arg("-dc").stdin(file).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let mut child = started.map_err(|error| match error.kind() {
            ErrorKind::NotFound => {
                io::Error::new(ErrorKind::Unsupported, format!("it is compressed by {name}, and that program is not here"))
            }
            _ => error,
        })?;
        let output = child.stdout.take().ok_or(ErrorKind::BrokenPipe)?;
        Ok(Self { name, child, output })
    }
}

impl Read for Program {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.output.read(buffer)?;
        if length > 0 || buffer.is_empty() || self.child.wait()?.success() {
            return Ok(length);
        }
        Err(io::Error::new(ErrorKind::InvalidData, format!("{} could not unpack it to its end", self.name)))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A stream that must end within so many octets.
struct Bounded<R> {
    source: R,
    left: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.source.read(buffer)?;
        self.left =
            self.left.checked_sub(length as u64).ok_or_else(|| io::Error::other("it unpacks to more than any log holds"))?;
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_never_ends_is_given_up() {
        let mut endless = Bounded { source: io::repeat(b'x'), left: 1 << 20 };
        let error = io::copy(&mut endless, &mut io::sink()).unwrap_err();
        assert_eq!(error.to_string(), "it unpacks to more than any log holds");
        let mut whole = Bounded { source: io::repeat(b'x').take(1 << 20), left: 1 << 20 };
        assert_eq!(io::copy(&mut whole, &mut io::sink()).unwrap(), 1 << 20);
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let error = Program::start("no-such-unpacker", tempfile::tempfile().unwrap()).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains("no-such-unpacker"), "{error}");
    }
}
