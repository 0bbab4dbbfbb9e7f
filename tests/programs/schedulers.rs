//! cron and its kin: they mail what a job printed.

use crate::kit::{Case, arrives};

#[test]
fn cron_mails_what_a_job_printed() {
    arrives(&Case {
        programs: &["cron"],
        script: "rm -f /etc/cron.d/* /etc/crontab; mkdir -p /var/spool/cron/crontabs\n\
                 printf 'MAILTO=root,ok-cron@sink.test\n@reboot alice echo first; echo .; echo %s\n' $MARK >/etc/cron.d/job\n\
                 cron; await",
        from: "alice@client.example",
        to: &["ok-root@sink.test", "ok-cron@sink.test"],
        header: &[
            "From: root@client.example (Cron Daemon)",
            "To: root@client.example,ok-cron@sink.test",
            "Subject: Cron <alice@client> echo first",
            "Content-Type: text/plain; charset=",
        ],
        body: &["first\n.\nmark"],
    });
}

#[test]
fn systemd_cron_mails_the_state_of_a_job_that_failed() {
    arrives(&Case {
        programs: &["systemd-cron"],
        // Its mailer is the real one; what systemd would answer is not. A machine shares /tmp and more with the host, and a systemd
        // that boots in it empties /tmp (tmpfiles.d), the host's.
        script: "mkdir bin; printf '#!/bin/sh\\ncase $1-$3 in\\nshow-*User) echo User=root;; show-*) echo Environment=;;\\n\
                 *) echo \"job failed: %s\"; exit 3;; esac\\n' $MARK >bin/systemctl\n\
                 chmod +x bin/systemctl; PATH=$PWD/bin:$PATH /usr/lib/systemd-cron/mail_on_failure cron-job-root-0.service; await",
        from: "root@client.example",
        to: &["ok-root@sink.test"],
        header: &[
            "From: root@client.example (systemd-cron)",
            "To: root@client.example",
            "Subject: [client.example] job cron-job-root-0.service failed",
            "Auto-Submitted: auto-generated",
        ],
        body: &["job failed: mark"],
    });
}

#[test]
fn at_mails_what_a_job_printed() {
    arrives(&Case {
        programs: &["at"],
        script: "mkdir -p /var/spool/cron/atjobs /var/spool/cron/atspool; chown -R daemon:daemon /var/spool/cron/at*\n\
                 echo 0 >/var/spool/cron/atjobs/.SEQ; chown daemon:daemon /var/spool/cron/atjobs/.SEQ\n\
                 chown daemon:daemon /usr/bin/at; chmod 6755 /usr/bin/at; echo >/etc/at.deny\n\
                 atd; echo \"echo $MARK\" | at now; await",
        from: "root@client.example",
        to: &["ok-root@sink.test"],
        header: &["To: root@client.example", "Subject: Output from your job"],
        body: &["mark"],
    });
}

#[test]
fn anacron_mails_what_a_job_printed() {
    arrives(&Case {
        programs: &["anacron"],
        script: "mkdir -p /var/spool/anacron; printf 'SHELL=/bin/sh\\nPATH=/usr/bin\\n1 0 job.daily echo %s\\n' $MARK >/etc/anacrontab\n\
                 anacron -d -f -n; await",
        from: "root@client.example",
        to: &["ok-root@sink.test"],
        header: &[
            "From: Anacron <root@client.example>",
            "To: root@client.example",
            "Subject: Anacron job 'job.daily' on client.example",
        ],
        body: &["mark"],
    });
}
