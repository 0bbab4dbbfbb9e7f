//! Is nothing lost and nothing half there, whenever the power goes?
//!
//! What a process did is replayed call by call. After each, the power goes: what an fsync covered is there, and of all the rest any
//! part may be there, data without names and names without data, old names beside new ones, lengths without content.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::Path,
};

use sealpost::host::spool::Spool;

use crate::{
    kit::{again, errand, has},
    story::{self, Progress},
    trace::{self, Arg, Call},
};

const PLACE: &str = "SPOOL_TEST_POWER";
const TEST: &str = "power::whenever_the_power_goes_every_message_is_whole_and_where_it_was_said_to_be";

const CALLS: &str = "mkdir,mkdirat,open,openat,dup,fcntl,write,pwrite64,ftruncate,utimensat,fsync,fdatasync,rename,renameat,renameat2,\
link,linkat,unlink,unlinkat";

/// How many ways the power can go after each call that are tried, besides "nothing else is there" and "all is".
const WAYS: u64 = 12;

/// A change that the disk may not know yet, and when it was made.
#[derive(Clone, Debug)]
enum Change {
    Write(usize, Vec<u8>),
    Cut(usize),
    Name(Vec<u8>, usize),
    NoName(Vec<u8>),
}

#[derive(Clone, Debug, Default)]
struct Node {
    is_directory: bool,
    /// When each was made; the ones before `sure` are on the disk.
    changes: Vec<(usize, Change)>,
    sure: usize,
}

/// Files and directories by number (0 is where all happens), and what descriptors are open.
struct Disk {
    root: String,
    nodes: Vec<Node>,
    /// With the place in the file.
    open: HashMap<i64, (usize, usize)>,
}

impl Disk {
    fn new(root: &Path) -> Self {
        let top = Node { is_directory: true, ..Node::default() };
        Self { root: root.to_str().unwrap().to_owned(), nodes: vec![top], open: HashMap::new() }
    }

    /// What a running process sees.
    fn names(&self, directory: usize) -> BTreeMap<&[u8], usize> {
        let mut names = BTreeMap::new();
        for (_, change) in &self.nodes[directory].changes {
            match change {
                Change::Name(name, node) => names.insert(name.as_slice(), *node),
                Change::NoName(name) => names.remove(name.as_slice()),
                _ => None,
            };
        }
        names
    }

    /// The directory that a path names something in, and that name; `None`: it is not here.
    fn resolve(&self, at: Option<i64>, path: &[u8]) -> Option<(usize, Vec<u8>)> {
        let (mut directory, path) = match path.strip_prefix(self.root.as_bytes()) {
            Some(rest) => (0, rest.strip_prefix(b"/").unwrap_or(rest)),
            None if path.starts_with(b"/") => return None,
            None => (self.open.get(&at?)?.0, path),
        };
        let mut parts: Vec<&[u8]> = path.split(|octet| *octet == b'/').collect();
        let last = parts.pop()?;
        for part in parts {
            directory = *self.names(directory).get(part)?;
        }
        Some((directory, last.to_vec()))
    }

    fn change(&mut self, node: usize, when: usize, change: Change) {
        self.nodes[node].changes.push((when, change));
    }

    /// Takes in a call that ended as number `when`.
    fn take(&mut self, call: &Call, when: usize) {
        let at = |nth: usize| call.args[nth].word().parse().ok();
        match call.name.as_str() {
            "mkdir" => self.make(None, call.args[0].text(), when, true),
            "mkdirat" => self.make(at(0), call.args[1].text(), when, true),
            "open" => self.opened(None, &call.args[0], &call.args[1], call, when),
            "openat" => self.opened(at(0), &call.args[1], &call.args[2], call, when),
            "dup" | "fcntl" if call.name == "dup" || call.args[1].word().starts_with("F_DUPFD") => {
                if let Some(open) = self.open.get(&call.args[0].number()).copied() {
                    self.open.insert(call.result.into(), open);
                }
            }
            "write" => {
                if let Some((node, place)) = self.open.get_mut(&call.args[0].number()) {
                    let (node, from) = (*node, *place);
                    let octets = call.args[1].text()[..usize::try_from(call.result).unwrap()].to_vec();
                    *place += octets.len();
                    self.change(node, when, Change::Write(from, octets));
                }
            }
            "pwrite64" => {
                let (node, _) = *self.open.get(&call.args[0].number()).unwrap_or_else(|| panic!("{call:?} on what?"));
                let octets = call.args[1].text()[..usize::try_from(call.result).unwrap()].to_vec();
                self.change(node, when, Change::Write(usize::try_from(call.args[3].number()).unwrap(), octets));
            }
            "ftruncate" => {
                let (node, _) = *self.open.get(&call.args[0].number()).unwrap_or_else(|| panic!("{call:?} on what?"));
                self.change(node, when, Change::Cut(usize::try_from(call.args[1].number()).unwrap()));
            }
            "renameat2" | "linkat" => self.renamed(call, when),
            "unlinkat" => {
                if let Some((directory, name)) = self.resolve(at(0), call.args[1].text()) {
                    self.change(directory, when, Change::NoName(name));
                }
            }
            "fsync" | "fdatasync" => {
                if let Some((node, _)) = self.open.get(&call.args[0].number()) {
                    // What ended before it began.
                    let node = &mut self.nodes[*node];
                    node.sure = node.changes.iter().take_while(|(when, _)| *when < call.begun).count().max(node.sure);
                }
            }
            "utimensat" | "fcntl" => {}
            other => panic!("what does {other} do?"),
        }
    }

