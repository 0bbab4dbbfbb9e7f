//! Does what was imported from Postfix send as it did: by the same server, from and to the same addresses?

use std::{fs, path::PathBuf, process::Command};

use crate::{
    common::{Scratch, binary, run},
    peers::{Author, BARE, CRON, Known, Recipients, SHOP, Same, Seen, skip},
    postfix::Postfix,
    recorder::Recorder,
};

/// Lines of main.cf, files, and the calls of root: words, message, and what is known to differ.
type Posted = (&'static str, &'static [(&'static str, &'static str)], &'static [(&'static [&'static str], &'static str, Known)]);

const POSTED: [Posted; 8] = [
    ("", &[], &[(&["root"], CRON, Same), (&["-t"], SHOP, Same), (&["-f", "app@other.example", "x@y.example"], SHOP, Same)]),
    (
        "sender_canonical_maps = texthash:DIR/s\n",
        &[("s", "root ops@isp.example\n")],
        &[(&["root"], CRON, Same), (&["-f", "app@other.example", "x@y.example"], BARE, Author)],
    ),
    (
        "sender_canonical_maps = regexp:DIR/s\n",
        &[("s", "/.+/ me@isp.example\n")],
        &[(&["root"], CRON, Same), (&["-f", "app@other.example", "x@y.example"], SHOP, Same)],
    ),
    (
        "smtp_generic_maps = texthash:DIR/s\n",
        &[("s", "root@client.example ops@isp.example\n@client.example rest@isp.example\n")],
        &[(&["root"], CRON, Same), (&["x@y.example"], BARE, Same), (&["bob"], BARE, Recipients)],
    ),
    (
        "myorigin = h.client.example\nmasquerade_domains = client.example\n",
        &[],
        &[(&["root"], CRON, Same), (&["x@y.example"], BARE, Same)],
    ),
    (
        "virtual_alias_maps = texthash:DIR/v\n",
        &[("v", "root ops@isp.example\n")],
        &[(&["root"], CRON, Same), (&["bob"], BARE, Recipients)],
    ),
    (
        "sender_dependent_relayhost_maps = texthash:DIR/r\n",
        &[("r", "root@client.example [127.0.0.1]:OTHER\n")],
        &[
            (&["x@y.example"], BARE, Same),
            (&["-f", "root", "x@y.example"], BARE, Same),
            (&["-f", "app@other.example", "x@y.example"], BARE, Same),
        ],
    ),
    (
        "relayhost =\ndefault_transport = smtp:[127.0.0.1]:OTHER\nlocal_transport = error:no\n",
        &[],
        &[(&["x@y.example"], BARE, Same)],
    ),
];

#[test]
fn an_imported_postfix_sends_as_before() {
    let servers = [Recorder::start(false), Recorder::start(false)];
    let other = servers[1].port().to_string();
    let take = |postfix: &Postfix| {
        postfix.drain();
        let all = servers
            .iter()
            .enumerate()
            .flat_map(|(at, server)| server.take().mails.into_iter().map(move |mail| Seen::of(at, &mail)).collect::<Vec<_>>());
        all.collect::<Vec<Seen>>()
    };
    let mut strange = Vec::new();
    for (more, files, calls) in POSTED {
        let files: Vec<(&str, String)> = files.iter().map(|(name, text)| (*name, text.replace("OTHER", &other))).collect();
        let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
        let postfix = match Postfix::start_with(servers[0].port(), &more.replace("OTHER", &other), &files) {
            Ok(postfix) => postfix,
            Err(why) => return skip(&why),
        };
        let scratch = Scratch::new();
        let config = imported(&postfix, &scratch);
        for (words, message, known) in calls {
            let mut command = postfix.sendmail();
            command.args(*words);
            let theirs = run(command, message.as_bytes()).code;
            let theirs = (theirs, take(&postfix));
            let mut command = Command::new(binary());
            command.args(["sendmail", "-C"]).arg(&config).args(*words).env_clear().env("PATH", "/usr/bin:/bin");
            let ours = run(command, message.as_bytes()).code;
            let ours = (ours, take(&postfix));
            strange.extend(known.complaint(theirs, ours).map(|what| format!("{more}{words:?}: {what}")));
        }
    }
    assert!(strange.is_empty(), "{}", strange.join("\n"));
}

fn imported(postfix: &Postfix, scratch: &Scratch) -> PathBuf {
    let config = scratch.path().join("new/config.toml");
    let mut command = Command::new(binary());
    command.args(["config", "import"]).arg(postfix.configuration().join("main.cf")).arg("-o").arg(&config);
    let imported = run(command, b"");
    assert_eq!(imported.code, 0, "{}", imported.stderr);
    let text = fs::read_to_string(&config).unwrap().replace("mode = \"fallback\"", "mode = \"off\"");
    fs::write(&config, format!("{text}\n[log]\nfile = \"\"\nsyslog = false\n")).unwrap();
    config
}
