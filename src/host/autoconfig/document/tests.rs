use proptest::prelude::*;

use super::*;

const GOOD: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<!-- as a provider writes it -->
<clientConfig version="1.1">
  <emailProvider id="example.com">
    <domain>example.com</domain>
    <incomingServer type="imap"><hostname>imap.example.com</hostname><port>993</port><socketType>SSL</socketType></incomingServer>
    <outgoingServer type="smtp">
      <hostname>clear.example.com</hostname><port>25</port><socketType>plain</socketType>
    </outgoingServer>
    <outgoingServer type="smtp">
      <hostname> smtp.%EMAILDOMAIN% </hostname>
      <port>587</port>
      <socketType>STARTTLS</socketType>
      <username>%EMAILLOCALPART%&amp;<![CDATA[co]]>&#x21;</username>
      <authentication>NTLM</authentication>
      <authentication>password-cleartext</authentication>
      <authentication>OAuth2</authentication>
    </outgoingServer>
    <outgoingServer type="smtp"><hostname>two.example.com</hostname><socketType>SSL</socketType></outgoingServer>
  </emailProvider>
  <webMail><loginPage url="https://example.com/"/></webMail>
</clientConfig>
"#;

#[test]
fn servers_with_tls_are_taken_in_their_order() {
    let servers = parse(GOOD).unwrap();
    let address = Address::parse("me@example.com").unwrap();
    let [first, second] = &servers.into_iter().map(|server| server.of(&address)).collect::<Vec<_>>()[..] else { panic!() };
    assert_eq!((first.host.as_str(), first.port, first.start), ("smtp.example.com", 587, Start::Starttls));
    assert_eq!((first.user.as_deref(), first.login), (Some("me&co!"), Login::Password));
    assert_eq!((second.host.as_str(), second.port, second.start, &second.user), ("two.example.com", 465, Start::Implicit, &None));
}

#[test]
fn what_is_hostile_or_no_such_document_is_refused() {
    let server = |inner: &str| {
        format!(
            "<clientConfig><emailProvider><outgoingServer type=\"smtp\">{inner}</outgoingServer></emailProvider></clientConfig>"
        )
    };
    let bomb = format!(
        "<!DOCTYPE x [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;\">]>{}",
        server("<hostname>&b;</hostname><socketType>SSL</socketType>")
    );
    let outside = format!("<!DOCTYPE x SYSTEM \"file:///etc/passwd\">{}", server("<hostname>h</hostname>"));
    for (text, why) in [
        (bomb, "it has a DTD"),
        (outside, "it has a DTD"),
        (server("<hostname>&xxe;</hostname>"), "it has an entity of its own"),
        (server("<hostname>&#0;</hostname>"), ""),
        (server("<hostname>a\nb</hostname>"), "is none"),
        (server("<hostname></hostname>"), "is none"),
        (server(&format!("<hostname>{}</hostname>", "x".repeat(300))), "is none"),
        (server("<port>0</port>"), "a port"),
        (server("<port>65536</port>"), "a port"),
        (server("<port>-1</port>"), "a port"),
        (server("<port>five</port>"), "a port"),
        ("<html><body>Not found</body></html>".to_owned(), "its root"),
        ("<clientConfig><emailProvider>".to_owned(), "it breaks off"),
        ("<clientConfig></emailProvider>".to_owned(), ""),
        ("<clientConfig a='1' a='2'".to_owned(), ""),
    ] {
        let error = parse(&text).unwrap_err();
        assert!(error.contains(why), "{text}: {error}");
    }
}

#[test]
fn what_names_no_server_with_tls_names_none() {
    let server = |inner: &str| {
        format!(
            "<clientConfig><emailProvider><outgoingServer type=\"smtp\">{inner}</outgoingServer></emailProvider></clientConfig>"
        )
    };
    for text in [
        String::new(),
        "<clientConfig/>".to_owned(),
        server("<hostname>h</hostname><socketType>plain</socketType>"),
        server("<hostname>h</hostname><socketType>auto</socketType>"),
        server("<hostname>h</hostname>"),
        server("<socketType>SSL</socketType>"),
        server("<hostname>h</hostname><socketType>SSL</socketType>").replace("smtp", "exchange"),
        server("<hostname>h</hostname><socketType>SSL</socketType>").replace(" type=\"smtp\"", ""),
        server("<x><hostname>h</hostname><socketType>SSL</socketType></x>"),
        server("<hostname>h</hostname><socketType>SSL</socketType>").replace("emailProvider", "other"),
    ] {
        assert_eq!(parse(&text), Ok(Vec::new()), "{text}");
    }
}

#[test]
fn many_elements_and_deep_ones_end() {
    let deep = format!("<clientConfig>{}", "<a>".repeat(40_000));
    assert_eq!(parse(&deep), Err("it breaks off".to_owned()));
    let wide = format!("<clientConfig>{}</clientConfig>", "<outgoingServer/>".repeat(7_000));
    assert_eq!(parse(&wide), Ok(Vec::new()));
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,200}", cut in 0usize..1000) {
        let _ = parse(&text);
        let cut = GOOD.char_indices().nth(cut).map_or(GOOD.len(), |(at, _)| at);
        let _ = parse(&format!("{}{text}{}", &GOOD[..cut], &GOOD[cut..]));
    }
}
