//! How does a caller talk to sendmail? All at once, or with `-bs` a line and then nothing before the reply (RFC 5321 2.1).

use std::{
    io::{BufRead, BufReader, Read, Write},
    process::{Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

/// Longest life of a session.
const LIMIT: Duration = Duration::from_secs(30);

/// Writes `input` to the program and reads its answers, all at once as a pipe demands; a program that hangs is killed.
pub(crate) fn speak(mut command: Command, input: &[u8]) -> (Option<i32>, String, String) {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let read = |mut pipe: Box<dyn Read + Send>| {
        let (tell, told) = mpsc::channel();
        thread::spawn(move || {
            let mut bytes = Vec::new();
            let _ = pipe.read_to_end(&mut bytes);
            let _ = tell.send(String::from_utf8_lossy(&bytes).into_owned());
        });
        told
    };
    let stdout = read(Box::new(child.stdout.take().unwrap()));
    let stderr = read(Box::new(child.stderr.take().unwrap()));
    let input = input.to_vec();
    let writer = thread::spawn(move || stdin.write_all(&input));
    let answers = (stdout.recv_timeout(LIMIT), stderr.recv_timeout(LIMIT));
    if answers.0.is_err() || answers.1.is_err() {
        child.kill().unwrap();
    }
    let exit = child.wait().unwrap().code();
    // A mode that reads no message may be gone before it was written.
    let _ = writer.join().unwrap();
    (exit, answers.0.unwrap_or_default(), answers.1.unwrap_or_else(|_| "hung".to_owned()))
}

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
