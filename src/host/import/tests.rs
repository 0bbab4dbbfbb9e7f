use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::host::{config, world::Pretend};

/// Texts that are nowhere but here.
struct Known(BTreeMap<PathBuf, String>);

impl Texts for Known {
    fn read(&self, path: &Path) -> io::Result<String> {
        self.0.get(path).cloned().ok_or(io::ErrorKind::NotFound.into())
    }

    fn is_directory(&self, path: &Path) -> bool {
        self.0.keys().any(|known| known.parent() == Some(path))
    }

    fn is_public(&self, _: &Path) -> bool {
        false
    }
}

fn world() -> Pretend {
    Pretend { state_dir: Some("/home/ann/.local/state/sealpost".into()), ..Pretend::default() }.with_env("HOME", "/home/ann")
}

fn drafted(kind: Kind, texts: &[(&str, &str)]) -> Result<Draft, Error> {
    let known = Known(texts.iter().map(|(path, text)| (PathBuf::from(path), (*text).to_owned())).collect());
    import(&world(), &known, Some(kind), &[PathBuf::from(texts[0].0)])
}

/// Everything that a person could see.
fn visible(draft: &Draft) -> String {
    let notes: Vec<&str> = draft.notes.iter().map(|note| note.text.as_str()).collect();
    draft.toml.clone() + &notes.join("\n")
}

#[test]
fn a_login_by_ticket_is_carried_over_where_there_are_tickets_and_told_of_where_not() {
    let text = "account default\nhost smtp.example.com\ntls on\nauth gssapi\nuser ann\n";
    let draft = drafted(Kind::Msmtp, &[("/x/msmtprc", text)]).unwrap();
    assert_eq!(draft.toml.contains("mechanism = \"GSSAPI\""), cfg!(feature = "gssapi"));
    assert_eq!(visible(&draft).contains("built without GSSAPI"), !cfg!(feature = "gssapi"));
}

#[test]
fn an_account_goes_with_a_proxy_that_can_t_be_had_and_never_around_it() {
    let text = "account a\nhost a.example\nproxy_host a b\nproxy_port 9050\naccount b\nhost b.example\naccount default : b\n";
    let draft = drafted(Kind::Msmtp, &[("/x/msmtprc", text)]).unwrap();
    assert_eq!(draft.accounts, ["b"], "{}", draft.toml);
    assert!(visible(&draft).contains("the account as a whole: "), "{}", visible(&draft));
}

#[test]
fn what_is_left_out_of_tls_never_makes_it_weaker() {
    let text = "account default\nhost 192.0.2.1\ntls on\ntls_fingerprint zz\ntls_host_override a b\n";
    let draft = drafted(Kind::Msmtp, &[("/x/msmtprc", text)]).unwrap();
    let config = config::parse(&world(), Path::new("/x/config.toml"), &draft.toml).unwrap();
    assert!(config.accounts[0].tls.demand.must_encrypt() && config.accounts[0].tls.demand.must_trust());
    let text = "relayhost = [192.0.2.1]\nsmtp_tls_security_level = dane-only\n";
    let draft = drafted(Kind::Postfix, &[("/x/main.cf", text)]).unwrap();
    let config = config::parse(&world(), Path::new("/x/config.toml"), &draft.toml).unwrap();
    assert!(config.accounts[0].tls.demand.must_trust());
    assert!(visible(&draft).contains("TLSA records belong to a name"));
}

#[test]
fn the_password_of_another_server_is_not_taken() {
    let main = "relayhost = [a.example]:587\nsmtp_sasl_auth_enable = yes\nsmtp_sasl_password_maps = hash:/x/passwd\n";
    for (key, taken) in
        [("[a.example]:587", true), ("a.example", true), ("[a.example]", false), ("[b.example]:587", false), ("example", false)]
    {
        let draft = drafted(Kind::Postfix, &[("/x/main.cf", main), ("/x/passwd", &format!("{key} u:p\n"))]).unwrap();
        assert_eq!(!draft.secrets.is_empty(), taken, "{key}");
    }
    let dma = "SMARTHOST a.example\nAUTHPATH /x/auth.conf\nSECURETRANS\n";
    let draft = drafted(Kind::Dma, &[("/x/dma.conf", dma), ("/x/auth.conf", "u|b.example:p\n")]).unwrap();
    assert!(draft.secrets.is_empty());
}

#[test]
fn files_of_secrets_have_names_of_their_own_in_their_directory() {
    let account = |name: &str| format!("account {name}\nhost x.example\ntls on\nauth on\nuser u\npassword p-{}\n", name.len());
    let text = account("../../etc/shadow") + &account("a/b") + &account("a_b") + &account(".") + &account("ü");
    let draft = drafted(Kind::Msmtp, &[("/x/msmtprc", &text)]).unwrap();
    let paths: Vec<&str> = draft.secrets.iter().map(|secret| secret.path.to_str().unwrap()).collect();
    assert_eq!(paths, ["secrets/_.._.._etc_shadow", "secrets/a_b", "secrets/a_b-2", "secrets/_.", "secrets/_"]);
    // A name longer than a file may have.
    let draft = drafted(Kind::Msmtp, &[("/x/msmtprc", &account(&"a".repeat(300)))]).unwrap();
    assert!(draft.secrets[0].path.as_os_str().len() < 100 && draft.accounts[0].len() == 300);
}

