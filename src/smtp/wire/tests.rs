//! Can no input smuggle a line end or an end of data past the wire?

use proptest::{collection::vec, prelude::*, sample::select};

use super::*;

fn normalise(chunks: &[&[u8]]) -> Vec<u8> {
    let (mut out, mut normaliser) = (Vec::new(), CrlfNormaliser::default());
    for chunk in chunks {
        let before = out.len();
        normaliser.feed(chunk, &mut out);
        assert!(out.len() - before <= 2 * chunk.len() + HELD);
    }
    normaliser.finish(&mut out);
    out
}

fn stuff(chunks: &[&[u8]]) -> Vec<u8> {
    let (mut out, mut stuffer) = (Vec::new(), DotStuffer::default());
    for chunk in chunks {
        stuffer.feed(chunk, &mut out);
    }
    out.extend_from_slice(stuffer.finish());
    out
}

/// What a server that goes by the book stores, and what it reads as commands afterwards.
fn receive(wire: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let (mut stored, mut rest) = (Vec::new(), wire);
    while !rest.is_empty() {
        let end = rest.windows(2).position(|w| w == b"\r\n").map_or(rest.len(), |p| p + 2);
        let (line, after) = rest.split_at(end);
        rest = after;
        if line == b".\r\n" {
            break;
        }
        stored.extend_from_slice(line.strip_prefix(b".").unwrap_or(line));
    }
    (stored, rest.to_vec())
}

/// The pieces of `input` between `cuts`.
fn cut<'a>(input: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let mut cuts: Vec<usize> = cuts.iter().map(|c| c % (input.len() + 1)).collect();
    cuts.extend([0, input.len()]);
    cuts.sort_unstable();
    cuts.windows(2).map(|w| &input[w[0]..w[1]]).collect()
}

#[test]
fn no_line_end_smuggles_a_second_message() {
    let table: &[(&[u8], &[u8])] = &[
        (b"a\n.\nMAIL", b"a\r\n..\r\nMAIL\r\n.\r\n"),
        (b"a\n.\r\nMAIL", b"a\r\n..\r\nMAIL\r\n.\r\n"),
        (b"a\r.\rMAIL", b"a\r\n..\r\nMAIL\r\n.\r\n"),
        (b"a\r\n.\rMAIL", b"a\r\n..\r\nMAIL\r\n.\r\n"),
        (b"a\r.\r\nMAIL", b"a\r\n..\r\nMAIL\r\n.\r\n"),
        (b"a\r\n.\nMAIL", b"a\r\n..\r\nMAIL\r\n.\r\n"),
        (b"a\r\n.\r\nMAIL", b"a\r\n..\r\nMAIL\r\n.\r\n"),
        (b"a\r\n.\r\r\nMAIL", b"a\r\n..\r\nMAIL\r\n.\r\n"),
        (b"a\r\r\n.\r\r\nMAIL", b"a\r\n..\r\nMAIL\r\n.\r\n"),
        (b"a\n.\r\r\r\nMAIL", b"a\r\n..\r\n\r\nMAIL\r\n.\r\n"),
        (b"a\r\n\0.\r\nMAIL", b"a\r\n..\r\nMAIL\r\n.\r\n"),
        (b"a\r\n.\0\r\nMAIL", b"a\r\n..\r\nMAIL\r\n.\r\n"),
        (b"a\r\0\n.\r\0\nMAIL", b"a\r\n..\r\nMAIL\r\n.\r\n"),
        (b"a\n\r.\n\rMAIL", b"a\r\n\r\n..\r\n\r\nMAIL\r\n.\r\n"),
        (b".\nMAIL", b"..\r\nMAIL\r\n.\r\n"),
        (b"a\n..\nMAIL", b"a\r\n...\r\nMAIL\r\n.\r\n"),
        (b"a\n.", b"a\r\n..\r\n.\r\n"),
        (b"a\n.\r", b"a\r\n..\r\n.\r\n"),
        (b"", b".\r\n"),
    ];
    for (input, wire) in table {
        for at in 0..=input.len() {
            let normal = normalise(&[&input[..at], &input[at..]]);
            for split in 0..=normal.len() {
                let stuffed = stuff(&[&normal[..split], &normal[split..]]);
                assert_eq!(stuffed, *wire, "{input:?} cut at {at} and {split}");
            }
            assert_eq!(receive(&stuff(&[&normal])), (normal, Vec::new()));
        }
    }
}

#[test]
fn data_that_lacks_its_last_line_end_is_still_ended() {
    assert_eq!(stuff(&[b"a"]), b"a\r\n.\r\n");
    assert_eq!(stuff(&[b"a\r"]), b"a\r\n.\r\n");
    assert_eq!(stuff(&[b"a\r", b"\n"]), b"a\r\n.\r\n");
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![vec(select(b"a.\r\n\0".to_vec()), 0..60), vec(any::<u8>(), 0..200)]
}

proptest! {
    #[test]
    fn chunk_borders_change_nothing(input in bytes(), cuts in vec(any::<usize>(), 0..8)) {
        let whole = normalise(&[&input]);
        prop_assert_eq!(&normalise(&cut(&input, &cuts)), &whole);
        prop_assert_eq!(stuff(&cut(&whole, &cuts)), stuff(&[&whole]));
    }

    #[test]
    fn normal_form_has_no_bare_cr_or_lf_and_no_nul(input in bytes()) {
        let out = normalise(&[&input]);
        prop_assert!(!out.contains(&0));
        for (i, c) in out.iter().enumerate() {
            prop_assert!(*c != b'\r' || out.get(i + 1) == Some(&b'\n'));
            prop_assert!(*c != b'\n' || (i > 0 && out[i - 1] == b'\r'));
        }
        prop_assert!(out.is_empty() || out.ends_with(b"\r\n"));
        prop_assert_eq!(normalise(&[&out]), out);
    }

    #[test]
    fn the_server_gets_back_what_was_stuffed_and_no_command(input in bytes()) {
        let normal = normalise(&[&input]);
        let wire = stuff(&[&normal]);
        prop_assert_eq!(receive(&wire), (normal, Vec::new()));
        prop_assert!(!wire[..wire.len() - 1].windows(5).any(|w| w == b"\r\n.\r\n"));
    }
}
