//! Does the demo tell the truth about its scenes, also when they go wrong?

use serde_json::json;

use super::*;
use crate::{
    host::{config, world::Pretend},
    smtp::server::{Recipient, Transaction},
};

fn delivery(message: &str) -> Delivery {
    let recipient = |user: &str| Recipient { address: format!("{user}@example.com"), ..Recipient::default() };
    let sender = "cron@example.com".to_owned();
    let recipients = vec![recipient("admin"), recipient("archive")];
    Delivery {
        peer: ([127, 0, 0, 1], 1).into(),
        transaction: Transaction { sender, recipients, ..Transaction::default() },
        tls: None,
        sni: None,
        size: message.len() as u64,
        bare_line_ends: false,
        kept: Kept::Memory(message.as_bytes().to_vec()),
    }
}

/// The ending that the scene promises.
fn as_promised(scene: &Scene) -> Ending {
    let Promise { exit, delivered, result, failure } = &scene.promise;
    Ending {
        exit: Some(*exit),
        stderr: String::new(),
        delivered: delivered.then(|| delivery("Subject: x\r\n\r\nbody\r\n")),
        log: String::new(),
        record: Some(json!({ "status": "sent", "tls": { "result": result, "failure": failure } })),
    }
}

#[test]
fn a_scene_is_as_promised_only_if_exit_delivery_and_log_all_are() {
    for scene in &SCENES {
        let broken = |change: &dyn Fn(&mut Ending)| {
            let mut ending = as_promised(scene);
            change(&mut ending);
            scene.promise.broken(&ending).len()
        };
        assert_eq!(broken(&|_| ()), 0, "{}", scene.title);
        assert_eq!(broken(&|ending| ending.exit = Some(1)), 1);
        assert_eq!(broken(&|ending| ending.exit = None), 1);
        assert_eq!(broken(&|ending| ending.record = None), if scene.promise.failure.is_some() { 2 } else { 1 });
        assert_eq!(broken(&|ending| ending.record = Some(json!({ "tls": { "result": "other", "failure": "x" } }))), 2);
        let toggled = |ending: &mut Ending| {
            ending.delivered = if ending.delivered.is_some() { None } else { Some(delivery("x\r\n")) };
        };
        assert_eq!(broken(&toggled), 1, "{}", scene.title);
    }
}

#[test]
fn a_hidden_recipient_that_shows_or_is_forgotten_breaks_the_promise() {
    let mut leaky = as_promised(&SCENES[0]);
    leaky.delivered = Some(delivery("Bcc: archive@example.com\r\n\r\n"));
    assert_eq!(SCENES[0].promise.broken(&leaky).len(), 1);
    let mut forgetful = as_promised(&SCENES[0]);
    forgetful.delivered.as_mut().unwrap().transaction.recipients.pop();
    assert_eq!(SCENES[0].promise.broken(&forgetful).len(), 1);
}

#[test]
fn the_story_fits_into_80_columns_and_foreign_text_can_not_drive_the_terminal() {
    let mut ending = as_promised(&SCENES[1]);
    ending.stderr = format!("{}\u{1b}[2J\n", "w".repeat(300));
    let style = Style { colour: false };
    let text = style.opening() + &style.scene(2, &SCENES[1], &ending, &["x".to_owned()]) + &style.closing(3, None);
    assert!(text.lines().all(|line| line.chars().count() <= story::WIDTH), "{text}");
    assert!(!text.contains('\u{1b}'));
    assert!(text.contains("result   unverified") && text.contains("3 of 4") && text.contains("BROKEN"), "{text}");
    let coloured = Style { colour: true }.scene(2, &SCENES[1], &as_promised(&SCENES[1]), &[]);
    let plain = Style { colour: false }.scene(2, &SCENES[1], &as_promised(&SCENES[1]), &[]);
    let codes = coloured.split('\u{1b}').skip(1).filter_map(|rest| rest.split_once('m')).map(|(code, _)| code.to_owned());
    let stripped = codes.fold(coloured.clone(), |text, code| text.replace(&format!("\u{1b}{code}m"), ""));
    assert!(coloured.contains("\u{1b}[1;33munverified\u{1b}[0m"), "{coloured:?}");
    assert_eq!(stripped, plain, "colour changes nothing but the colour");
}

#[test]
fn what_is_shown_of_the_account_stands_in_its_configuration() {
    for scene in &SCENES {
        let text = configuration(scene, 2525);
        let told = Style { colour: false }.scene(1, scene, &as_promised(scene), &[]);
        for line in promises(scene) {
            assert!(text.lines().any(|other| other == line), "{line}");
            assert!(told.contains(&line), "wrapped: {line}");
        }
        assert!(told.contains(&format!("policy = \"{}\"", scene.policy)));
    }
}

#[test]
fn the_configuration_can_be_read_and_the_messages_carry_a_bcc() {
    for scene in &SCENES {
        let text = configuration(scene, 2525);
        let config = config::parse(&Pretend::default(), Path::new("/x/config.toml"), &text).unwrap();
        let tls = &config.accounts[0].tls;
        assert_eq!(tls.demand.policy.as_str(), scene.policy);
        assert_eq!(tls.ca_file.as_deref(), Some(Path::new("/x/ca.pem")));
        let message = String::from_utf8((scene.message)().unwrap().formatted()).unwrap();
        assert!(message.contains("Bcc: archive@example.com\r\n"), "{message}");
        assert_eq!(Faults::named(scene.faults.iter().copied()).names().count(), scene.faults.len());
    }
}

#[test]
fn a_sendmail_that_does_nothing_keeps_no_promise_and_leaves_no_litter() {
    let mut told = Vec::new();
    let options = Options { keep: true, json: false };
    let exit = play(&options, Path::new("/bin/false"), Style { colour: false }, &mut told, &mut io::sink()).unwrap();
    let told = String::from_utf8(told).unwrap();
    assert_eq!(exit, Exit::Software);
    assert!(told.contains("0 of 4 scenes ended as promised"), "{told}");
    let folded = told.rsplit_once("kept in").unwrap().1;
    let directory = PathBuf::from(folded.split_whitespace().collect::<String>());
    assert!(directory.join("scene-4/config.toml").exists(), "--keep keeps {}", directory.display());
    drop(Stage { directory: directory.clone(), keep: false });
    assert!(!directory.exists());
    let mut log = Vec::new();
    let mut story = Vec::new();
    let options = Options { keep: false, json: true };
    play(&options, Path::new("/bin/false"), Style { colour: false }, &mut log, &mut story).unwrap();
    assert!(log.is_empty() && String::from_utf8(story).unwrap().contains("0 of 4"), "with --json the story is talk, not data");
}
