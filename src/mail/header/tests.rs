//! Where does a header end, and what are its fields, whatever a caller sends?

use proptest::{collection::vec, prelude::*, sample::select};

use super::*;

/// Header text and body of `input`, given in `chunks`.
fn open(chunks: &[&[u8]]) -> Result<(String, String), TooLarge> {
    let mut opening = Opening::default();
    for (i, chunk) in chunks.iter().enumerate() {
        if let Some(start) = opening.push(chunk)? {
            let mut raw = opening.into_raw();
            chunks[i + 1..].iter().for_each(|c| raw.extend_from_slice(c));
            return Ok(show(&start, &raw));
        }
    }
    let start = opening.finish();
    Ok(show(&start, &opening.into_raw()))
}

fn show(start: &Start, raw: &[u8]) -> (String, String) {
    let latin = |bytes: &[u8]| bytes.iter().copied().map(char::from).collect::<String>();
    let joined: Vec<u8> = start.header.fields().flat_map(|f| f.raw.to_vec()).collect();
    assert_eq!(joined, start.header.text, "the fields are the whole text");
    (latin(&start.header.text), latin(&raw[start.body..]))
}

#[test]
fn a_header_ends_where_the_table_says() {
    let table: &[(&str, &str, &str)] = &[
        // the ordinary case, any line ends, mixed
        ("To: a\nSubject: b\n\nbody\n", "To: a\r\nSubject: b\r\n", "body\n"),
        ("To: a\r\nSubject: b\r\n\r\nbody\r\n", "To: a\r\nSubject: b\r\n", "body\r\n"),
        ("To: a\r\nSubject: b\n\nbody\n", "To: a\r\nSubject: b\r\n", "body\n"),
        ("To: a\r\r\nSubject: b\r\r\n\r\r\nbody", "To: a\r\nSubject: b\r\n", "body"),
        // bare CR and NUL
        ("Subject: a\rb\n\nx", "Subject: a b\r\n", "x"),
        ("Sub\0ject: a\0b\n\0\nx", "Subject: ab\r\n", "x"),
        ("Subject: a\n\rb\n\nx", "Subject: a\r\n b\r\n", "x"),
        // folding
        ("To: a,\n b,\n\tc\n\nx", "To: a,\r\n b,\r\n\tc\r\n", "x"),
        ("To: a,\n \t \n b\n\nx", "To: a,\r\n b\r\n", "x"),
        ("To: a\n \nnot a field\n\nx", "To: a\r\n", "not a field\n\nx"),
        ("Subject: \n folded\n\n", "Subject: \r\n folded\r\n", ""),
        // space before the colon
        ("To : a\nBCC\t :b\n\n", "To: a\r\nBCC:b\r\n", ""),
        // no header
        ("", "", ""),
        ("\n", "", ""),
        ("just text\nTo: a\n\nx", "", "just text\nTo: a\n\nx"),
        ("one word", "", "one word"),
        ("\nTo: a\n\nx", "", "To: a\n\nx"),
        ("\r\nTo: a\n\nx", "", "To: a\n\nx"),
        (" To: a\n\nx", "", " To: a\n\nx"),
        ("\tTo: a\n\nx", "", "\tTo: a\n\nx"),
        (": a\n\nx", "", ": a\n\nx"),
        // header without body
        ("To: a\n", "To: a\r\n", ""),
        ("To: a", "To: a\r\n", ""),
        // a line that is no field ends the header and starts the body
        ("Subject: a\nHello there\nTo: b\n", "Subject: a\r\n", "Hello there\nTo: b\n"),
        ("Subject: a\nFrom bob Mon Jan  1 00:00:00 2024\nTo: b\n", "Subject: a\r\n", "From bob Mon Jan  1 00:00:00 2024\nTo: b\n"),
        // a first line that only looks like a field
        ("Warning: disk full\n", "", "Warning: disk full\n"),
        ("Warning: disk full", "", "Warning: disk full"),
        ("Warning: disk full\non /var\n", "", "Warning: disk full\non /var\n"),
        ("Warning: disk full\non /var\n\nmore\n", "", "Warning: disk full\non /var\n\nmore\n"),
        ("12:30: it broke\nhttp://x/\n", "", "12:30: it broke\nhttp://x/\n"),
        ("Warning: disk full\n\ntext\n", "Warning: disk full\r\n", "text\n"),
        ("Warning: disk full\nsubject: x\ntext\n", "Warning: disk full\r\nsubject: x\r\n", "text\n"),
        ("X-Thing: 1\ntext\n", "X-Thing: 1\r\n", "text\n"),
        // mbox
        ("From a@b Mon Jan  1 00:00:00 2024\nTo: a\n\nx", "To: a\r\n", "x"),
        ("From a@b\nTo: a\n\nx", "To: a\r\n", "x"),
        (">From a@b Mon Jan  1 00:00:00 2024\nTo: a\n\nx", "To: a\r\n", "x"),
        ("From a@b Mon\n>From c remote from d\nTo: a\n\nx", "To: a\r\n", "x"),
        ("From a@b Mon Jan  1 00:00:00 2024\ntext\n", "", "text\n"),
        ("From a@b Mon Jan  1 00:00:00 2024\n\ntext\n", "", "text\n"),
        ("From now on\nall is well\n", "", "From now on\nall is well\n"),
        ("From now on\n\nall is well\n", "", "From now on\n\nall is well\n"),
        ("From now on", "", "From now on"),
        ("From a@b 10:30\nWarning: x\ny\n", "", "Warning: x\ny\n"),
    ];
    for (input, header, body) in table {
        let input = input.as_bytes();
        for cut in 0..=input.len() {
            let found = open(&[&input[..cut], &input[cut..]]).unwrap();
            assert_eq!(found, ((*header).to_owned(), (*body).to_owned()), "{:?} cut at {cut}", String::from_utf8_lossy(input));
        }
    }
}

