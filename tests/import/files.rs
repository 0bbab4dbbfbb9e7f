//! What is written where, with which modes, and what is never overwritten.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
};

use crate::{
    common::Sealpost,
    kit::{ann, mode, secrets},
};

const MSMTPRC: &str = "account default\nhost smtp.example.com\nport 587\ntls on\nauth on\nuser me\npassword s3cret-of-mine\n";

fn import(sealpost: &Sealpost, words: &[&str]) -> crate::common::Run {
    let source = sealpost.scratch.write("msmtprc", MSMTPRC);
    let mut all = vec!["config", "import", source.to_str().unwrap()];
    all.extend(words);
    sealpost.command(&all, b"")
}

#[test]
fn nothing_that_is_there_is_overwritten_unless_it_may_be() {
    let sealpost = ann();
    let config = sealpost.scratch.path().join("new/config.toml");
    let output = config.to_str().unwrap();
    assert_eq!(import(&sealpost, &["-o", output]).code, 0);
    fs::write(&config, "# mine\n").unwrap();
    let again = import(&sealpost, &["-o", output]);
    assert_eq!(again.code, 73);
    assert!(again.stderr.contains("it exists") && again.stderr.contains("--force"), "{}", again.stderr);
    assert_eq!(fs::read_to_string(&config).unwrap(), "# mine\n");

    // A secret that is in the way keeps the configuration from being written too.
    let other = sealpost.scratch.path().join("new/other.toml");
    assert_eq!(import(&sealpost, &["-o", other.to_str().unwrap()]).code, 73);
    assert!(!other.exists());

    fs::set_permissions(&config, fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(import(&sealpost, &["-o", output, "--force"]).code, 0);
    assert!(fs::read_to_string(&config).unwrap().contains("smtp.example.com"));
    assert_eq!(mode(&config), 0o600);
    assert_eq!(secrets(config.parent().unwrap()), [("default".to_owned(), "s3cret-of-mine\n".to_owned())]);
}

#[test]
fn a_link_or_a_directory_in_the_way_is_no_place_to_write() {
    let sealpost = ann();
    let target = sealpost.scratch.write("target", "kept\n");
    let link = sealpost.scratch.path().join("link.toml");
    symlink(&target, &link).unwrap();
    assert_eq!(import(&sealpost, &["-o", link.to_str().unwrap()]).code, 73);
    let directory = sealpost.scratch.path().to_str().unwrap();
    assert_eq!(import(&sealpost, &["-o", directory, "--force"]).code, 73);
    assert_eq!(import(&sealpost, &["-o", "/dev/null", "--force"]).code, 73);
    // Secrets go through no link, and into no directory of others.
    let place = sealpost.scratch.path().join("place");
    fs::create_dir(&place).unwrap();
    symlink(sealpost.scratch.path(), place.join("secrets")).unwrap();
    let config = place.join("config.toml");
    let refused = import(&sealpost, &["-o", config.to_str().unwrap()]);
    assert_eq!(refused.code, 73, "{}", refused.stderr);
    fs::remove_file(place.join("secrets")).unwrap();
    fs::create_dir(place.join("secrets")).unwrap();
    fs::set_permissions(place.join("secrets"), fs::Permissions::from_mode(0o777)).unwrap();
    assert_eq!(import(&sealpost, &["-o", config.to_str().unwrap()]).code, 73);
    assert!(!config.exists());
    assert_eq!(fs::read_to_string(&target).unwrap(), "kept\n");
}

#[test]
fn what_can_t_be_finished_leaves_nothing_and_what_was_there_as_it_was() {
    let sealpost = ann();
    // The password has its file by the time that this turns out to be too long a name for one.
    let long = format!("new/below/{}.toml", "x".repeat(240));
    let config = sealpost.scratch.path().join(&long);
    let run = import(&sealpost, &["-o", config.to_str().unwrap()]);
    assert_eq!((run.code, run.stderr.contains("File name too long")), (73, true), "{}", run.stderr);
    assert!(!run.stderr.contains("os error") && !sealpost.scratch.path().join("new").exists(), "{}", run.stderr);

    let secret = config.with_file_name("secrets/default");
    fs::create_dir_all(secret.parent().unwrap()).unwrap();
    fs::set_permissions(secret.parent().unwrap(), fs::Permissions::from_mode(0o700)).unwrap();
    fs::write(&secret, "before\n").unwrap();
    assert_eq!(import(&sealpost, &["-o", config.to_str().unwrap(), "--force"]).code, 73);
    assert_eq!(fs::read_to_string(&secret).unwrap(), "before\n");
    assert_eq!(fs::read_dir(secret.parent().unwrap()).unwrap().count(), 1);
}

#[test]
fn what_is_imported_is_never_written_over() {
    let sealpost = ann();
    let source = sealpost.scratch.write("msmtprc", MSMTPRC);
    let link = sealpost.scratch.path().join("link");
    symlink(&source, &link).unwrap();
    for output in [&source, &link] {
        let run = import(&sealpost, &["-o", output.to_str().unwrap(), "--force"]);
        assert_eq!((run.code, run.stderr.contains("what is being imported")), (73, true), "{}", run.stderr);
    }
    assert_eq!(fs::read_to_string(&source).unwrap(), MSMTPRC);
    let directory = sealpost.scratch.path();
    let run = sealpost.command(&["config", "import", directory.to_str().unwrap(), "-o", source.to_str().unwrap(), "--force"], b"");
    assert_eq!((run.code, fs::read_to_string(&source).unwrap().as_str()), (73, MSMTPRC), "{}", run.stderr);
}

#[test]
fn a_directory_stands_for_the_one_file_in_it() {
    let sealpost = ann();
    let scratch = &sealpost.scratch;
    let make = |files: &[(&str, &str)]| {
        for (name, text) in files {
            fs::create_dir_all(scratch.path().join(name).parent().unwrap()).unwrap();
            scratch.write(name, text);
        }
    };
    make(&[("postfix/main.cf", "relayhost = [a.example]\n"), ("postfix/master.cf", ""), ("msmtp/config", MSMTPRC)]);
    make(&[("two/main.cf", "relayhost = [a.example]\n"), ("two/ssmtp.conf", "mailhub=b.example\n"), ("none/config", MSMTPRC)]);
    let run = |words: &[&str], directory: &str| {
        let path = scratch.path().join(directory);
        let all: Vec<&str> = ["config", "import", path.to_str().unwrap()].into_iter().chain(words.iter().copied()).collect();
        sealpost.command(&all, b"")
    };
    for (words, directory, host) in [
        (&[][..], "postfix", "a.example"),
        (&[], "msmtp", "smtp.example.com"),
        (&["--from", "ssmtp"], "two", "b.example"),
        (&["--from", "msmtp"], "none", "smtp.example.com"),
    ] {
        let run = run(words, directory);
        assert!(run.code == 0 && run.stdout.contains(&format!("host = \"{host}\"")), "{directory}: {}", run.stderr);
    }
    for (words, directory, because) in
        [(&[][..], "two", "with several files"), (&[], "none", "without a file"), (&["--from", "dma"], "postfix", "without a file")]
    {
        let run = run(words, directory);
        assert_eq!((run.code, run.stderr.contains(because)), (66, true), "{directory}: {}", run.stderr);
    }
}

#[test]
fn a_mark_of_the_order_of_octets_is_no_word_of_the_first_line() {
    let sealpost = ann();
    let file = sealpost.scratch.write("main.cf", "\u{feff}relayhost = [a.example]\r\n");
    let run = sealpost.command(&["config", "import", file.to_str().unwrap()], b"");
    assert!(run.stdout.contains("host = \"a.example\""), "{}{}", run.stdout, run.stderr);
}

#[test]
fn what_was_imported_is_read_with_its_secret() {
    let sealpost = ann();
    let config = sealpost.scratch.path().join("new/config.toml");
    assert_eq!(import(&sealpost, &["-o", config.to_str().unwrap()]).code, 0);
    let checked = sealpost.command(&["config", "check", "-C", config.to_str().unwrap()], b"");
    assert_eq!((checked.code, checked.stderr.as_str()), (0, ""));
    // A warning would say that the file of the password can't be read.
    assert_eq!(checked.stdout.lines().count(), 1, "{}", checked.stdout);
}

#[test]
fn what_can_t_be_imported_says_why_and_prints_nothing() {
    let sealpost = ann();
    let scratch = &sealpost.scratch;
    let (missing, foreign) = (scratch.path().join("gone"), scratch.write("passwd", "root:x:0:0:root:/root:/bin/bash\n"));
    let (direct, empty) = (scratch.write("main.cf", "myhostname = x.example\n"), scratch.write("msmtprc", "# nothing yet\n"));
    let dma = scratch.write("dma.conf", "#SMARTHOST\nMAILNAME x\n");
    let evaluated = scratch.write("evaluated", "account a\neval printf 'host %s' $(cat x)\n");
    // Whatever is sent from there goes to one address only; here it would go to whom it is for.
    let caught = scratch.write("caught", "relayhost = [x.example]\nsmtp_generic_maps = static:me@x.example\n");
    for (file, code, words) in [
        (&missing, 66, "No such file"),
        (&foreign, 64, "--from"),
        (&direct, 65, "no relayhost"),
        (&empty, 65, "no account"),
        (&dma, 65, "no SMARTHOST"),
        (&evaluated, 65, "no host"),
        (&caught, 65, "smtp_generic_maps"),
    ] {
        let run = sealpost.command(&["config", "import", file.to_str().unwrap()], b"");
        assert_eq!((run.code, run.stdout.as_str()), (code, ""), "{}", run.stderr);
        assert!(run.stderr.contains(words) && run.stderr.contains("hint: "), "{words}: {}", run.stderr);
    }
}

#[test]
fn no_command_of_the_other_configuration_is_run() {
    let sealpost = ann();
    let mark = sealpost.scratch.path().join("mark");
    let text = format!(
        "eval touch {0}\naccount default\nhost x.example\ntls on\nauth on\nuser me\npasswordeval touch {0}\neval echo port 587; touch {0}\n",
        mark.display()
    );
    let msmtp = sealpost.scratch.write("msmtprc", text);
    let esmtp = sealpost.scratch.write("esmtprc", format!("hostname = x\npreconnect = \"touch {}\"\n", mark.display()));
    for file in [msmtp, esmtp] {
        let run = sealpost.command(&["config", "import", file.to_str().unwrap()], b"");
        assert_eq!(run.code, 0, "{}", run.stderr);
        assert!(!mark.exists() && run.stderr.contains("touch"), "{}", run.stderr);
    }
}

#[test]
fn a_kind_can_be_said_where_nothing_shows_it() {
    let sealpost = ann();
    let file = sealpost.scratch.write("hub", "relay.example.com\n");
    let words = |kind| ["config", "import", "--from", kind, file.to_str().unwrap()].map(str::to_owned);
    let run = |kind| sealpost.command(&words(kind).each_ref().map(String::as_str), b"");
    assert!(run("nullmailer").stdout.contains("host = \"relay.example.com\""));
    assert_eq!(run("exim").code, 64);
}
