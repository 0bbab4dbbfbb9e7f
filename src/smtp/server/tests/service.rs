//! What does the server machine do for a service that the others don't want: somebody else decides, and sealpost asks?

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
        C: EHLO x
        S: 250-sink.example
        S: 250-PIPELINING
        S: 250-8BITMIME
        S: 250-SMTPUTF8
        S: 250-DSN
        S: 250-ENHANCEDSTATUSCODES
        S: 250-CHUNKING
        S: 250-XSEALPOST
        S: 250 SIZE 100
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
        C: EHLO x
        S: 250-sink.example
        S: 250-PIPELINING
        S: 250-8BITMIME
        S: 250-SMTPUTF8
        S: 250-DSN
        S: 250-ENHANCEDSTATUSCODES
        S: 250-CHUNKING
        S: 250 SIZE 100
        C: MAIL FROM:<> XDEFAULT
        S: 555 5.5.4 a parameter that is not offered
        C: XQUEUE FLUSH
        S: 500 5.5.2 unknown command
        ",
    );
}
