//! What is different for local programs: LF alone, no EHLO, somebody else who decides, and what sealpost itself asks?

use super::{super::*, play, settings};

#[test]
fn whoever_holds_the_connection_may_refuse_a_sender_or_a_recipient_and_pipelining_waits_for_it() {
    play(
        Settings { consult: true, ..settings() },
        r"
        C: HELO x
        S: 250 sink.example
        C: MAIL FROM:<no@b>
        C: RCPT TO:<c@d>
        C: MAIL FROM:<a@b>
        C: RCPT TO:<no>
        C: RCPT TO:<yes>
        C: XQUEUE LIST
        C: DATA
        S: 553 5.7.1 not\nyou
        S: 503 5.5.1 say MAIL first
        S: 250 2.1.0 ok
        S: 553 5.7.1 not\nyou
        S: 250 2.1.5 ok
        S: 500 5.5.2 unknown command
        S: 354 end with a dot on a line of its own
        - begin <a@b> to yes
        ",
    );
}

#[test]
fn what_sealpost_asks_of_its_service_is_offered_where_it_is_wanted_only() {
    play(
        Settings { private: true, consult: true, ..settings() },
        r#"
        hello: XSEALPOST
        C: XQUEUE list
        S: 250-{}
        S: 250 {"\u007f"}
        C: XQUEUE hold x
        S: 550 5.7.1 hold x
        C: MAIL FROM:<> XDEFAULT XACCOUNT=a+20b
        C: XQUEUE FLUSH
        S: 250 2.1.0 ok
        S: 503 5.5.1 not within a message
        "#,
    );
    play(
        settings(),
        r"
        hello:
        C: MAIL FROM:<> XDEFAULT
        S: 555 5.5.4 a parameter that is not offered
        C: MAIL FROM:<> XSTRAYS=a,b
        S: 555 5.5.4 a parameter that is not offered
        C: XQUEUE FLUSH
        S: 500 5.5.2 unknown command
        ",
    );
}

#[test]
fn a_local_program_may_speak_with_lf_alone_but_only_if_it_does_so_from_the_start() {
    play(
        Settings { lone_lf: true, ..settings() },
        r#"
        c: HELO x\nMAIL FROM:<a@b>\nRCPT TO:<c@d>\nDATA\n
        c: x\n.\nQUIT\n
        S: 250 sink.example
        S: 250 2.1.0 ok
        S: 250 2.1.5 ok
        S: 354 end with a dot on a line of its own
        - begin <a@b> to c@d
        - body "x\n"
        - deliver
        S: 250 2.0.0 kept as 1
        S: 221 2.0.0 bye
        - close
        "#,
    );
    play(
        Settings { lone_lf: true, ..settings() },
        r#"
        c: HELO x\nMAIL FROM:<a@b>\nRCPT TO:<c@d>\nDATA\r\n
        S: 250 sink.example
        S: 250 2.1.0 ok
        S: 250 2.1.5 ok
        S: 354 end with a dot on a line of its own
        - begin <a@b> to c@d
        c: x\n.\nQUIT\n
        - body "x\n.\nQUIT\n"
        "#,
    );
}

#[test]
fn a_local_program_need_not_say_who_it_is() {
    play(
        Settings { hello_first: false, ..settings() },
        r"
        C: MAIL FROM:<a@b>
        S: 250 2.1.0 ok
        C: RCPT TO:<c@d>
        S: 250 2.1.5 ok
        C: DATA
        S: 354 end with a dot on a line of its own
        - begin <a@b> to c@d
        ",
    );
}
