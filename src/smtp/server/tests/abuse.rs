//! Does a client come to nothing that writes without end, errs without end, or says whatever it likes?

use proptest::prelude::*;

use super::{super::*, perform, settings, with_login};

#[test]
fn a_message_that_grows_too_big_is_dropped_and_refused_at_its_end() {
    let mut server = Server::new(settings());
    let _ = server.receive(b"HELO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n");
    assert_eq!(server.receive(&[b'x'; 90]), [Action::Body(vec![b'x'; 90])]);
    assert_eq!(server.receive(&[b'x'; 90]), [Action::Discard]);
    assert_eq!(server.receive(&[b'x'; 90]), []);
    assert_eq!(server.receive(b"\r\n.\r\n"), [Action::Say(b"552 5.3.4 too big\r\n".to_vec())]);
    let mut server = Server::new(settings());
    let _ = server.receive(b"EHLO x\r\n");
    assert_eq!(server.receive(b"MAIL FROM:<a@b> SIZE=101\r\n"), [Action::Say(b"552 5.3.4 too big\r\n".to_vec())]);
    let _ = server.receive(b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nBDAT 101 LAST\r\n");
    assert_eq!(server.receive(&[b'x'; 101]), [Action::Discard, Action::Say(b"552 5.3.4 too big\r\n".to_vec())]);
}

#[test]
fn a_line_without_end_neither_fills_the_memory_nor_ends_the_session() {
    let mut server = Server::new(settings());
    for _ in 0..1000 {
        assert_eq!(server.receive(&[b'x'; 1000]), []);
        assert!(server.input.len() <= LONGEST_LINE + 1000);
    }
    let reply = b"500 5.5.2 line too long\r\n250 2.0.0 ok\r\n".to_vec();
    assert_eq!(server.receive(b"\r\nNOOP\r\n"), [Action::Say(reply)]);
}

#[test]
fn a_client_that_errs_all_the_time_is_sent_away() {
    let mut server = Server::new(settings());
    let actions: Vec<Action> = (0..=MOST_ERRORS).flat_map(|_| server.receive(b"XYZZY\r\n")).collect();
    assert_eq!(actions.last(), Some(&Action::Close));
    assert_eq!(server.receive(b"NOOP\r\n"), []);
}

#[test]
fn a_reason_from_elsewhere_can_not_forge_a_reply_line() {
    let mut server = Server::new(settings());
    let _ = server.receive(b"HELO x\r\nMAIL FROM:<>\r\nRCPT TO:<a>\r\nDATA\r\n.\r\n");
    let actions = server.stored(&Stored::Never("bad\r\n250 fine".to_owned()));
    assert_eq!(actions, [Action::Say(b"554 5.6.0 bad\\r\\n250 fine\r\n".to_vec())]);
}

proptest! {
    #[test]
    fn no_octets_make_the_server_panic(pieces in proptest::collection::vec(any::<Vec<u8>>(), 0..6)) {
        let mut server = Server::new(with_login(Seal::Up));
        let mut seen = String::new();
        for piece in pieces {
            let actions = server.receive(&piece);
            perform(&mut server, actions, &mut seen);
        }
    }

    #[test]
    fn every_message_that_begins_is_delivered_or_discarded_once_and_the_cut_into_pieces_changes_nothing(
        lines in proptest::collection::vec(prop::sample::select(vec![
            "EHLO x\r\n", "MAIL FROM:<a@b>\r\n", "RCPT TO:<c@d>\r\n", "DATA\r\n", "BDAT 3\r\nabc", "BDAT 3 LAST\r\nabc", "BDAT 200 LAST\r\n",
            ".\r\n", "x\r\n", "RSET\r\n", "NOOP\n", "QUIT\r\n", "AUTH PLAIN\r\n", "STARTTLS\r\n",
        ]), 0..25),
        size in 1usize..40,
    ) {
        let said = lines.concat();
        let hear = |size: usize| {
            let mut server = Server::new(settings());
            let mut seen = String::new();
            for piece in said.as_bytes().chunks(size) {
                let actions = server.receive(piece);
                perform(&mut server, actions, &mut seen);
            }
            (seen, server.begun)
        };
        let (seen, open) = hear(size);
        let count = |what: &str| seen.lines().filter(|line| line.starts_with(what)).count();
        prop_assert_eq!(count("- begin"), count("- deliver") + count("- discard") + usize::from(open));
        let without_pieces = |seen: &str| seen.lines().filter(|line| !line.starts_with("- body")).map(str::to_owned).collect::<Vec<_>>();
        prop_assert_eq!(without_pieces(&hear(usize::MAX).0), without_pieces(&seen));
    }
}

#[test]
fn a_client_that_is_sent_away_loses_what_it_had_begun_and_hears_why() {
    let mut server = Server::new(settings());
    let _ = server.receive(b"HELO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\nhalf");
    assert!(server.is_busy());
    let said = Action::Say(b"421 4.3.2 bye\r\n".to_vec());
    assert_eq!(server.dismiss("421 4.3.2 bye"), [said, Action::Discard, Action::Close]);
    assert_eq!(server.dismiss("421 4.3.2 bye"), []);
}
