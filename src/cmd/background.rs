//! How does a run of the queue begin that nobody waits for? (a process of its own, which keeps nothing of its parent's open)

use std::{
    env,
    ffi::{OsStr, OsString},
    fs, io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Mutex, PoisonError},
    thread,
    time::Duration,
};

use super::runner::{Ended, Runner, Setting, Until, Wish};
use crate::{
    error::{Error, Exit},
    host::{
        config::{self, Origin},
        journal::{Journal, Sockets},
        narrate::Narrator,
        signals::{self, Order, Orders},
        spool::{Lead, Spool},
        world::Machine,
    },
};

/// The first word of a process that is such a run; nobody's command, and in no help.
pub const WORD: &str = "run-the-queue-in-the-background";

/// How long such a run waits for the next message to be due: servers that ask for patience (greylisting, too many connections) mean
/// some minutes. In seconds.
const PATIENCE: &str = "600";

/// Starts a run, unless one is there already; it is the leader from its first moment on, by a lock that is handed to it. It reads its
/// configuration itself, from the same place: `config` is `-C`. When this returns it is out of the caller's process group already: who
/// kills what a job has left behind (`kill -9 0`) does not mean it.
///
/// # Errors
/// The lock can't be had, or no process be started; what waits goes on waiting.
pub fn start(spool: &Spool, config: Option<&Path>) -> Result<(), Error> {
    let Some(lead) = spool.lead()? else { return Ok(()) };
    let lock = lead.into_file();
    let words = [Some(WORD.as_ref()), Some(PATIENCE.as_ref()), config.map(Path::as_os_str)];
    again(|command| {
        command.args(words.iter().flatten()).stdin(Stdio::from(lock.try_clone()?)).process_group(0);
        Ok(())
    })
    .map_err(|error| failed(&error))
}

/// Those that were started by this process and may still have to be heard of: one that takes messages for days, as `-bs` may, would keep
/// the dead ones.
static STARTED: Mutex<Vec<Child>> = Mutex::new(Vec::new());

/// Starts ourselves anew, as `prepare` says; nobody waits for it, and what it says is lost.
///
/// # Errors
/// No process can be started.
pub fn again(prepare: impl Fn(&mut Command) -> io::Result<()>) -> io::Result<()> {
    let mut started = STARTED.lock().unwrap_or_else(PoisonError::into_inner);
    started.retain_mut(|child| matches!(child.try_wait(), Ok(None)));
    let mut why = io::Error::other("the program is nowhere to be found");
    for program in programs() {
        let mut command = Command::new(program);
        command.arg0("sealpost").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        prepare(&mut command)?;
        match command.spawn() {
            // It may outlive us; then whoever adopts it hears of its end.
            Ok(child) => {
                started.push(child);
                return Ok(());
            }
            Err(error) => why = error,
        }
    }
    Err(why)
}

const DOING: &str = "starting a run of the queue";

fn failed(error: &io::Error) -> Error {
    Error::new(Exit::OsErr, DOING, error.to_string()).hint("what waits is sent by the next run: sendmail -q")
}

/// Ourselves: also where the file was replaced since, or /proc is missing.
fn programs() -> Vec<PathBuf> {
    let own = env::args_os().next().map(PathBuf::from);
    [Some(PathBuf::from("/proc/self/exe")), env::current_exe().ok(), own].into_iter().flatten().collect()
}

/// Is such a run: `words` are those behind [`WORD`], its patience and its configuration. Nobody reads what it says but the log.
pub fn run(words: &[OsString]) -> Exit {
    close_what_is_not_ours();
    // A terminal that goes, or asks, is no business of ours.
    if rustix::process::setsid().is_err() && is_passed_on(words) {
        return Exit::Ok;
    }
    signals::outlive_file_size_limit();
    let patience = words.first().and_then(|word| word.to_str()?.parse().ok()).map(Duration::from_secs);
    match drain(patience.unwrap_or_default(), words.get(1).map(OsString::as_os_str)) {
        Ok(()) => Exit::Ok,
        Err(error) => error.exit(),
    }
}

