//! What watches the machine and reports.

use crate::kit::{Case, arrives};

#[test]
fn sudo_mails_a_wrong_password() {
    arrives(&Case {
        programs: &["sudo"],
        script: "chmod 4755 /usr/bin/sudo; chown -R root:root /etc/sudoers /etc/sudoers.d; chmod 440 /etc/sudoers\n\
                 printf 'Defaults mail_badpass\nalice ALL=(ALL) ALL\n' >>/etc/sudoers\n\
                 echo 'auth required pam_deny.so' >/etc/pam.d/sudo; echo 'account required pam_permit.so' >>/etc/pam.d/sudo\n\
                 setpriv --reuid=alice --regid=alice --clear-groups sh -c 'echo wrong | sudo -S true $MARK' || true; await",
        from: "alice@client.example",
        to: &["ok-root@sink.test"],
        header: &[
            "To: root@client.example",
            "From: alice@client.example",
            "Subject: *** SECURITY information for client",
            "Auto-Submitted: auto-generated",
        ],
        body: &["incorrect password attempt", "COMMAND=/usr/bin/true mark"],
    });
}

#[test]
fn smartd_mails_that_a_disk_fails() {
    arrives(&Case {
        programs: &["smartmontools", "bsd-mailx"],
        // The kernel's answers about the disk are made up; all else is smartd's own, down to the scripts that call mail.
        script: "ln -s bsd-mailx /usr/bin/mail; gcc -shared -fPIC -o disk.so $KIT/disk.c; touch $MARK\n\
                 echo \"$PWD/$MARK -d nvme -H -m root -M exec /usr/share/smartmontools/smartd-runner -M test\" >smartd.conf\n\
                 LD_PRELOAD=$PWD/disk.so smartd -q onecheck -c $PWD/smartd.conf; await 2",
        from: "root@client.example",
        to: &["ok-root@sink.test", "ok-root@sink.test"],
        header: &["To: root@client.example", "Subject: SMART error ("],
        body: &["mark", "smartd daemon", "S/N:MADE-OF-NOTHING"],
    });
}

#[test]
fn mdadm_mails_its_test_alert() {
    arrives(&Case {
        programs: &["mdadm"],
        script: "printf 'MAILADDR root\nMAILFROM %s@sink.test\nARRAY /dev/md0 UUID=00000000:00000000:00000000:00000000\n' $MARK >/etc/mdadm/mdadm.conf\n\
                 mdadm --monitor --scan --oneshot --test; await",
        from: "root@client.example",
        to: &["ok-root@sink.test"],
        header: &["From: mark", "To: root@client.example", "Subject: TestMessage event on /dev/md0"],
        body: &["This is an automatically generated mail message"],
    });
}

#[test]
fn fail2ban_mails_a_ban() {
    arrives(&Case {
        programs: &["fail2ban"],
        script: "mkdir -p /run/fail2ban; rm -f /etc/fail2ban/jail.d/*; touch watched.log\n\
                 printf '[Definition]\nfailregex = failed from <HOST>\n' >/etc/fail2ban/filter.d/made.conf\n\
                 printf '[made]\nenabled = true\nbackend = polling\nlogpath = %s\nmaxretry = 1\naction = sendmail[name=%s]\n' $PWD/watched.log $MARK \
                 >/etc/fail2ban/jail.local\n\
                 fail2ban-server -b --logtarget STDERR; await\n\
                 fail2ban-client set made banip 192.0.2.7; await 2",
        from: "fail2ban@client.example",
        to: &["ok-root@sink.test", "ok-root@sink.test"],
        header: &["From: Fail2Ban <fail2ban@client.example>", "To: root@client.example", "Subject: [Fail2Ban] mark"],
        body: &["Regards,"],
    });
}

#[test]
fn logwatch_mails_its_report() {
    arrives(&Case {
        programs: &["logwatch"],
        script: "mkdir -p /var/cache/logwatch; logwatch --output mail --mailto root --hostname \"$MARK\" --service zz-sys --range all; await",
        from: "root@client.example",
        to: &["ok-root@sink.test"],
        header: &["To: root@client.example", "Subject: Logwatch for mark"],
        body: &["Logwatch"],
    });
}

#[test]
fn unattended_upgrades_mails_its_summary() {
    arrives(&Case {
        programs: &["unattended-upgrades"],
        script: "cat >send.py <<'END'\nimport importlib.machinery, importlib.util, os\n\
                 loader = importlib.machinery.SourceFileLoader('uu', '/usr/bin/unattended-upgrade')\n\
                 uu = importlib.util.module_from_spec(importlib.util.spec_from_loader('uu', loader)); loader.exec_module(uu)\n\
                 raise SystemExit(uu._send_mail_using_sendmail('root', 'root', os.environ['MARK'], 'Grüße\\nupgraded\\n'))\nEND\n\
                 python3 send.py; await",
        from: "root@client.example",
        to: &["ok-root@sink.test"],
        header: &["From: root@client.example", "To: root@client.example", "Subject: mark", "Auto-Submitted: auto-generated"],
        body: &["upgraded"],
    });
}

#[test]
fn procmail_forwards() {
    arrives(&Case {
        programs: &["procmail"],
        script: "printf 'SENDMAILFLAGS=\"-oi -f <>\"\n:0\n! ok-a@sink.test\n' >rc\n\
                 printf 'From ann@sink.test Mon Nov 23 22:53:01 2026\nFrom: ann@sink.test\nTo: list@sink.test\nSubject: %s\n\nbody\n' $MARK \
                 | procmail -m $PWD/rc; await",
        from: "",
        to: &["ok-a@sink.test"],
        header: &["From: ann@sink.test", "To: list@sink.test", "Subject: mark"],
        body: &["body"],
    });
}

#[test]
fn vacation_answers() {
    arrives(&Case {
        programs: &["vacation"],
        script: "cd /home/alice; printf 'Subject: away\n\nI am away, %s\n' $MARK >.vacation.msg; chown alice .vacation.msg\n\
                 as_alice() { setpriv --reuid=alice --regid=alice --clear-groups env HOME=/home/alice \"$@\"; }\n\
                 as_alice vacation -I\n\
                 printf 'From ok-a@sink.test Mon Nov 23 22:53:01 2026\nFrom: ok-a@sink.test\nTo: alice@client.example\nSubject: hello\n\nbody\n' \
                 | as_alice vacation -z alice; cd \"$OLDPWD\"; await",
        from: "",
        to: &["ok-a@sink.test"],
        header: &["Subject: away", "To: ok-a@sink.test"],
        body: &["I am away, mark"],
    });
}

#[test]
fn monit_mails_an_alert_through_a_program() {
    arrives(&Case {
        programs: &["monit"],
        // monit itself speaks SMTP; what it runs on an alert is a script, as its manual shows.
        script: "printf 'set daemon 1\nset pidfile %s/pid\nset idfile %s/id\nset statefile %s/state\n\
                 check file gone path %s/gone\n if does not exist then exec \"/bin/sh %s/alert\"\n' $PWD $PWD $PWD $PWD $PWD >monitrc; chmod 600 monitrc\n\
                 printf 'printf \"Subject: $MONIT_SERVICE of %s\\n\\n$MONIT_DESCRIPTION\\n\" | /usr/sbin/sendmail root\n' $MARK >alert\n\
                 monit -c monitrc; await",
        from: "root@client.example",
        to: &["ok-root@sink.test"],
        header: &["From: root <root@client.example>", "Subject: gone of mark"],
        body: &["doesn't exist"],
    });
}
