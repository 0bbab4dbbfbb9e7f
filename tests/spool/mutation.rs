//! Does any message come back as it went, and after any accident not as another one?

use std::fs;

use jiff::Timestamp;
use proptest::prelude::*;
use sealpost::{
    host::spool::{Claimed, Entry, Head, Place, State},
    mail::{
        address::ReversePath,
        envelope::{Dsn, Envelope, Notify, Recipient, Ret},
        outcome::Enhanced,
        policy::Request,
        queued::{Last, Standing},
    },
};

use crate::kit::{Text, address, at, claim, claimed, id, octets, path, spool};

fn an_address() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z0-9.+=/-]{1,20}@[a-z]{1,10}\\.example",
        "[a-z\u{e4}\u{43f}]{1,9}@b\u{fc}cher\\.example",
        "\"[ a-z@\\\\.]{0,6}\\\\\\\\x\"@example\\.org",
        "[a-z]{1,5}@\\[192\\.0\\.2\\.[0-9]\\]",
    ]
    .prop_filter("an address", |text| sealpost::mail::address::Address::parse(text).is_ok())
}

fn a_last() -> impl Strategy<Value = Last> {
    let code = proptest::option::of(200_u16..600);
    let enhanced = proptest::option::of((2_u8..6, any::<u16>(), any::<u16>()));
    let words = (any::<String>(), proptest::option::of(any::<String>()));
    let server = proptest::option::of(any::<String>());
    (code, enhanced, words, (server, any::<u32>())).prop_map(|(code, enhanced, (text, tls), (server, unknown))| Last {
        code,
        enhanced: enhanced.map(|(class, subject, detail)| Enhanced { class, subject, detail }),
        text,
        tls,
        server,
        unknown,
    })
}

fn a_standing() -> impl Strategy<Value = Standing> {
    prop_oneof![
        Just(Standing::Delivered),
        proptest::option::of(a_last()).prop_map(Standing::Waiting),
        a_last().prop_map(Standing::Failed),
    ]
}

fn a_time() -> impl Strategy<Value = Timestamp> {
    (-2_000_000_000_i64..9_000_000_000, 0..1_000_000_000_i32).prop_map(|(s, ns)| Timestamp::new(s, ns).unwrap())
}

fn a_head() -> impl Strategy<Value = Head> {
    let recipients = proptest::collection::vec((an_address(), proptest::option::of(an_address())), 1..6);
    let notify = prop_oneof![
        Just(None),
        Just(Some(Notify::Never)),
        (any::<bool>(), any::<bool>()).prop_map(|(success, delay)| Some(Notify::When { success, failure: true, delay })),
    ];
    let ret = prop_oneof![Just(None), Just(Some(Ret::Full)), Just(Some(Ret::Headers))];
    let dsn = (notify, ret, proptest::option::of("[ -~]{1,30}"));
    let sender = proptest::option::of(an_address());
    let words = ("[^\\pC]{0,12}", "[^\\pC]{0,12}", "<[!-~]{0,30}>");
    let asked = proptest::option::of(proptest::option::of(an_address()));
    let path = |text: Option<String>| text.map_or(ReversePath::Null, |text| ReversePath::Address(address(&text)));
    (a_time(), any::<u32>(), words, asked, sender, recipients, dsn, any::<bool>()).prop_map(
        move |(arrived, uid, (user, account, message_id), asked, sender, recipients, (notify, ret, envid), report)| Head {
            arrived,
            uid,
            user,
            account,
            asked: asked.map(path),
            envelope: Envelope {
                sender: path(sender),
                recipients: recipients
                    .into_iter()
                    .map(|(to, original)| Recipient {
                        address: address(&to),
                        original: original.as_deref().map(address),
                        notify: None,
                    })
                    .collect(),
                dsn: Dsn { notify, ret, envid },
                request: if report { Request::Prefer } else { Request::Nothing },
            },
            message_id,
            size: 0,
            eight_bit: false,
            tls_waived: false,
            report,
        },
    )
}

