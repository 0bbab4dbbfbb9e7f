//! Does the service send to whom it can, and tell the sender of what is no address?

use crate::{
    common::MESSAGE,
    kit::{Service, arrive, sink, text},
};

#[test]
fn what_is_no_address_is_told_to_whom_the_service_chooses_as_the_sender() {
    let sink = sink();
    let service = Service::new(sink.address, "");
    service.configure_with(sink.address, "", "from = \"cron@example.com\"");
    let service = service.start();
    let message = MESSAGE.replace("To: ok@sink.test", "To: ok@sink.test, too@@sink.test, \"a, +b\"@@x");
    let run = service.sendmail(None, &["-t"], message.as_bytes());
    assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{}", service.errors());
    let mut mails = arrive(&sink, 2);
    mails.sort_by_key(|mail| mail.transaction.sender.is_empty());
    let to = |at: usize| mails[at].transaction.recipients.iter().map(|to| to.address.clone()).collect::<Vec<_>>();
    assert_eq!((mails[0].transaction.sender.as_str(), to(0)), ("cron@example.com", vec!["ok@sink.test".into()]));
    assert_eq!((mails[1].transaction.sender.as_str(), to(1)), ("", vec!["cron@example.com".into()]));
    let report = text(&mails[1]);
    for named in ["unknown; too@@sink.test\r\n", "unknown; \"a, +b\"@@x\r\n"] {
        assert!(
            report.contains(&format!("\r\nFinal-Recipient: {named}Action: failed\r\nStatus: 5.1.3\r\n")),
            "{named} is missing in {report}"
        );
    }
}

#[test]
fn a_list_of_strays_that_is_none_is_refused() {
    let service = Service::new(sink().address, "").start();
    let many = "a,b,".repeat(17);
    let long = format!("{},b", "a".repeat(201));
    for value in ["a", "a,b,c", "+0A,b", "a,=", ",b", "a,", &long, many.trim_end_matches(',')] {
        let mut client = service.client();
        client.hello();
        client.says(&format!("MAIL FROM:<root@client.test> XSTRAYS={value}"), "501 5.5.4 ");
    }
}