    fn make(&mut self, at: Option<i64>, path: &[u8], when: usize, is_directory: bool) {
        let Some((directory, name)) = self.resolve(at, path) else { return };
        self.nodes.push(Node { is_directory, ..Node::default() });
        self.change(directory, when, Change::Name(name, self.nodes.len() - 1));
    }

    fn opened(&mut self, at: Option<i64>, path: &Arg, flags: &Arg, call: &Call, when: usize) {
        let path = path.text();
        self.open.remove(&call.result.into());
        if path == self.root.as_bytes() {
            self.open.insert(call.result.into(), (0, 0));
            return;
        }
        let Some((directory, name)) = self.resolve(at, path) else { return };
        if name.is_empty() || name == b"." {
            self.open.insert(call.result.into(), (directory, 0));
            return;
        }
        if flags.word().contains("O_CREAT") && !self.names(directory).contains_key(name.as_slice()) {
            self.make(at, path, when, false);
        }
        // Another thread may have renamed or removed it while this call was on its way; then the lock tells its opener so.
        let Some(node) = self.names(directory).get(name.as_slice()).copied() else { return };
        self.open.insert(call.result.into(), (node, 0));
    }

    fn renamed(&mut self, call: &Call, when: usize) {
        let at = |nth: usize| call.args[nth].word().parse().ok();
        let Some((from, old)) = self.resolve(at(0), call.args[1].text()) else { return };
        let (to, new) = self.resolve(at(2), call.args[3].text()).unwrap();
        let node = self.names(from)[old.as_slice()];
        // Two changes, of which a power cut may leave either alone.
        self.change(to, when, Change::Name(new, node));
        if call.name != "linkat" {
            self.change(from, when, Change::NoName(old));
        }
    }

    /// Builds in `place` what is left after a power cut.
    fn remains(&self, place: &Path, way: &mut Way) {
        let mut made = HashMap::new();
        self.build(0, place, way, &mut made);
    }

    fn build(&self, directory: usize, place: &Path, way: &mut Way, made: &mut HashMap<usize, std::path::PathBuf>) {
        let node = &self.nodes[directory];
        let mut names = BTreeMap::new();
        for (number, (_, change)) in node.changes.iter().enumerate() {
            if number < node.sure || way.keeps() {
                match change {
                    Change::Name(name, node) => names.insert(name.as_slice(), *node),
                    Change::NoName(name) => names.remove(name.as_slice()),
                    _ => None,
                };
            }
        }
        for (name, number) in names {
            let path = place.join(std::str::from_utf8(name).unwrap());
            if self.nodes[number].is_directory {
                use std::os::unix::fs::DirBuilderExt as _;
                fs::DirBuilder::new().mode(0o700).create(&path).unwrap();
                self.build(number, &path, way, made);
            } else if let Some(first) = made.get(&number) {
                fs::hard_link(first, &path).unwrap();
            } else {
                fs::write(&path, self.nodes[number].content(way)).unwrap();
                made.insert(number, path);
            }
        }
    }
}

impl Node {
    fn content(&self, way: &mut Way) -> Vec<u8> {
        let mut content = Vec::new();
        for (number, (_, change)) in self.changes.iter().enumerate() {
            let is_sure = number < self.sure;
            match change {
                Change::Write(from, octets) => {
                    let octets = if is_sure { octets.clone() } else { way.tear(octets) };
                    let end = from + octets.len();
                    if !octets.is_empty() {
                        content.resize(content.len().max(end), 0);
                        content[*from..end].copy_from_slice(&octets);
                    }
                }
                Change::Cut(length) if is_sure || way.keeps() => content.resize(*length, 0),
                _ => {}
            }
        }
        content
    }
}

/// What happens to what is not sure.
enum Way {
    Nothing,
    All,
    /// By dice (xorshift).
    Some(u64),
}