#[test]
fn foreign_text_forges_no_line_of_the_configuration() {
    let text = "account a\u{2028}b\nhost x.example\nfrom \"a\\\"b\"@x.example\ntls on\neval printf '\u{1b}[2J\r$(x)'\npasswordeval 'a' \"b\" \\c\nauth on\nuser '\"\"'\n";
    let draft = drafted(Kind::Msmtp, &[("/x/msmtprc", text)]).unwrap();
    assert!(!draft.toml.replace('\n', "").chars().any(crate::error::is_treacherous), "{}", draft.toml);
    let config = config::parse(&world(), Path::new("/x/config.toml"), &draft.toml).unwrap();
    let auth = config.accounts[0].auth.as_ref().unwrap();
    assert_eq!(auth.user, "'\"\"'");
    assert!(matches!(&auth.source, config::SecretSource::Command(command) if command == "'a' \"b\" \\c"));
}

/// The secret of the properties: no word of any of these configurations, so that what shows it shows a secret.
const SECRET: &str = "Zq9-hunter";

/// Pieces that configurations are made of.
const PIECES: [&str; 60] = [
    "account ",
    "account default : ",
    "defaults\n",
    "eval echo ",
    "eval ",
    "host ",
    "port ",
    "tls on\n",
    "tls off\n",
    "auth on\n",
    "auth ",
    "user ",
    "from ",
    "tls_fingerprint ",
    "tls_certcheck off\n",
    "socket ",
    "passwordeval ",
    "a",
    "b.example",
    "@",
    ":",
    "=",
    " ",
    "\n",
    "\n ",
    "\"",
    "'",
    "\\",
    "$",
    "${",
    "}",
    "(",
    ")",
    "[",
    "]",
    "465",
    "mailhub=",
    "AuthUser=me\n",
    "UseTLS=YES\n",
    "root=",
    "SMARTHOST ",
    "AUTHPATH /x/more\n",
    "SECURETRANS\n",
    "STARTTLS\n",
    "MASQUERADE ",
    "hostname=",
    "username=u\n",
    "identity=",
    "starttls=required\n",
    "force reverse_path=",
    "relayhost = ",
    "smtp_sasl_auth_enable = yes\n",
    "smtp_tls_policy_maps = hash:/x/more\n",
    "sender_dependent_relayhost_maps = hash:/x/more\n",
    "smtp_tls_security_level = ",
    "dane",
    "smtp port=25 user=u ",
    "%U@",
    "ü\u{7f}",
    "#",
];

/// Lines that hold a secret where each program has one.
fn with_secret(kind: Kind) -> &'static str {
    match kind {
        Kind::Msmtp => "account s\nhost s.example\ntls on\nauth on\nuser me\npassword Zq9-hunter\n",
        Kind::Ssmtp => "\nmailhub=s.example\nAuthUser=me\nAuthPass=Zq9-hunter\n",
        Kind::Nullmailer => "\ns.example smtp user=me pass=Zq9-hunter\n",
        Kind::Dma => "\nSMARTHOST s.example\nAUTHPATH /x/secret\n",
        Kind::Esmtp => "\nidentity=s@s.example\nhostname=s.example\nusername=me\npassword=Zq9-hunter\n",
        Kind::Postfix => "\nrelayhost = [s.example]\nsmtp_sasl_auth_enable = yes\nsmtp_sasl_password_maps = hash:/x/secret\n",
    }
}

proptest! {
    #[test]
    fn whatever_stands_there_what_comes_out_is_valid(
        kind in prop::sample::select(Kind::ALL.to_vec()),
        pieces in prop::collection::vec(prop::sample::select(PIECES.to_vec()), 0..60),
        more in prop::collection::vec(prop::sample::select(PIECES.to_vec()), 0..20),
    ) {
        let (text, more) = (pieces.concat(), more.concat());
        match drafted(kind, &[("/x/file", &text), ("/x/more", &more), ("/x/revaliases", &more), ("/x/me", &more)]) {
            Ok(draft) => {
                let config = config::parse(&world(), Path::new("/x/config.toml"), &draft.toml);
                prop_assert!(config.is_ok(), "{:?}\n{}", config, draft.toml);
                prop_assert!(!draft.accounts.is_empty());
            }
            Err(error) => prop_assert_eq!(error.exit(), Exit::DataErr, "{}", error),
        }
    }

    #[test]
    fn no_octets_make_it_panic(kind in prop::sample::select(Kind::ALL.to_vec()), text in "\\PC{0,20}([a-z_A-Z]{1,10}[ =:|]\\PC{0,20}\n){0,8}") {
        let _ = drafted(kind, &[("/x/file", &text), ("/x/auth.conf", &text)]);
    }

    #[test]
    fn a_secret_is_in_its_file_and_nowhere_else(
        kind in prop::sample::select(Kind::ALL.to_vec()),
        before in prop::collection::vec(prop::sample::select(PIECES.to_vec()), 0..12),
        after in prop::collection::vec(prop::sample::select(PIECES.to_vec()), 0..12),
    ) {
        let text = before.concat() + "\n" + with_secret(kind) + &after.concat();
        let secret = format!("me|s.example:{SECRET}\n");
        let table = format!("[s.example] me:{SECRET}\n");
        let secret = if kind == Kind::Dma { &secret } else { &table };
        if let Ok(draft) = drafted(kind, &[("/x/file", &text), ("/x/secret", secret)]) {
            prop_assert!(!visible(&draft).contains(SECRET), "{}", visible(&draft));
        }
    }
}

#[test]
fn the_secret_of_the_properties_is_found_where_nothing_stands_in_its_way() {
    for kind in Kind::ALL {
        let secret = if kind == Kind::Dma { format!("me|s.example:{SECRET}\n") } else { format!("[s.example] me:{SECRET}\n") };
        let draft = drafted(kind, &[("/x/file", with_secret(kind)), ("/x/secret", &secret)]).unwrap();
        let kept: Vec<&str> = draft.secrets.iter().map(|file| file.secret.expose()).collect();
        assert_eq!(kept, [SECRET], "{kind:?}");
    }
}
