use proptest::{collection::vec, prelude::*, sample::select};

use super::*;

fn recipient(n: usize) -> Recipient {
    Recipient { address: Address::parse(&format!("r{n}@example.com")).unwrap(), original: None, notify: None }
}

fn outcome(n: usize, fate: Fate, reply: Option<Reply>) -> Outcome {
    let exit = match fate {
        Fate::Accepted => Exit::Ok,
        Fate::Refused => Exit::NoUser,
        _ => Exit::TempFail,
    };
    Outcome { recipient: recipient(n).address, fate, exit, reply, server: None }
}

fn reply(code: u16, text: &str) -> Reply {
    let enhanced = (code != 452).then(|| Enhanced { class: u8::try_from(code / 100).unwrap(), subject: 1, detail: 1 });
    Reply { code, enhanced, lines: vec![text.to_owned()] }
}

fn waiting(n: usize) -> (Vec<Recipient>, Vec<Standing>) {
    ((0..n).map(recipient).collect(), vec![Standing::Waiting(None); n])
}

#[test]
fn each_recipient_goes_its_own_way_whatever_the_order_of_the_outcomes() {
    let (recipients, mut standings) = waiting(5);
    let outcomes = [
        outcome(3, Fate::Unknown, None),
        outcome(1, Fate::Refused, Some(reply(550, "no such user"))),
        outcome(2, Fate::Deferred, Some(reply(452, "too many"))),
        outcome(0, Fate::Accepted, Some(reply(250, "ok"))),
    ];
    let change = settle(&recipients, &mut standings, &outcomes, None);
    assert_eq!(change, Change { delivered: vec![0], failed: vec![1] });
    assert_eq!(standings[0], Standing::Delivered);
    assert_eq!(standings[1], Standing::Failed(Last::of(&reply(550, "no such user"))));
    assert_eq!(standings[2], Standing::Waiting(Some(Last::of(&reply(452, "too many")))));
    assert_eq!(standings[3].last().map(|last| (last.code, last.enhanced)), Some((None, Some(LOST))));
    assert!(standings[3].is_waiting(), "unknown is tried again");
    assert_eq!(standings[4], Standing::Waiting(None), "nobody tried it");
}

#[test]
fn what_is_settled_stays_so_and_what_arrived_counts() {
    let (recipients, mut standings) = waiting(2);
    standings[1] = Standing::Failed(Last::of(&reply(550, "no")));
    let both = [outcome(0, Fate::Accepted, None), outcome(0, Fate::Deferred, None), outcome(1, Fate::Accepted, None)];
    assert_eq!(settle(&recipients, &mut standings, &both, None), Change { delivered: vec![0], failed: vec![] });
    let before = standings.clone();
    let refused = [outcome(0, Fate::Refused, None), outcome(1, Fate::Deferred, None)];
    assert_eq!(settle(&recipients, &mut standings, &refused, None), Change::default());
    assert_eq!(give_up(&mut standings), Change::default());
    assert_eq!(standings, before);
}

#[test]
fn what_ails_the_attempt_is_what_a_recipient_without_a_reply_hears() {
    let (recipients, mut standings) = waiting(2);
    let problem = Last { text: "TLS policy not met".into(), tls: Some("starttls-not-supported".into()), ..Last::default() };
    let outcomes = [outcome(0, Fate::Deferred, None), outcome(1, Fate::Deferred, Some(reply(454, "TLS not available")))];
    settle(&recipients, &mut standings, &outcomes, Some(&problem));
    assert_eq!(standings[0], Standing::Waiting(Some(problem.clone())));
    assert_eq!(standings[1].last().unwrap(), &Last { tls: problem.tls.clone(), ..Last::of(&reply(454, "TLS not available")) });
}

#[test]
fn a_refusal_is_always_a_never_and_a_giving_up_never() {
    for (exit, expected) in
        [(Exit::DataErr, "5.6.0"), (Exit::NoUser, "5.1.1"), (Exit::NoPerm, "5.7.0"), (Exit::Unavailable, "5.0.0")]
    {
        let (recipients, mut standings) = waiting(1);
        settle(&recipients, &mut standings, &[Outcome { exit, ..outcome(0, Fate::Refused, None) }], None);
        let Standing::Failed(last) = &standings[0] else { panic!("{exit:?}") };
        assert!(last.is_permanent());
        assert_eq!(last.enhanced.map(|enhanced| enhanced.to_string()).as_deref(), Some(expected));
    }
    // A password that is refused is no fault of the recipient's.
    let login = Last::of(&Reply { code: 535, enhanced: None, lines: vec!["bad password".into()] });
    let greylisted = Last::of(&reply(451, "greylisted"));
    let mut standings = [Standing::Waiting(Some(login)), Standing::Waiting(Some(greylisted.clone())), Standing::Waiting(None)];
    assert_eq!(give_up(&mut standings), Change { delivered: vec![], failed: vec![0, 1, 2] });
    let lasts: Vec<&Last> = standings.iter().filter_map(Standing::last).collect();
    assert!(lasts.iter().all(|last| !last.is_permanent()));
    assert_eq!((lasts[0].said().as_str(), lasts[0].code), ("535 bad password", None));
    assert_eq!(lasts[1], &greylisted);
    assert_eq!(lasts[2].enhanced, Some(EXPIRED));
}

#[test]
fn a_message_for_thousands_is_settled_at_once() {
    let (recipients, mut standings) = waiting(20_000);
    let outcomes: Vec<Outcome> = (0..20_000).rev().map(|n| outcome(n, Fate::Accepted, None)).collect();
    assert_eq!(settle(&recipients, &mut standings, &outcomes, None).delivered.len(), 20_000);
}

proptest! {
    #[test]
    fn nobody_who_waits_is_lost_and_nobody_who_is_settled_is_tried(
        attempts in vec(vec((0usize..6, select(vec![Fate::Accepted, Fate::Deferred, Fate::Refused, Fate::Unknown]), any::<bool>()), 0..8), 0..6),
        gives_up: bool,
    ) {
        let (recipients, mut standings) = waiting(6);
        let mut settled = std::collections::HashSet::new();
        for attempt in &attempts {
            let before = standings.clone();
            let outcomes: Vec<Outcome> = attempt.iter().map(|(n, fate, said)| {
                let code = match fate { Fate::Accepted => 250, Fate::Refused => 550, _ => 451 };
                outcome(*n, *fate, said.then(|| reply(code, "x")))
            }).collect();
            let change = settle(&recipients, &mut standings, &outcomes, None);
            for (n, standing) in standings.iter().enumerate() {
                let is_new = change.delivered.contains(&n) || change.failed.contains(&n);
                prop_assert_eq!(is_new, before[n].is_waiting() && !standing.is_waiting());
                prop_assert!(!is_new || settled.insert(n), "{} settled twice", n);
                prop_assert_eq!(change.delivered.contains(&n), is_new && outcomes.iter().any(|o| o.recipient == recipients[n].address && o.fate == Fate::Accepted));
                prop_assert!(before[n].is_waiting() || &before[n] == standing);
            }
        }
        if gives_up {
            let failed = give_up(&mut standings).failed;
            prop_assert!(failed.iter().all(|n| settled.insert(*n)));
            prop_assert!(standings.iter().all(|standing| !standing.is_waiting()));
        }
    }
}