impl Way {
    fn number(number: u64, prefix: usize) -> Self {
        match number {
            0 => Self::Nothing,
            1 => Self::All,
            _ => Self::Some((number << 32 | prefix as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1),
        }
    }

    fn dice(&mut self, sides: u64) -> u64 {
        match self {
            Self::Nothing => 0,
            Self::All => 1,
            Self::Some(state) => {
                *state ^= *state << 13;
                *state ^= *state >> 7;
                *state ^= *state << 17;
                (*state >> 11) % sides
            }
        }
    }

    fn keeps(&mut self) -> bool {
        self.dice(2) == 1
    }

    /// All of a write, nothing, its beginning, zeros, or some sectors of it.
    fn tear(&mut self, octets: &[u8]) -> Vec<u8> {
        match self.dice(5) {
            0 => Vec::new(),
            1 => octets.to_vec(),
            2 => octets[..usize::try_from(self.dice(octets.len().max(1) as u64)).unwrap()].to_vec(),
            3 => vec![0; octets.len()],
            _ => {
                let mut torn = octets.to_vec();
                for sector in torn.chunks_mut(512.min(octets.len() / 3 + 1)) {
                    if self.keeps() {
                        sector.fill(0);
                    }
                }
                torn
            }
        }
    }
}

/// Where many small files are made quickly.
fn workshop() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() {
        tempfile::tempdir_in(memory).or_else(|_| tempfile::tempdir()).unwrap()
    } else {
        tempfile::tempdir().unwrap()
    }
}

/// Lets the power go after each call, in several ways; what is wrong afterwards, and how often that was looked at.
fn lose_power(calls: &[Call], root: &Path) -> (Vec<String>, usize) {
    let (mut disk, mut progress) = (Disk::new(root), Progress::default());
    let (mut wrong, mut looked) = (Vec::new(), 0);
    let workshop = workshop();
    let log = root.join("log");
    let mut log_fd = None;
    for call in calls {
        if call.name == "openat" && call.args[1].text() == log.to_str().unwrap().as_bytes() {
            log_fd = Some(i64::from(call.result));
            continue;
        }
        if log_fd.is_some() && call.name == "write" && log_fd == Some(call.args[0].number()) {
            progress.take(std::str::from_utf8(call.args[1].text()).unwrap().trim_end());
        } else {
            disk.take(call, call.ended);
        }
        for number in 0..WAYS + 2 {
            let place = workshop.path().join("remains");
            fs::create_dir(&place).unwrap();
            disk.remains(&place, &mut Way::number(number, looked));
            looked += 1;
            if let Err(why) = story::judge(&place.join("spool"), &progress) {
                wrong.push(format!("after {}{:?}, way {number}: {why}", call.name, call.args.first()));
            }
            fs::remove_dir_all(&place).unwrap();
        }
    }
    (wrong, looked)
}

#[test]
fn whenever_the_power_goes_every_message_is_whole_and_where_it_was_said_to_be() {
    if let Some(place) = errand(PLACE) {
        let log = story::log(&Path::new(&place).join("log"));
        let spool = Spool::make(&Path::new(&place).join("spool")).unwrap();
        let other = Spool::make(&Path::new(&place).join("spool")).unwrap();
        std::thread::scope(|scope| {
            for (n, life) in story::lives() {
                let (spool, log) = (if n == 4 { &other } else { &spool }, &log);
                scope.spawn(move || story::live(spool, n, &life, log));
            }
        });
        return;
    }
    if !has("strace", TEST) {
        return;
    }
    let scratch = tempfile::tempdir().unwrap();
    let (place, file) = (scratch.path().join("0"), scratch.path().join("trace"));
    fs::create_dir(&place).unwrap();
    let calls = format!("trace={CALLS}");
    let wrapper = ["strace", "-f", "-qq", "-xx", "-s", "1000000", "-e", &calls, "-o", file.to_str().unwrap()];
    let run = again(&wrapper, TEST, &[(PLACE, place.to_str().unwrap())]);
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let calls = trace::read(&fs::read_to_string(&file).unwrap());
    assert!(calls.iter().filter(|call| call.name == "fsync").count() > 20, "is this the trace?");
    let (wrong, looked) = lose_power(&calls, &place);
    assert!(wrong.is_empty() && looked > 1000, "{looked}\n{}", wrong.join("\n"));

    // Without what makes it sure, the same shows a loss: this test can fail.
    let is_directory = |fd: i64| {
        calls
            .iter()
            .any(|call| i64::from(call.result) == fd && call.name == "openat" && call.args[2].word().contains("O_DIRECTORY"))
    };
    for directories in [false, true] {
        let left: Vec<Call> = calls
            .iter()
            .filter(|call| call.name != "fsync" || is_directory(call.args[0].number()) != directories)
            .cloned()
            .collect();
        assert!(left.len() < calls.len() && !lose_power(&left, &place).0.is_empty(), "no fsync of directories: {directories}");
    }
}