/// Who leads a process group, as each that is started does, can begin no session (setsid(2)); a child can, and has the lock with the rest.
fn is_passed_on(words: &[OsString]) -> bool {
    let started = again(|command| {
        command.arg(WORD).args(words).stdin(Stdio::inherit());
        Ok(())
    });
    started.is_ok()
}

fn drain(patience: Duration, named: Option<&OsStr>) -> Result<(), Error> {
    let mut lock = Some(take_stdin().map_err(|error| failed(&error))?);
    let orders = Orders::take().map_err(|error| failed(&error))?;
    let world = Machine;
    let mut lead = None;
    let mut place = None;
    loop {
        // Anew after each rest: somebody may have mended it.
        let config = config::load(&world, named.map(Path::new))?;
        let Some(dir) = config.queue.dir.as_deref().filter(|dir| place.get_or_insert(dir.to_path_buf()) == dir) else {
            return Ok(());
        };
        let Some(spool) = Spool::open(dir)? else { return Ok(()) };
        if let Some(lock) = lock.take() {
            lead = spool.lead_on(lock)?;
            if lead.is_none() && !patience.is_zero() {
                return Ok(());
            }
        }
        // What the environment says can't be mended, and another caller's may say something else: it is not for long.
        let patience = if config.origin == Origin::Environment { Duration::ZERO } else { patience };
        let journal = Journal::new(&config.log, None, Sockets::default());
        let narrator = Narrator::default();
        let setting = Setting { world: &world, config: &config, spool: &spool, journal: &journal, narrator: &narrator };
        let runner = Runner::new(setting, Wish::default())?;
        if run_until_told(&runner, &orders, &mut lead, patience) == Ended::Over {
            return Ok(());
        }
    }
}

/// Who ends the process lets the messages be sent to their ends that are under way: cut off, they would go again.
fn run_until_told(runner: &Runner<'_>, orders: &Orders, lead: &mut Option<Lead>, patience: Duration) -> Ended {
    thread::scope(|scope| {
        scope.spawn(|| {
            loop {
                match orders.wait() {
                    Ok(Order::Reload) => {}
                    Ok(Order::Done) => break,
                    Ok(Order::Stop) | Err(_) => break runner.stop(),
                }
            }
        });
        let ended = runner.run_for_now(lead, Until::Drained { patience });
        orders.done();
        ended
    })
}

/// The lock, which is standard input; commands that ask for passwords find nothing there.
fn take_stdin() -> io::Result<OwnedFd> {
    let lock = io::stdin().as_fd().try_clone_to_owned()?;
    rustix::stdio::dup2_stdin(fs::File::open("/dev/null")?)?;
    Ok(lock)
}

/// Closes what the caller's caller left open: a lock or a pipe that somebody waits for.
fn close_what_is_not_ours() {
    let names =
        fs::read_dir("/proc/self/fd").map(|names| names.flatten().filter_map(|name| name.file_name().to_str()?.parse().ok()));
    let open: Vec<i32> = names.map_or_else(|_| (3..256).collect(), Iterator::collect);
    for fd in open.into_iter().filter(|fd| *fd > 2) {
        // The directory itself is closed by now.
        let _ = nix::unistd::close(fd);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn started() -> Vec<u32> {
        STARTED.lock().unwrap().iter().map(Child::id).collect()
    }

    #[test]
    fn who_starts_several_keeps_none_that_is_dead() {
        let start = || {
            again(|command| {
                command.arg("--list");
                Ok(())
            })
        };
        start().unwrap();
        let first = *started().first().unwrap();
        let is_dead = || fs::read_to_string(format!("/proc/{first}/stat")).unwrap().contains(") Z ");
        while !is_dead() {
            thread::yield_now();
        }
        start().unwrap();
        assert!(!started().contains(&first) && started().len() == 1);
    }
}
