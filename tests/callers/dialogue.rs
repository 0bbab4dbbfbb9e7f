//! How does a caller of `sendmail -bs` talk to it? A line, and then nothing before the reply (RFC 5321 2.1).

use std::{
    io::{BufRead, BufReader, Read, Write},
    process::{Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

/// Longest life of a session.
const LIMIT: Duration = Duration::from_secs(30);

/// Says `input` line by line, its bytes as they are, and waits for the reply that each is owed; then standard input ends.
///
/// Exit code, standard output, standard error. A program that hangs is killed.
pub(crate) fn converse(mut command: Command, input: &str) -> (Option<i32>, String, String) {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (mut stdin, mut stderr) = (child.stdin.take().unwrap(), child.stderr.take().unwrap());
    let mut replies = BufReader::new(child.stdout.take().unwrap());
    let lines: Vec<String> = input.split_inclusive('\n').map(str::to_owned).collect();
    let talk = thread::spawn(move || {
        let mut heard = reply(&mut replies);
        let mut in_data = false;
        for line in lines {
            if stdin.write_all(line.as_bytes()).is_err() {
                break;
            }
            let ends = line.trim_end() == ".";
            if !in_data || ends {
                let answer = reply(&mut replies);
                in_data = !ends && answer.starts_with("354");
                heard += &answer;
            }
        }
        drop(stdin);
        let mut rest = String::new();
        let _ = replies.read_to_string(&mut rest);
        heard + &rest
    });
    let complaints = thread::spawn(move || {
        let mut text = String::new();
        let _ = stderr.read_to_string(&mut text);
        text
    });
    let (done, over) = mpsc::channel::<()>();
    let pid = nix::unistd::Pid::from_raw(child.id().try_into().unwrap());
    let watchdog = thread::spawn(move || {
        if over.recv_timeout(LIMIT) == Err(mpsc::RecvTimeoutError::Timeout) {
            let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL);
        }
    });
    let answers = (talk.join().unwrap(), complaints.join().unwrap());
    drop(done);
    watchdog.join().unwrap();
    (child.wait().unwrap().code(), answers.0, answers.1)
}

/// One reply, all its lines; shorter where the program is gone.
fn reply(from: &mut impl BufRead) -> String {
    let mut text = String::new();
    loop {
        let begin = text.len();
        if from.read_line(&mut text).unwrap_or(0) == 0 || text.as_bytes().get(begin + 3) != Some(&b'-') {
            return text;
        }
    }
}
