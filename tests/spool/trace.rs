//! What did a process do to files and directories, as strace saw it?

use std::collections::HashMap;

/// A call that succeeded, between its begin and its end among all others.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) begun: usize,
    pub(crate) ended: usize,
    pub(crate) name: String,
    pub(crate) args: Vec<Arg>,
    pub(crate) result: i32,
}

#[derive(Clone, Debug)]
pub(crate) enum Arg {
    Text(Vec<u8>),
    Word(String),
}

impl Arg {
    pub(crate) fn number(&self) -> i64 {
        self.word().parse().unwrap_or_else(|_| panic!("{self:?} is no number"))
    }

    pub(crate) fn word(&self) -> &str {
        match self {
            Self::Word(word) => word,
            Self::Text(_) => "",
        }
    }

    pub(crate) fn text(&self) -> &[u8] {
        match self {
            Self::Text(text) => text,
            Self::Word(word) => panic!("{word} is no text"),
        }
    }
}

/// Reads the output of `strace -f -qq -xx -s LARGE`: the calls that succeeded, in the order in which they ended.
pub(crate) fn read(text: &str) -> Vec<Call> {
    let mut open: HashMap<&str, (usize, String)> = HashMap::new();
    let mut calls = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let Some((thread, rest)) = line.split_once(' ') else { continue };
        let rest = rest.trim_start();
        if let Some((begin, _)) = rest.split_once("<unfinished ...>") {
            open.insert(thread, (number, begin.to_owned()));
            continue;
        }
        let (begun, whole) = match rest.split_once(" resumed>") {
            Some((_, end)) => {
                let (begun, begin) = open.remove(thread).unwrap();
                (begun, format!("{begin}{end}"))
            }
            None => (number, rest.to_owned()),
        };
        calls.extend(call(begun, number, &whole));
    }
    calls
}

/// The calls that strace saw of one thread: name, number of that call as strace counts, and the line of the trace.
pub(crate) fn counted(text: &str) -> Vec<(String, usize, &str)> {
    let mut counts = HashMap::<&str, usize>::new();
    let names = text.lines().filter_map(|line| Some((line.split_once('(')?.0, line)));
    names
        .map(|(call, line)| {
            let nth = counts.entry(call).or_default();
            *nth += 1;
            (call.to_owned(), *nth, line)
        })
        .collect()
}

fn call(begun: usize, ended: usize, line: &str) -> Option<Call> {
    let (name, rest) = line.split_once('(')?;
    let (args, result) = rest.rsplit_once(" = ")?;
    let result: i32 = result.split(' ').next()?.parse().ok()?;
    let args = args.trim_end().strip_suffix(')')?;
    (result >= 0).then(|| Call { begun, ended, name: name.to_owned(), args: arguments(args), result })
}

/// Splits at commas, but not within brackets; texts are all in hexadecimal.
fn arguments(args: &str) -> Vec<Arg> {
    let (mut parts, mut depth, mut from) = (Vec::new(), 0, 0);
    for (at, octet) in args.bytes().enumerate() {
        match octet {
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth -= 1,
            b',' if depth == 0 => {
                parts.push(&args[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&args[from..]);
    parts.into_iter().map(|part| argument(part.trim())).collect()
}

fn argument(part: &str) -> Arg {
    let Some(hex) = part.strip_prefix('"') else { return Arg::Word(part.to_owned()) };
    assert!(hex.ends_with('"'), "the trace is cut: {}", &part[part.len() - 20..]);
    let octets = hex.trim_end_matches('"').split("\\x").skip(1);
    Arg::Text(octets.map(|hex| u8::from_str_radix(hex, 16).unwrap()).collect())
}