#[test]
fn names_and_values_come_without_what_is_around_them() {
    let mut opening = Opening::default();
    let start = opening.push(b"tO :  a,\n b \nX:\nSubject: J\xfcrgen\n\n").unwrap().unwrap();
    let fields: Vec<(&str, &[u8])> = start.header.fields().map(|f| (f.name, f.value)).collect();
    assert_eq!(fields, [("tO", &b"a,\r\n b"[..]), ("X", b""), ("Subject", b"J\xfcrgen")]);
    assert!(start.header.fields().next().unwrap().is("To"));
    let texts: Vec<String> = start.header.fields().map(|f| f.text()).collect();
    assert_eq!(texts, ["a, b", "", "J\u{fc}rgen"]);
}

#[test]
fn a_header_without_end_is_refused_and_a_text_without_end_is_not() {
    let field = b"X-Filler: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n".repeat(2000);
    assert_eq!(open(&[&field[..]; 12]), Err(TooLarge));
    let mut long = b"Subject: a\nX-Long: ".to_vec();
    long.resize(LARGEST + 1, b'a');
    assert_eq!(open(&[&long]), Err(TooLarge));

    for name in ["Bcc: ", "From mbox\nBcc :"] {
        let mut first = name.as_bytes().to_vec();
        first.resize(LARGEST + 1, b'a');
        assert_eq!(open(&[&first]), Err(TooLarge), "{name}");
    }

    let text = b"key: value\n".repeat(LARGEST / 11 + 1);
    assert_eq!(open(&[&text]).unwrap().1.len(), text.len());
    let line = vec![b'a'; 2 * LARGEST];
    assert_eq!(open(&[&line[..LARGEST], &line[LARGEST..]]).unwrap().1.len(), line.len());
}

proptest! {
    #[test]
    fn no_bytes_make_it_fail_and_chunks_do_not_matter(
        input in prop_oneof![
            vec(any::<u8>(), 0..120),
            vec(select(vec!["To", "From ", ":", " ", "\n", "\r", "\0", "x", "\u{fc}", "Subject: a\n", "10:30"]), 0..24).prop_map(|w| w.concat().into_bytes()),
        ],
        cut in any::<usize>(),
    ) {
        let cut = cut % (input.len() + 1);
        let whole = open(&[&input]).unwrap();
        prop_assert_eq!(&open(&[&input[..cut], &input[cut..]]).unwrap(), &whole);
        for line in whole.0.split_terminator("\r\n") {
            prop_assert!(!line.contains(['\r', '\n', '\0']) && !line.trim_ascii().is_empty());
        }
    }
}
