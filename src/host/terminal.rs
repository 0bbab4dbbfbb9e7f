//! How is a person asked on a terminal, so that whoever breaks off finds everything as it was? (termios(3), signal(7))

use std::{
    fs::File,
    io::{self, IsTerminal as _, Write as _},
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use nix::sys::signal::{SigSet, SigmaskHow, Signal, raise};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

/// Signals that break a conversation off.
const ENDS: [Signal; 4] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT];

/// Columns of a terminal that does not tell.
const USUAL: usize = 80;

/// Sees to it that an interrupted conversation leaves nothing: the terminal gets its manners back, and what is being written is
/// written to its end. The process ends by the signal all the same, as its parent expects.
pub struct Watch {
    writing: Arc<Mutex<()>>,
    manners: Option<Termios>,
}

impl Watch {
    /// From now on these signals come to a thread of their own; to be called before there are other threads.
    pub fn begin() -> Self {
        let watch = Self { writing: Arc::new(Mutex::new(())), manners: tcgetattr(io::stdin()).ok() };
        let ends: SigSet = ENDS.into_iter().collect();
        if ends.thread_block().is_ok() {
            let (writing, manners) = (Arc::clone(&watch.writing), watch.manners.clone());
            let wait = move || {
                if let Ok(signal) = ends.wait() {
                    let _written = writing.lock().unwrap_or_else(PoisonError::into_inner);
                    end_by(signal, manners.as_ref());
                }
            };
            if thread::Builder::new().name("signals".to_owned()).spawn(wait).is_err() {
                let _ = ends.thread_unblock();
            }
        }
        watch
    }

    /// Runs `write`, which no interruption cuts in two.
    pub fn whole<T>(&self, write: impl FnOnce() -> T) -> T {
        let _held = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        write()
    }

    /// Asks on the terminal for what nobody may see.
    ///
    /// # Errors
    /// There is no terminal, or it gives no answer; whoever pressed Ctrl-C ends the process here.
    pub fn secret(&self, question: &str) -> io::Result<String> {
        let answer = hidden(question);
        if answer.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::Interrupted) {
            let _written = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
            end_by(Signal::SIGINT, self.manners.as_ref());
        }
        answer
    }
}

/// Ends the process by the signal, unless it is ignored.
fn end_by(signal: Signal, manners: Option<&Termios>) {
    if let Some(manners) = manners {
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, manners);
    }
    // The prompt of whoever comes next begins a line.
    let _ = io::stderr().write_all(b"\n");
    let _ = SigSet::from_iter([signal]).thread_unblock();
    let _ = raise(signal);
}

/// Asks without echo, not even of what is typed before the question is there. The library takes Ctrl-C out of the terminal's hands and
/// raises the signal before it puts the terminal right: the signal waits until that is done.
///
/// # Errors
/// There is no terminal, or it gives no answer.
pub fn hidden(question: &str) -> io::Result<String> {
    let before = SigSet::from_iter([Signal::SIGINT]).thread_swap_mask(SigmaskHow::SIG_BLOCK);
    let terminal = File::options().read(true).write(true).open("/dev/tty");
    let manners = terminal.as_ref().ok().and_then(|terminal| tcgetattr(terminal).ok());
    let set = |manners: &Termios| terminal.as_ref().map(|terminal| tcsetattr(terminal, OptionalActions::Now, manners));
    if let Some(mut quiet) = manners.clone() {
        quiet.local_modes.remove(LocalModes::ECHO);
        let _ = set(&quiet);
    }
    let answer = rpassword::prompt_password(question);
    if let Some(manners) = &manners {
        let _ = set(manners);
    }
    if let Ok(before) = before {
        let _ = before.thread_set_mask();
    }
    answer
}

/// Whether somebody can be asked on standard input.
pub fn is_there() -> bool {
    io::stdin().is_terminal()
}

/// Columns of standard error, where it is a terminal; 80 elsewhere, and at most, for long lines read badly.
pub fn columns() -> usize {
    let told = rustix::termios::tcgetwinsize(io::stderr()).map(|size| usize::from(size.ws_col));
    told.ok().filter(|columns| *columns > 0).map_or(USUAL, |columns| columns.clamp(40, USUAL))
}

/// The next line of standard input, without its end; `None` behind the last.
///
/// # Errors
/// It can't be read, or is not UTF-8.
pub fn line() -> io::Result<Option<String>> {
    let mut line = String::new();
    let read = io::stdin().read_line(&mut line)?;
    Ok((read > 0).then(|| line.trim_end_matches(['\r', '\n']).to_owned()))
}
