//! How does a test sit at a terminal? (pty(7))

use std::{
    fs::File,
    io::{Read as _, Write as _},
    os::unix::process::ExitStatusExt as _,
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::{Duration, Instant},
};

use rustix::{
    process::{Pid, Signal, kill_process},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize},
};

/// No answer takes longer.
const PATIENCE: Duration = Duration::from_secs(20);

/// A terminal of 80 columns with a program that has it to itself.
pub(crate) struct Terminal {
    master: File,
    shown: Receiver<Vec<u8>>,
    /// What was shown and not waited for yet.
    unread: String,
    /// All that was shown.
    pub(crate) screen: String,
    child: Child,
}

impl Terminal {
    /// Starts the command there; setsid(1) makes it the terminal of its session, for Ctrl-C.
    pub(crate) fn start(command: &Command) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        tcsetwinsize(&master, Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
        let slave = File::options().read(true).write(true).open(ptsname(&master, Vec::new()).unwrap().to_str().unwrap()).unwrap();
        let stream = || Stdio::from(slave.try_clone().unwrap());
        let mut within = Command::new("setsid");
        within.arg("--ctty").arg(command.get_program()).args(command.get_args()).env_clear();
        within.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let child = within.stdin(stream()).stdout(stream()).stderr(stream()).spawn().unwrap();
        drop(slave);
        let master = File::from(master);
        let (tell, shown) = channel();
        let mut reading = master.try_clone().unwrap();
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            // A terminal without a program is an error to read.
            while let Ok(count @ 1..) = reading.read(&mut buffer) {
                let _ = tell.send(buffer[..count].to_vec());
            }
        });
        Self { master, shown, unread: String::new(), screen: String::new(), child }
    }

    /// Waits until `text` is shown, and forgets what stands before its end.
    pub(crate) fn until(&mut self, text: &str) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(at) = self.unread.find(text) {
                self.unread.drain(..at + text.len());
                return;
            }
            assert!(self.read(deadline), "{text:?} is not shown:\n{}", self.screen);
        }
    }

    /// Reads what is shown next; false where nothing more is.
    fn read(&mut self, deadline: Instant) -> bool {
        let Ok(octets) = self.shown.recv_timeout(deadline.saturating_duration_since(Instant::now())) else { return false };
        let text = String::from_utf8_lossy(&octets).replace('\r', "");
        self.unread.push_str(&text);
        self.screen.push_str(&text);
        true
    }

    /// Waits for a question, and answers it.
    pub(crate) fn answer(&mut self, question: &str, answer: &str) {
        self.until(question);
        self.press(&format!("{answer}\n"));
    }

    /// Waits for a question whose answer is not shown, and for the terminal to be silent, and answers it.
    pub(crate) fn whisper(&mut self, question: &str, answer: &str) {
        self.until(question);
        self.await_echo(false);
        self.press(&format!("{answer}\r"));
    }

    pub(crate) fn press(&mut self, keys: &str) {
        self.master.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits until what is typed is shown, or is not.
    pub(crate) fn await_echo(&self, wanted: bool) {
        let deadline = Instant::now() + PATIENCE;
        while self.echoes() != wanted {
            assert!(Instant::now() < deadline, "the terminal's echo is not {wanted}");
            thread::yield_now();
        }
    }

    /// Whether what is typed is shown, or still edited as a line: what comes between the two is lost on who asks for a password.
    pub(crate) fn echoes(&self) -> bool {
        tcgetattr(&self.master).unwrap().local_modes.intersects(LocalModes::ECHO | LocalModes::ICANON)
    }

    /// The whole of how the terminal behaves.
    pub(crate) fn manners(&self) -> String {
        format!("{:?}", tcgetattr(&self.master).unwrap())
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for the end: the code, or the signal as a negative number.
    pub(crate) fn end(&mut self) -> i32 {
        let deadline = Instant::now() + PATIENCE;
        // Nothing more is shown when nobody has the terminal open.
        while self.read(deadline) {}
        assert!(Instant::now() < deadline, "still running:\n{}", self.screen);
        let status = self.child.wait().unwrap();
        status.code().or_else(|| status.signal().map(|signal| -signal)).unwrap()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
