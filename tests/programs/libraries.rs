//! What programs in other languages send with.

use crate::kit::{Case, arrives};

#[test]
fn git_sends_a_series_of_patches() {
    arrives(&Case {
        programs: &["git-email"],
        script: "export HOME=$PWD PATH=$PATH:/usr/lib/git-core; git config --global user.name Ann; git config --global user.email ann@sink.test; git init -q repo; cd repo\n\
                 for n in 1; do echo $n >file; git add file; git commit -q -m \"change $n of $MARK\"; done\n\
                 git send-email --quiet --suppress-cc=author --envelope-sender=auto --confirm=never --to=ok-a@sink.test --cc='C <ok-c@sink.test>' --bcc=ok-b@sink.test --root HEAD; cd ..; await",
        from: "ann@sink.test",
        to: &["ok-a@sink.test", "ok-b@sink.test", "ok-c@sink.test"],
        header: &[
            "From: Ann <ann@sink.test>",
            "To: ok-a@sink.test",
            "Cc: C <ok-c@sink.test>",
            "Subject: [PATCH] change 1",
            "X-Mailer: git",
        ],
        body: &["create mode 100644 file"],
    });
}

#[test]
fn php_mail_sends_with_its_fifth_argument() {
    arrives(&Case {
        programs: &["php-cli"],
        script: "php8.2 -r 'exit(mail(\"A <ok-a@sink.test>, ok-c@sink.test\", \"a report\", getenv(\"MARK\").\"\\r\\n.\\r\\nafter\", \
                 [\"From\" => \"Ann <ann@sink.test>\", \"Bcc\" => \"ok-b@sink.test\", \"X-Site\" => \"shop\"], \"-fbounce@sink.test\") ? 0 : 1);'; await",
        from: "bounce@sink.test",
        to: &["ok-a@sink.test", "ok-b@sink.test", "ok-c@sink.test"],
        header: &["From: Ann <ann@sink.test>", "To: A <ok-a@sink.test>, ok-c@sink.test", "Subject: a report", "X-Site: shop"],
        body: &["mark", "\n.\nafter"],
    });
}

#[test]
fn python_sends_through_a_pipe() {
    arrives(&Case {
        programs: &[],
        script: "python3 - <<'END'\nimport os, subprocess\nfrom email.message import EmailMessage\nm = EmailMessage()\n\
                 m['From'], m['To'], m['Bcc'], m['Subject'] = 'Ann <ann@sink.test>', 'ok-a@sink.test', 'ok-b@sink.test', 'Grüße'\n\
                 m.set_content(os.environ['MARK'] + '\\nGrüße\\n.\\nafter\\n')\n\
                 subprocess.run(['/usr/sbin/sendmail', '-t', '-oi'], input=m.as_bytes(), check=True)\nEND\nawait",
        from: "root@client.example",
        to: &["ok-a@sink.test", "ok-b@sink.test"],
        header: &["From: Ann <ann@sink.test>", "To: ok-a@sink.test", "Subject: =?utf-8?", "MIME-Version: 1.0"],
        body: &["mark", "\n.\nafter"],
    });
}

#[test]
fn perl_email_sender_sends() {
    arrives(&Case {
        programs: &["libemail-sender-perl"],
        script: "perl -MEmail::Sender::Simple=sendmail -MEmail::Sender::Transport::Sendmail -e '\
                 sendmail(\"From: Ann <ann\\@sink.test>\\nTo: ok-a\\@sink.test\\nSubject: a report\\n\\n$ENV{MARK}\\n.\\nafter\\n\", \
                 {from => \"bounce\\@sink.test\", to => [\"ok-a\\@sink.test\", \"ok-b\\@sink.test\"], \
                 transport => Email::Sender::Transport::Sendmail->new})'; await",
        from: "bounce@sink.test",
        to: &["ok-a@sink.test", "ok-b@sink.test"],
        header: &["From: Ann <ann@sink.test>", "To: ok-a@sink.test", "Subject: a report"],
        body: &["mark", "\n.\nafter"],
    });
}

#[test]
fn ruby_mail_sends() {
    arrives(&Case {
        programs: &["ruby-mail"],
        script: "ruby3.1 -rmail -e 'Mail.defaults { delivery_method :sendmail }\n\
                 Mail.deliver { from \"Ann <ann@sink.test>\"; to \"ok-a@sink.test\"; bcc \"ok-b@sink.test\"; subject \"a report\"; \
                 body ENV[\"MARK\"] + \"\\n.\\nafter\\n\" }'; await",
        from: "ann@sink.test",
        to: &["ok-a@sink.test", "ok-b@sink.test"],
        header: &["From: Ann <ann@sink.test>", "To: ok-a@sink.test", "Subject: a report"],
        body: &["mark", "\n.\nafter"],
    });
}

#[test]
fn nodemailer_sends() {
    arrives(&Case {
        programs: &["nodemailer"],
        script: "cat >send.js <<'END'\nconst t = require(process.env.KIT + '/../../target/programs/nodemailer/node_modules/nodemailer')\n\
                 .createTransport({sendmail: true, newline: 'windows'});\n\
                 t.sendMail({from: 'Ann <ann@sink.test>', to: 'ok-a@sink.test', bcc: 'ok-b@sink.test', subject: 'a report', \
                 text: process.env.MARK + '\\n.\\nafter\\n'}).catch(e => { console.log(e); process.exit(1) });\nEND\nnode send.js; await",
        from: "ann@sink.test",
        to: &["ok-a@sink.test", "ok-b@sink.test"],
        header: &["From: Ann <ann@sink.test>", "To: ok-a@sink.test", "Subject: a report"],
        body: &["mark", "\n.\nafter"],
    });
}

/// With `-bs`, as Symfony does by default, or with `-t`.
fn symfony(command: &str) {
    let script = format!(
        "cat >send.php <<'END'\n<?php\nrequire 'Symfony/Component/Mailer/autoload.php'; require 'Symfony/Component/Mime/autoload.php';\n\
         $message = (new Symfony\\Component\\Mime\\Email())->from('Ann <ann@sink.test>')->to('ok-a@sink.test')->bcc('ok-b@sink.test')\n\
         ->subject('Grüße')->text(getenv('MARK') . \"\\n.\\nafter\\n\");\n\
         (new Symfony\\Component\\Mailer\\Transport\\SendmailTransport({command}))->send($message);\nEND\n\
         php8.2 -d extension=mbstring -d extension=iconv -d extension=ctype send.php || php8.2 -d extension=mbstring send.php; await"
    );
    arrives(&Case {
        programs: &["php-cli", "php-symfony-mailer"],
        script: &script,
        from: "ann@sink.test",
        to: &["ok-a@sink.test", "ok-b@sink.test"],
        header: &["From: Ann <ann@sink.test>", "To: ok-a@sink.test", "Subject: =?utf-8?"],
        body: &["mark", "\n.\nafter"],
    });
}

#[test]
fn symfony_speaks_smtp_on_standard_input() {
    symfony("");
}

#[test]
fn symfony_sends_through_a_pipe() {
    symfony("'/usr/sbin/sendmail -oi -t'");
}
