//! What does a command print that knows a secret, and how is one that hangs or fails dealt with?

use std::{
    io,
    os::{fd::AsFd, unix::process::CommandExt as _},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec},
    fd::{BorrowedFd, OwnedFd},
    process::{Pid, PidfdFlags, Signal},
};
use zeroize::Zeroizing;

use super::{Errand, LONGEST, buffer};
use crate::{
    error::{Error, Exit},
    host::config::SecretSource,
    smtp::sasl::Mask,
};

/// How much of what the command complains about is passed on, in octets.
pub(super) const COMPLAINT: usize = 1024;

/// How long to wait before asking again whether the command ended, where the kernel can't wake us (before Linux 5.3).
const GLANCE: Duration = Duration::from_millis(20);

/// Variables that are settings of ours, by how they begin: some hold secrets, and a command has need of none.
const OURS: [&str; 3] = ["SEALPOST_", "SMTP_PASS", "SMTP_AUTH_PASSWORD"];

/// What a program said, and how it ended.
pub(super) struct Said {
    pub(super) status: ExitStatus,
    pub(super) stdout: Zeroizing<Vec<u8>>,
    stderr: Zeroizing<Vec<u8>>,
}

/// A command line of the shell.
pub(super) fn shell(line: &str) -> Command {
    let mut shell = Command::new("/bin/sh");
    shell.arg("-c").arg(line);
    shell
}

/// Runs the command and returns what it printed, as far as a secret may be long.
///
/// # Errors
/// `EX_TEMPFAIL`: it can't be run, failed (with what it said on stderr), or took longer than `patience`; then it is killed
/// together with its children.
pub(super) fn output(errand: &Errand<'_>, command: Command, patience: Duration) -> Result<Zeroizing<Vec<u8>>, Error> {
    let said = run(errand, command, b"", patience)?;
    if said.status.success() { Ok(said.stdout) } else { Err(said.failure(errand)) }
}

/// Runs the command with `input` on its standard input, without the variables that are ours.
///
/// # Errors
/// `EX_TEMPFAIL`: it can't be run, or took longer than `patience`; then it is killed together with its children.
pub(super) fn run(errand: &Errand<'_>, mut command: Command, input: &[u8], patience: Duration) -> Result<Said, Error> {
    let failed = |because: String| Error::new(Exit::TempFail, errand.doing(), because);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    for name in hidden(errand) {
        command.env_remove(name);
    }
    let mut running = Running::start(&mut command, input).map_err(|error| failed(format!("the command can't be run: {error}")))?;
    match running.wait(Instant::now() + patience) {
        Ok(Some(status)) => Ok(Said { status, stdout: running.stdout.text, stderr: running.stderr.text }),
        Ok(None) => {
            running.kill();
            let because = format!("the command did not end within {} s", patience.as_secs());
            Err(failed(because).hint("it must not wait for somebody: does it ask on the terminal, or for a locked keyring?"))
        }
        Err(error) => {
            running.kill();
            Err(failed(format!("the command can't be followed: {error}")))
        }
    }
}

impl Said {
    /// The error that quotes what the command complained about.
    pub(super) fn failure(&self, errand: &Errand<'_>) -> Error {
        let complaint = complaint(&self.stderr, &self.stdout);
        let complaint = if complaint.is_empty() { String::new() } else { format!(": {complaint}") };
        Error::new(Exit::TempFail, errand.doing(), format!("the command failed ({}){complaint}", self.status))
            .hint("run it by hand, as the same user, to see why")
    }

    /// Whether it complained about anything.
    pub(super) fn is_silent(&self) -> bool {
        self.stderr.is_empty()
    }
}

/// What the command said on stderr, in one line, without what it printed: a shell that traces (`set -x`) says the secret again.
fn complaint(said: &[u8], printed: &[u8]) -> String {
    /// Shorter words are no secrets, and masked they would make nonsense of a complaint.
    const SHORTEST: usize = 6;
    let said = Zeroizing::new(String::from_utf8_lossy(said).into_owned());
    let printed = Zeroizing::new(String::from_utf8_lossy(printed).into_owned());
    let first = printed.lines().next().unwrap_or_default().trim();
    // JSON has its secrets between quotation marks.
    let words =
        printed.split(|c: char| c.is_whitespace() || c.is_control() || "\"'".contains(c)).filter(|word| word.len() >= SHORTEST);
    let mask = Mask::of(std::iter::once(first).chain(words));
    // Of a long complaint only the beginning was kept.
    mask.hide_broken_off(&said).trim().replace('\n', " / ")
}

/// The names of variables that a command must not see: our settings, the passwords of all accounts, and what a web server made of
/// the header fields of a request (`Proxy:` becomes `HTTP_PROXY`, which sends a program that fetches a token through a stranger).
pub(super) fn hidden(errand: &Errand<'_>) -> Vec<String> {
    let is_cgi = errand.world.env("GATEWAY_INTERFACE").is_some();
    let sources = errand.config.accounts.iter().filter_map(|account| account.auth.as_ref()).map(|auth| &auth.source);
    let named: Vec<&String> =
        sources.filter_map(|source| if let SecretSource::Environment(name) = source { Some(name) } else { None }).collect();
    let is_hidden = |name: &String| {
        OURS.iter().any(|ours| name.starts_with(ours)) || named.contains(&name) || (is_cgi && name.starts_with("HTTP_"))
    };
    errand.world.env_names().into_iter().filter(is_hidden).collect()
}