fn a_state(recipients: usize) -> impl Strategy<Value = State> {
    let times = (proptest::option::of(a_time()), a_time());
    let standings = proptest::collection::vec(a_standing(), recipients);
    (any::<u32>(), times, any::<bool>(), any::<bool>(), proptest::option::of(a_last()), standings).prop_map(
        |(attempts, (tried, next), warned, told, problem, recipients)| State {
            attempts,
            in_vain_before: attempts.checked_sub(7),
            tried,
            next,
            warned,
            told,
            problem,
            recipients,
        },
    )
}

fn an_entry() -> impl Strategy<Value = (Entry, State)> {
    a_head().prop_flat_map(|head| {
        let n = head.envelope.recipients.len();
        (a_state(n), a_state(n)).prop_map(move |(state, later)| (Entry { head: head.clone(), state }, later))
    })
}

fn a_content() -> impl Strategy<Value = Vec<u8>> {
    // Small, and larger than what is read or written at once.
    prop_oneof![
        9 => proptest::collection::vec(any::<u8>(), 0..500),
        1 => (any::<u8>(), 1..600_000_usize).prop_map(|(octet, length)| vec![octet; length]),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_goes_in_comes_out((mut entry, later) in an_entry(), content in a_content()) {
        let (_scratch, spool) = spool();
        let mut added = spool.add(id(1), entry.clone(), &mut Text::new(content.clone())).unwrap();
        (entry.head.size, entry.head.eight_bit) = (content.len() as u64, !content.is_ascii());
        prop_assert_eq!(&added.entry, &entry);
        prop_assert_eq!(octets(&added), &content[..]);
        added.note(later.clone()).unwrap();
        drop(added);
        let claimed = claim(&spool, Place::Queue, 1);
        prop_assert_eq!(octets(&claimed), content);
        prop_assert_eq!(&claimed.entry.head, &entry.head);
        prop_assert_eq!(&claimed.entry.state, &later);
    }

    /// A few octets that are others, or a part that is zeros, missing, moved or twice there: whatever is then taken for a message
    /// has the same head and the same octets, and stands as it once stood.
    #[test]
    fn no_accident_makes_another_message_of_it(
        (entry, later) in an_entry(),
        content in proptest::collection::vec(any::<u8>(), 0..300),
        (kind, at_, length, octet) in (0..6, any::<prop::sample::Index>(), 1..200_usize, any::<u8>()),
    ) {
        let (_scratch, spool) = spool();
        let mut added = spool.add(id(1), entry, &mut Text::new(content.clone())).unwrap();
        let first = added.entry.clone();
        added.note(later.clone()).unwrap();
        drop(added);
        let good = fs::read(path(&spool, Place::Queue, 1)).unwrap();
        let from = at_.index(good.len());
        let to = good.len().min(from + length);
        let part = &good[from..to];
        let middle = match kind {
            0 => part.iter().map(|o| o ^ octet).collect(),
            1 => vec![0; part.len()],
            2 => Vec::new(),
            3 => part.repeat(2),
            4 => part.iter().rev().copied().collect(),
            _ => [part, &[octet]].concat(),
        };
        let bad = [&good[..from], &middle, &good[to..]].concat();
        fs::write(path(&spool, Place::Queue, 1), &bad).unwrap();
        match claimed(&spool, Place::Queue, 1).unwrap() {
            Claimed::Ours(claim) => {
                prop_assert_eq!(octets(&claim), content);
                prop_assert_eq!(&claim.entry.head, &first.head);
                let state = State { next: at(0), ..claim.entry.state.clone() };
                let known = [first.state, later].map(|state| State { next: at(0), ..state });
                prop_assert!(known.contains(&state), "{:?}", state);
            }
            Claimed::Odd(why) => {
                prop_assert!(bad != good);
                prop_assert!(!why.contains(char::is_control), "{:?}", why);
            }
            other => prop_assert!(false, "{:?}", other),
        }
    }
}
