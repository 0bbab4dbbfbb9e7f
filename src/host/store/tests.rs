//! Does what was read come out again, once and for all, in constant memory?

use std::{
    fs::File,
    io::{self, Read, Write},
    os::fd::AsFd,
    path::PathBuf,
};

use proptest::{collection::vec, prelude::*, sample::select};

use super::*;
use crate::{
    mail::content::{Content, Form},
    smtp::wire::CrlfNormaliser,
};

fn options() -> Options {
    Options { limit: 100 << 20, ignore_dots: false, temp_dir: None }
}

fn read(input: &[u8]) -> Draft {
    read_with(input, &options()).unwrap()
}

fn read_with(mut input: &[u8], options: &Options) -> Result<Draft, Error> {
    Intake::read(Input::Stream(&mut input), options)
}

fn finish(draft: Draft) -> Result<Message, Error> {
    draft.complete(&Completion {
        trace: None,
        date: &|| "D".to_owned(),
        message_id: &|| "<M>".to_owned(),
        from: &|| "F".to_owned(),
        authority: None,
        qualify: &|_| None,
        unstructured: &str::to_owned,
        phrase: &str::to_owned,
        gateway: true,
    })
}

/// The whole message in blocks of `limit`, each checked against it.
fn say(message: &mut Message, form: Form, limit: usize) -> io::Result<Vec<u8>> {
    let size = message.rewind(form)?;
    let mut out = Vec::new();
    loop {
        let before = out.len();
        let last = message.fill(&mut out, limit)?;
        assert!(out.len() - before <= limit);
        if last {
            assert_eq!(out.len() as u64, size);
            return Ok(out);
        }
        assert!(out.len() > before, "each block brings something");
    }
}

fn wire(input: &[u8]) -> String {
    let out = say(&mut finish(read(input)).unwrap(), Form::EightBit, 1 << 20).unwrap();
    String::from_utf8(out).unwrap()
}

/// A file with a name, removed in the end.
struct Named(PathBuf);

impl Named {
    fn new(name: &str, content: &[u8]) -> (Self, File) {
        let path = std::env::temp_dir().join(format!("sealpost-test-{}-{name}", std::process::id()));
        std::fs::write(&path, content).unwrap();
        (Self(path.clone()), File::open(path).unwrap())
    }
}

