//! How are many processes let go at the same moment, all of them started, with their message read but for its end?

use std::{
    fs,
    io::Write as _,
    process::{ChildStdin, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use super::Scratch;

/// Longest wait for all of them to be there.
const PATIENCE: Duration = Duration::from_secs(60);

/// Starts so many, each with a message that is small enough for its pipe; lets them go when all are blocked in reading the end of it. The
/// exit codes, and all that they said.
pub(crate) fn at_once(number: usize, make: impl Fn(usize) -> (Command, Vec<u8>)) -> (Vec<Option<i32>>, String) {
    // A pipe for each.
    sealpost::host::signals::raise_file_limit();
    let scratch = Scratch::new();
    let said = scratch.write("said", "");
    let output = || fs::File::options().append(true).open(&said).unwrap();
    let mut children = Vec::new();
    let mut inputs: Vec<ChildStdin> = Vec::new();
    for n in 0..number {
        let (mut command, message) = make(n);
        let mut child = command.stdin(Stdio::piped()).stdout(output()).stderr(output()).spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        input.write_all(&message).unwrap();
        inputs.push(input);
        children.push(child);
    }
    let deadline = Instant::now() + PATIENCE;
    while inputs.iter().any(|input| rustix::io::ioctl_fionread(input).unwrap() > 0) {
        assert!(Instant::now() < deadline, "somebody does not read");
        thread::yield_now();
    }
    drop(inputs);
    let codes = children.into_iter().map(|mut child| child.wait().unwrap().code()).collect();
    (codes, fs::read_to_string(&said).unwrap())
}
