//! Programs at which people write mail.

use crate::kit::{Case, arrives};

/// What the mailx of three packages do alike, called `program`.
fn mailx(package: &str, script: &str, to: &[&str]) {
    arrives(&Case {
        programs: &[package],
        script,
        from: "root@client.example",
        to,
        header: &["To: ok-a@sink.test", "Cc: ok-c@sink.test", "Subject: a report"],
        body: &["mark", "\n.\nafter"],
    });
}

#[test]
fn bsd_mailx_sends() {
    let script =
        "printf '%s\n.\nafter\n' $MARK | bsd-mailx -s 'a report' -c ok-c@sink.test -b ok-b@sink.test ok-a@sink.test; await";
    mailx("bsd-mailx", script, &["ok-a@sink.test", "ok-b@sink.test", "ok-c@sink.test"]);
}

#[test]
fn s_nail_sends() {
    let script = "printf '%s\n.\nafter\n' $MARK | s-nail -s 'a report' -c ok-c@sink.test -b ok-b@sink.test ok-a@sink.test; await";
    mailx("s-nail", script, &["ok-a@sink.test", "ok-b@sink.test", "ok-c@sink.test"]);
}

#[test]
fn mailutils_sends() {
    let script = "printf '%s\n.\nafter\n' $MARK | mail.mailutils -s 'a report' -a 'Cc: ok-c@sink.test' -a 'Bcc: ok-b@sink.test' \
                  ok-a@sink.test; await";
    mailx("mailutils", script, &["ok-a@sink.test", "ok-b@sink.test", "ok-c@sink.test"]);
}

#[test]
fn mutt_sends_with_an_attachment_and_a_blind_copy() {
    arrives(&Case {
        programs: &["mutt"],
        script: "echo attached >file; echo $MARK | mutt -n -e 'set use_envelope_from' -e 'my_hdr From: Ann <ann@sink.test>' -s 'a report' \
                 -a file -c ok-c@sink.test -b ok-b@sink.test -- ok-a@sink.test; await",
        from: "ann@sink.test",
        to: &["ok-a@sink.test", "ok-b@sink.test", "ok-c@sink.test"],
        header: &["From: Ann <ann@sink.test>", "To: ok-a@sink.test", "Cc: ok-c@sink.test", "Content-Type: multipart/mixed"],
        body: &["mark", "attached"],
    });
}

#[test]
fn neomutt_sends_eight_bits() {
    arrives(&Case {
        programs: &["neomutt"],
        script: "echo \"Grüße $MARK\" | neomutt -n -e 'set allow_8bit=yes' -s 'Grüße' -b ok-b@sink.test -- ok-a@sink.test; await",
        from: "root@client.example",
        to: &["ok-a@sink.test", "ok-b@sink.test"],
        header: &["To: ok-a@sink.test", "Subject: =?utf-8?", "Content-Transfer-Encoding: "],
        body: &["mark"],
    });
}

#[test]
fn emacs_sends_from_message_mode() {
    arrives(&Case {
        programs: &["emacs-nox"],
        script: "emacs-nox --batch --eval '(progn (require (quote message)) (setq user-full-name \"Ann\" user-mail-address \"ann@sink.test\" \
                 send-mail-function (quote sendmail-send-it) message-send-mail-function (quote message-send-mail-with-sendmail)) \
                 (message-mail \"ok-a@sink.test\" \"a report\") (message-goto-bcc) (insert \"ok-b@sink.test\") (message-goto-body) \
                 (insert (getenv \"MARK\") \"\\n.\\nafter\\n\") (message-send))'; await",
        from: "ann@sink.test",
        to: &["ok-a@sink.test", "ok-b@sink.test"],
        header: &["From: Ann <ann@sink.test>", "To: ok-a@sink.test", "Subject: a report"],
        body: &["mark", "\n.\nafter"],
    });
}

#[test]
fn aerc_sends() {
    arrives(&Case {
        programs: &["aerc"],
        script: "export HOME=$PWD TERM=xterm; mkdir -p .config/aerc mail/cur mail/new mail/tmp\n\
                 printf '[a]\nsource = maildir://%s/mail\noutgoing = /usr/sbin/sendmail -i\nfrom = Ann <ann@sink.test>\n' $PWD >.config/aerc/accounts.conf\n\
                 chmod 600 .config/aerc/accounts.conf\n\
                 printf '#!/bin/sh\nprintf \"%s\\\\n.\\\\nafter\\\\n\" >\"$1\"\n' $MARK >editor; chmod +x editor; export EDITOR=$PWD/editor\n\
                 compose=':compose -H \"To: ok-a@sink.test\" -H \"Bcc: ok-b@sink.test\" -H \"Subject: a report\"\\r'\n\
                 $KIT/terminal Connected \"$compose\" 'Send this email' y -- aerc >/dev/null & await",
        from: "root@client.example",
        to: &["ok-a@sink.test", "ok-b@sink.test"],
        header: &["From: \"Ann\" <ann@sink.test>", "To: ok-a@sink.test", "X-Mailer: aerc", "Subject: a report"],
        body: &["mark", "\n.\nafter"],
    });
}