impl Drop for Named {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn every_line_end_becomes_crlf() {
    let table: &[(&str, &str)] = &[
        ("To: a\r\n\r\nx\r\ny\r\n", "To: a\r\n\r\nx\r\ny\r\n"),
        ("To: a\n\nx\ny\n", "To: a\r\n\r\nx\r\ny\r\n"),
        ("To: a\r\nCc: b\n\nx\r\ny\n", "To: a\r\nCc: b\r\n\r\nx\r\ny\r\n"),
        ("To: a\n\nx\ry\r\r\nz", "To: a\r\n\r\nx\r\ny\r\nz\r\n"),
        ("To: a\n\nx\n\n\n", "To: a\r\n\r\nx\r\n\r\n\r\n"),
        ("To: a\n\nx\0y\n", "To: a\r\n\r\nxy\r\n"),
        ("To: a\n\n\x1b\x07\x1a\x04\n", "To: a\r\n\r\n\x1b\x07\x1a\x04\r\n"),
        ("To: a\n\nFrom x\n", "To: a\r\n\r\nFrom x\r\n"),
        ("", "\r\n"),
        ("text", "\r\ntext\r\n"),
        ("To: a", "To: a\r\n\r\n"),
        ("To: a\njunk", "To: a\r\n\r\njunk\r\n"),
        ("Bcc: a\n\nx", "\r\nx\r\n"),
    ];
    for (input, want) in table {
        assert_eq!(wire(input.as_bytes()), *want, "{input:?}");
    }
}

#[test]
fn a_lone_dot_is_text_unless_it_is_last_or_typed() {
    let table: &[(&str, &str, &str, &str)] = &[
        // input, dots are text, the last one is dropped, the first one ends
        ("a\n.\nb\n", "a\n.\nb\n", "a\n.\nb\n", "a\n"),
        ("a\n.\r\nb\n", "a\n.\nb\n", "a\n.\nb\n", "a\n"),
        ("a\n.\n", "a\n.\n", "a\n", "a\n"),
        ("a\n.\r\n", "a\n.\n", "a\n", "a\n"),
        ("a\n.", "a\n.\n", "a\n", "a\n"),
        ("a\n..\nb", "a\n..\nb\n", "a\n..\nb\n", "a\n..\nb\n"),
        ("a\n..", "a\n..\n", "a\n..\n", "a\n..\n"),
        ("a\n.\n\n", "a\n.\n\n", "a\n.\n\n", "a\n"),
        (".\n", ".\n", "", ""),
        (".", ".\n", "", ""),
        ("", "", "", ""),
    ];
    for head in ["", "To: a\n\n"] {
        for (input, text, last, end) in table {
            for (dots, want) in [(Dots::Text, text), (Dots::DropLast, last), (Dots::End, end)] {
                let input = format!("{head}{input}");
                let mut intake = Intake {
                    limit: 1000,
                    dots,
                    taken: 0,
                    opening: Some(Opening::default()),
                    header: Header::default(),
                    scan: Scan::default(),
                    hold: Hold::memory(None),
                };
                for chunk in input.as_bytes().chunks(3) {
                    if !intake.push(chunk).unwrap() {
                        break;
                    }
                }
                let out = say(&mut finish(intake.finish().unwrap()).unwrap(), Form::EightBit, 100).unwrap();
                let want = if head.is_empty() { format!("\n{want}") } else { format!("{head}{want}") };
                assert_eq!(String::from_utf8(out).unwrap().replace("\r\n", "\n"), want, "{input:?} {dots:?}");
            }
        }
    }
    let draft = read_with(b"a\n.\n", &Options { ignore_dots: true, ..options() }).unwrap();
    assert_eq!(draft.tally().lone_dots, 1);
}

#[test]
fn the_fields_can_be_asked_for_before_completion() {
    let draft = read(b"To: a\nBCC : b,\n c\n\nTo: no\n");
    let fields: Vec<_> = draft.fields().map(|f| (f.name.to_owned(), f.text())).collect();
    assert_eq!(fields, [("To".to_owned(), "a".to_owned()), ("BCC".to_owned(), "b, c".to_owned())]);
    assert!(!draft.is_empty() && read(b"").is_empty());
}

#[test]
fn a_message_over_the_limit_is_refused_and_its_writer_can_finish() {
    let limit = Options { limit: 1000, ..options() };
    assert!(read_with(&b"a".repeat(998), &limit).is_ok());
    for long in [b"a".repeat(1001), [b"a", &b"\r".repeat(600)[..]].concat(), b"X-A: b\n".repeat(200)] {
        assert_eq!(read_with(&long, &limit).unwrap_err().exit(), Exit::DataErr);
    }
    let (source, mut sink) = io::pipe().unwrap();
    let writer = std::thread::spawn(move || sink.write_all(&vec![b'a'; 3 << 20]));
    let error = Intake::read(Input::Descriptor(source.as_fd()), &limit).unwrap_err();
    assert!(error.summary().contains("1000 octets") && error.advice().is_some(), "{error}");
    writer.join().unwrap().unwrap();
}

#[test]
fn a_header_without_end_is_refused() {
    let error = read_with(&b"To: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n".repeat(30_000), &options()).unwrap_err();
    assert_eq!(error.exit(), Exit::DataErr);
}

#[test]
fn an_input_that_is_not_there_is_told_from_one_that_breaks() {
    let only_writable = File::options().write(true).open("/dev/null").unwrap();
    let closed = Intake::read(Input::Descriptor(only_writable.as_fd()), &options()).unwrap_err();
    assert_eq!(closed.exit(), Exit::NoInput);
    let directory = File::open("/").unwrap();
    assert_eq!(Intake::read(Input::Descriptor(directory.as_fd()), &options()).unwrap_err().exit(), Exit::NoInput);

    let broken = Intake::read(Input::Stream(&mut Broken(0)), &options()).unwrap_err();
    assert_eq!(broken.exit(), Exit::IoErr);
    assert!(broken.summary().contains("the disk is gone"));
}

#[test]
fn a_pipe_that_does_not_block_is_waited_for() {
    let (source, mut sink) = io::pipe().unwrap();
    rustix::fs::fcntl_setfl(&source, rustix::fs::OFlags::NONBLOCK).unwrap();
    let (ready, wait) = std::sync::mpsc::channel::<()>();
    let writer = std::thread::spawn(move || {
        wait.recv().unwrap();
        sink.write_all(b"To: a\n\nlate\n").unwrap();
    });
    ready.send(()).unwrap();
    let draft = Intake::read(Input::Descriptor(source.as_fd()), &options()).unwrap();
    writer.join().unwrap();
    assert_eq!(draft.tally().size, 6);
}

#[test]
fn a_large_file_is_sent_from_where_it_is_and_from_its_offset() {
    let body = b"line of text\n".repeat(50_000);
    let (_keep, mut file) = Named::new("large", &[b"skipped\nFrom x 10:00\nTo: a\n\n", &body[..], b".\n"].concat());
    file.read_exact(&mut [0; 8]).unwrap();
    let draft = Intake::read(Input::Descriptor(file.as_fd()), &options()).unwrap();
    assert_eq!(io::Seek::stream_position(&mut file).unwrap(), 8 + 13 + 7 + body.len() as u64 + 2);
    let mut message = finish(draft).unwrap();
    let want = format!("To: a\r\n\r\n{}", "line of text\r\n".repeat(50_000));
    for limit in [1 << 18, 4096, 100_001] {
        assert!(say(&mut message, Form::EightBit, limit).unwrap() == want.as_bytes());
    }
}

#[test]
fn a_file_that_changes_between_the_two_passes_is_never_sent_whole() {
    let body = b"line of text\n".repeat(50_000);
    let shorter = &body[..body.len() / 2];
    let joined: Vec<u8> = body.iter().map(|c| if *c == b'\n' { b' ' } else { *c }).collect();
    let doubled: Vec<u8> = body.iter().map(|c| if *c == b' ' { b'\n' } else { *c }).collect();
    for (i, changed) in [shorter, &joined, &doubled].into_iter().enumerate() {
        let (keep, file) = Named::new(&format!("changed-{i}"), &[b"To: a\n\n", &body[..]].concat());
        let mut message = finish(Intake::read(Input::Descriptor(file.as_fd()), &options()).unwrap()).unwrap();
        std::fs::write(&keep.0, [b"To: a\n\n", changed].concat()).unwrap();
        let (size, mut out) = (message.rewind(Form::EightBit).unwrap(), Vec::new());
        let end = loop {
            match message.fill(&mut out, 1 << 16) {
                Ok(true) => panic!("change {i} was not noticed"),
                Ok(false) => {}
                Err(e) => break e,
            }
        };
        assert!(end.to_string().contains("input file"), "{end}");
        assert!(out.len() as u64 <= size + (1 << 16));
    }
}

#[test]
fn a_file_that_grows_is_sent_as_it_was() {
    let body = b"line of text\n".repeat(50_000);
    let (keep, file) = Named::new("grows", &body);
    let mut message = finish(Intake::read(Input::Descriptor(file.as_fd()), &options()).unwrap()).unwrap();
    File::options().append(true).open(&keep.0).unwrap().write_all(b"more\n").unwrap();
    assert_eq!(say(&mut message, Form::EightBit, 1 << 18).unwrap().len(), 2 + 50_000 * 14);
}

#[test]
fn a_message_can_be_said_again_after_half_of_it() {
    let mut message = finish(read(format!("To: a\n\n{}", "für\n".repeat(100)).as_bytes())).unwrap();
    let whole = say(&mut message, Form::EightBit, 1000).unwrap();
    message.rewind(Form::SevenBit).unwrap();
    message.fill(&mut Vec::new(), 300).unwrap();
    assert_eq!(say(&mut message, Form::EightBit, 77).unwrap(), whole);
    let seven = say(&mut message, Form::SevenBit, 100).unwrap();
    assert!(seven.is_ascii() && String::from_utf8(seven.clone()).unwrap().ends_with("f=C3=BCr\r\n"));
    assert_eq!(say(&mut message, Form::SevenBit, 1 << 18).unwrap(), seven);
    assert_eq!(message.facts().size, whole.len() as u64);
    assert!(message.facts().eight_bit);
}

#[test]
fn facts_speak_of_the_message_after_what_is_always_done() {
    let long = format!("To: a\n\n{}\n", "ü".repeat(600));
    let mut message = finish(read(long.as_bytes())).unwrap();
    let out = say(&mut message, Form::EightBit, 1 << 18).unwrap();
    assert!(out.is_ascii());
    assert_eq!((message.facts().size, message.facts().eight_bit), (out.len() as u64, false));
}

#[test]
fn a_signed_part_that_would_have_to_change_is_refused_in_time() {
    let signed = |text: &str| format!("Content-Type: multipart/signed; boundary=b\n\n--b\n\n{text}\n--b\n\nsig\n--b--\n");
    let error = finish(read(signed(&"a".repeat(999)).as_bytes())).unwrap_err();
    assert_eq!(error.exit(), Exit::DataErr);
    assert!(error.summary().contains("signed"), "{error}");
    let mut message = finish(read(signed("ü").as_bytes())).unwrap();
    assert_eq!(message.rewind(Form::SevenBit).unwrap_err().kind(), io::ErrorKind::InvalidData);
    assert!(say(&mut message, Form::EightBit, 100).is_ok());
}

#[test]
fn a_large_message_takes_no_more_memory_than_a_small_one() {
    let line = b"a line of seventy-six octets, as base64 and well-behaved mail programs do.....\n";
    let mut source = io::Read::take(Repeat(line), 50 << 20);
    let mut message = finish(Intake::read(Input::Stream(&mut source), &options()).unwrap()).unwrap();
    assert!(message.rewind(Form::EightBit).unwrap() > 50 << 20);
    let (mut out, mut sent) = (Vec::with_capacity(1 << 18), 0u64);
    loop {
        out.clear();
        let last = message.fill(&mut out, 1 << 18).unwrap();
        assert!(out.capacity() == 1 << 18, "the block does not grow");
        sent += out.len() as u64;
        if last {
            break;
        }
    }
    assert_eq!(sent, message.facts().size);
}

/// Interrupted, then a line, then an error.
struct Broken(usize);
impl Read for Broken {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0 += 1;
        match self.0 {
            1 => Err(io::ErrorKind::Interrupted.into()),
            2 => {
                buffer[..2].copy_from_slice(b"a\n");
                Ok(2)
            }
            _ => Err(io::Error::other("the disk is gone")),
        }
    }
}