/// A command and what has been read of it so far.
struct Running {
    child: Child,
    ended: Option<OwnedFd>,
    stdin: Feed,
    stdout: Pipe,
    stderr: Pipe,
}

impl Running {
    fn start(command: &mut Command, input: &[u8]) -> io::Result<Self> {
        let mut child = command.spawn()?;
        let stdin = Feed::new(child.stdin.take().map(OwnedFd::from), input)?;
        let ended = pid(&child).and_then(|pid| rustix::process::pidfd_open(pid, PidfdFlags::empty()).ok());
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let stdout = Pipe::new(stdout.map(OwnedFd::from), buffer(), LONGEST + 2)?;
        let stderr = Pipe::new(stderr.map(OwnedFd::from), Zeroizing::new(Vec::with_capacity(COMPLAINT)), COMPLAINT)?;
        Ok(Self { child, ended, stdin, stdout, stderr })
    }

    /// Reads until the command ends; `None` when it has not by `deadline`.
    ///
    /// Its own end counts, not that of its output, which an agent started on the way (gpg-agent) may keep open for days.
    fn wait(&mut self, deadline: Instant) -> io::Result<Option<ExitStatus>> {
        loop {
            self.stdin.say();
            let status = self.child.try_wait()?;
            self.stdout.drain()?;
            self.stderr.drain()?;
            if status.is_some() {
                return Ok(status);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            self.poll(if self.ended.is_some() { left } else { left.min(GLANCE) })?;
        }
    }

    fn poll(&self, patience: Duration) -> io::Result<()> {
        let open = [self.ended.as_ref(), self.stdout.end.as_ref(), self.stderr.end.as_ref()];
        let mut waited: Vec<PollFd<'_>> =
            open.into_iter().flatten().map(|end| PollFd::from_borrowed_fd(end.as_fd(), PollFlags::IN)).collect();
        waited.extend(self.stdin.end.as_ref().map(|end| PollFd::from_borrowed_fd(end.as_fd(), PollFlags::OUT)));
        let patience = Timespec::try_from(patience).unwrap_or(Timespec { tv_sec: 1, tv_nsec: 0 });
        match rustix::event::poll(&mut waited, Some(&patience)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Kills the command and its children, which share its process group.
    fn kill(&mut self) {
        // Failing means that they are gone already.
        if let Some(pid) = pid(&self.child) {
            let _gone = rustix::process::kill_process_group(pid, Signal::KILL);
        }
        let _status = self.child.wait();
    }
}

/// What the command is given to read.
struct Feed {
    /// Our end of the pipe; `None` when all is said.
    end: Option<OwnedFd>,
    text: Zeroizing<Vec<u8>>,
    said: usize,
}

impl Feed {
    fn new(end: Option<OwnedFd>, input: &[u8]) -> io::Result<Self> {
        if let Some(end) = &end {
            rustix::io::ioctl_fionbio(end, true)?;
        }
        Ok(Self { end, text: Zeroizing::new(input.to_vec()), said: 0 })
    }

    /// Says as much as the pipe takes.
    fn say(&mut self) {
        while let Some(end) = &self.end {
            match self.text.get(self.said..).filter(|rest| !rest.is_empty()).map(|rest| rustix::io::write(end, rest)) {
                Some(Ok(count)) => self.said += count,
                Some(Err(rustix::io::Errno::INTR)) => {}
                Some(Err(rustix::io::Errno::AGAIN)) => return,
                // Whoever does not read it has no need of it.
                None | Some(Err(_)) => self.end = None,
            }
        }
    }
}

/// Our end of a pipe; `None` after its end.
struct Pipe {
    end: Option<OwnedFd>,
    text: Zeroizing<Vec<u8>>,
    /// Octets that are kept; what follows is read and forgotten, so that the writer never blocks.
    limit: usize,
}

impl Pipe {
    fn new(end: Option<OwnedFd>, text: Zeroizing<Vec<u8>>, limit: usize) -> io::Result<Self> {
        if let Some(end) = &end {
            rustix::io::ioctl_fionbio(end, true)?;
        }
        Ok(Self { end, text, limit })
    }

    fn drain(&mut self) -> io::Result<()> {
        // A command that prints for ever still meets the deadline: one call reads no more than this.
        const ROUNDS: usize = 64;
        let mut chunk = Zeroizing::new([0; 4096]);
        for _ in 0..ROUNDS {
            let Some(end) = &self.end else { return Ok(()) };
            match read(end.as_fd(), &mut *chunk) {
                Ok(0) => self.end = None,
                Ok(count) => {
                    let room = self.limit.saturating_sub(self.text.len());
                    self.text.extend_from_slice(chunk.get(..count.min(room)).unwrap_or_default());
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

fn read(end: BorrowedFd<'_>, chunk: &mut [u8]) -> io::Result<usize> {
    Ok(rustix::io::read(end, chunk)?)
}

fn pid(child: &Child) -> Option<Pid> {
    Pid::from_raw(child.id().cast_signed())
}
