//! Does `sealpost log --follow` show what is written while it waits, and end when nobody reads?

use std::{
    fs::{self, OpenOptions},
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use super::*;

/// More than any event takes, less than a person waits.
const PATIENCE: Duration = Duration::from_secs(30);

/// The command, killed where a test ends before it.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn new_lines_are_shown_as_they_come_through_a_rotation_and_the_end_of_the_reader_is_the_end() {
    let (sealpost, lines) = scene();
    let path = sealpost.scratch.path().join("log.jsonl");
    let mut command = Command::new(common::binary());
    command.args(["log", "--follow", "--json", "-n", "1", "--file"]).arg(&path).stdin(Stdio::null());
    let mut running = Running(command.stdout(Stdio::piped()).spawn().unwrap());
    let mut reader = BufReader::new(running.0.stdout.take().unwrap());
    let (tell, told) = mpsc::channel();
    // Reads four lines, and goes.
    let reading = thread::spawn(move || {
        for _ in 0..4 {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            tell.send(line).unwrap();
        }
    });
    let next = || told.recv_timeout(PATIENCE).expect("nothing is shown");
    let add = |text: &str| {
        OpenOptions::new().append(true).create(true).open(&path).unwrap().write_all(text.as_bytes()).unwrap();
    };
    assert_eq!(next(), lines[4]);
    // Half a line was the last: what follows begins with a newline, as the writer makes it.
    add("\n");
    add(&lines[0]);
    assert_eq!(next(), lines[0]);
    fs::rename(&path, path.with_file_name("log.jsonl.0")).unwrap();
    add(&lines[1]);
    assert_eq!(next(), lines[1]);
    add(&lines[2]);
    assert_eq!(next(), lines[2]);
    reading.join().unwrap();
    let (tell, ended) = mpsc::channel();
    thread::spawn(move || tell.send(running.0.wait().unwrap().code()));
    assert_eq!(ended.recv_timeout(PATIENCE), Ok(Some(0)));
}
