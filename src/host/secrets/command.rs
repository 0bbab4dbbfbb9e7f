//! What does a password command print, and how is one that hangs or fails dealt with?

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

use super::{LONGEST, buffer};
use crate::{
    error::{Error, Exit},
    host::world::World,
};

/// How much of what the command complains about is passed on, in octets.
pub(super) const COMPLAINT: usize = 1024;

/// How long to wait before asking again whether the command ended, where the kernel can't wake us (before Linux 5.3).
const GLANCE: Duration = Duration::from_millis(20);

/// Variables, by how they begin, that hold secrets of ours: the command has no need of them.
const HIDDEN: [&str; 3] = ["SEALPOST_PASSWORD", "SMTP_PASS", "SMTP_AUTH_PASSWORD"];

/// Runs `command` by the shell and returns what it printed, as far as a secret may be long.
///
/// # Errors
/// `EX_TEMPFAIL`: it can't be run, failed (with what it said on stderr), or took longer than `patience`; then it is killed
/// together with its children.
pub(super) fn output(world: &dyn World, command: &str, patience: Duration, doing: &str) -> Result<Zeroizing<Vec<u8>>, Error> {
    let failed = |because: String| Error::new(Exit::TempFail, doing, because);
    let mut shell = Command::new("/bin/sh");
    shell.arg("-c").arg(command).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    for name in hidden(world) {
        shell.env_remove(name);
    }
    let mut running = Running::start(&mut shell).map_err(|error| failed(format!("the command can't be run: {error}")))?;
    let status = match running.wait(Instant::now() + patience) {
        Ok(Some(status)) => status,
        Ok(None) => {
            running.kill();
            let because = format!("the command did not end within {} s", patience.as_secs());
            return Err(
                failed(because).hint("it must not wait for somebody: does it ask on the terminal, or for a locked keyring?")
            );
        }
        Err(error) => {
            running.kill();
            return Err(failed(format!("the command can't be followed: {error}")));
        }
    };
    if status.success() {
        return Ok(std::mem::replace(&mut running.stdout.text, Zeroizing::new(Vec::new())));
    }
    let complaint = complaint(&String::from_utf8_lossy(&running.stderr.text), &String::from_utf8_lossy(&running.stdout.text));
    let complaint = if complaint.is_empty() { String::new() } else { format!(": {complaint}") };
    Err(failed(format!("the command failed ({status}){complaint}")).hint("run it by hand, as the same user, to see why"))
}

/// What the command said on stderr, in one line, without what it printed: a shell that traces (`set -x`) says the secret again.
fn complaint(said: &str, printed: &str) -> String {
    let secret = printed.lines().next().unwrap_or_default().trim();
    let said = if secret.is_empty() { said.to_owned() } else { said.replace(secret, "***") };
    said.trim().replace('\n', " / ")
}

/// The names of variables that hold secrets.
pub(super) fn hidden(world: &dyn World) -> impl Iterator<Item = String> {
    world.env_names().into_iter().filter(|name| HIDDEN.iter().any(|hidden| name.starts_with(hidden)))
}

/// A command and what has been read of it so far.
struct Running {
    child: Child,
    ended: Option<OwnedFd>,
    stdout: Pipe,
    stderr: Pipe,
}

impl Running {
    fn start(shell: &mut Command) -> io::Result<Self> {
        let mut child = shell.spawn()?;
        let ended = pid(&child).and_then(|pid| rustix::process::pidfd_open(pid, PidfdFlags::empty()).ok());
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let stdout = Pipe::new(stdout.map(OwnedFd::from), buffer(), LONGEST + 2)?;
        let stderr = Pipe::new(stderr.map(OwnedFd::from), Zeroizing::new(Vec::with_capacity(COMPLAINT)), COMPLAINT)?;
        Ok(Self { child, ended, stdout, stderr })
    }

    /// Reads until the command ends; `None` when it has not by `deadline`.
    ///
    /// Its own end counts, not that of its output, which an agent started on the way (gpg-agent) may keep open for days.
    fn wait(&mut self, deadline: Instant) -> io::Result<Option<ExitStatus>> {
        loop {
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