/// The same line for ever.
struct Repeat(&'static [u8]);

impl Read for Repeat {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let whole = buffer.len() / self.0.len() * self.0.len();
        buffer[..whole].chunks_mut(self.0.len()).for_each(|c| c.copy_from_slice(self.0));
        Ok(whole)
    }
}

proptest! {
    #[test]
    fn a_message_comes_out_as_the_normaliser_says_in_blocks_of_any_size(
        body in prop_oneof![vec(select(b"a.\r\n\0\xfc".to_vec()), 0..60), vec(any::<u8>(), 0..3000)],
        limit in 1usize..5000,
    ) {
        let options = Options { ignore_dots: true, ..options() };
        let mut message = finish(read_with(&[b"To: a\n\n", &body[..]].concat(), &options).unwrap()).unwrap();
        let mut want = b"To: a\r\n\r\n".to_vec();
        let mut normaliser = CrlfNormaliser::default();
        normaliser.feed(&body, &mut want);
        normaliser.finish(&mut want);
        if want.split(|c| *c == b'\n').all(|l| l.len() <= 999) {
            prop_assert_eq!(say(&mut message, Form::EightBit, limit).unwrap(), want);
        }
        prop_assert!(say(&mut message, Form::SevenBit, limit).unwrap().is_ascii());
    }
}
