//! How are OpenSSL's words told to people and the log? (its error queue as text; IANA TLS parameters)

use rustls::CipherSuite;

use crate::{
    host::{config, tls::words},
    mail::{
        policy::Start,
        tls::{Failure, Finding},
    },
};

/// Groups of a key exchange by their IANA names, as far as an OpenSSL may know them.
const GROUPS: [(u16, &str); 19] = [
    (23, "secp256r1"),
    (24, "secp384r1"),
    (25, "secp521r1"),
    (26, "brainpoolP256r1"),
    (27, "brainpoolP384r1"),
    (28, "brainpoolP512r1"),
    (29, "x25519"),
    (30, "x448"),
    (31, "brainpoolP256r1tls13"),
    (32, "brainpoolP384r1tls13"),
    (33, "brainpoolP512r1tls13"),
    (256, "ffdhe2048"),
    (257, "ffdhe3072"),
    (258, "ffdhe4096"),
    (259, "ffdhe6144"),
    (260, "ffdhe8192"),
    (0x11eb, "SecP256r1MLKEM768"),
    (0x11ec, "X25519MLKEM768"),
    (0x11ed, "SecP384r1MLKEM1024"),
];

pub(super) fn version_name(version: u16) -> String {
    match version {
        0x0301..=0x0304 => format!("TLSv1.{}", version - 0x0301),
        other => unnamed(other),
    }
}

/// rustls's table marks the suites of TLS 1.3 in the name, IANA does not.
pub(super) fn cipher_name(suite: u16) -> String {
    let name = CipherSuite::from(suite).as_str();
    name.map_or_else(|| unnamed(suite), |name| name.strip_prefix("TLS13_").map_or(name.to_owned(), |rest| format!("TLS_{rest}")))
}

pub(super) fn group_name(group: u16) -> String {
    GROUPS.iter().find(|(number, _)| *number == group).map_or_else(|| unnamed(group), |(_, name)| (*name).to_owned())
}

fn unnamed(number: u16) -> String {
    format!("0x{number:04x}")
}

/// What is wrong with a certificate that the library refuses; `None` where it failed for something else.
pub(super) fn refusal(error: &str) -> Option<Finding> {
    // native-tls adds what OpenSSL says of the chain, and nothing where it has nothing against it.
    let said = error.strip_suffix(')').and_then(|error| error.rsplit_once(" (")).map(|(_, said)| said);
    let said = said.or_else(|| reasons(error).find(|reason| *reason == "certificate verify failed"))?;
    let failure = match said {
        said if ["expired", "not yet valid", "notBefore", "notAfter"].iter().any(|word| said.contains(word)) => {
            Failure::CertificateExpired
        }
        said if said.contains("mismatch") => Failure::CertificateHostMismatch,
        _ => Failure::CertificateNotTrusted,
    };
    Some(Finding::new(failure, format!("OpenSSL does not accept the certificate: {said}")))
}

/// Why a handshake or a connection failed, for a person.
pub(super) fn explain(error: &str, start: Start, oldest: config::Version) -> String {
    for reason in reasons(error) {
        if let Some(alert) = alert_name(reason) {
            return if alert == "protocol_version" { words::too_old(oldest.as_str()) } else { words::alert(&alert) };
        }
        match reason {
            "unsupported protocol" | "wrong ssl version" => return words::too_old(oldest.as_str()),
            "wrong version number" => return words::plaintext(start).to_owned(),
            "bad signature" | "digest check failed" => {
                return "the server could not prove that it holds its certificate's key: the signature is wrong".to_owned();
            }
            weak if weak.ends_with("key too small") || weak.ends_with("too weak") => {
                return format!("{weak}: this system's OpenSSL wants more (its security level)");
            }
            _ => {}
        }
    }
    plainly(error)
}

/// The reasons alone, without the places in OpenSSL's own source.
pub(super) fn plainly(error: &str) -> String {
    let told: Vec<&str> = reasons(error).collect();
    if told.is_empty() { error.to_owned() } else { format!("OpenSSL: {}", told.join(", ")) }
}

/// Errors read `error:CODE:LIBRARY:FUNCTION:REASON:FILE:LINE:DATA`, one after the other.
fn reasons(error: &str) -> impl Iterator<Item = &str> {
    error.split("error:").skip(1).filter_map(|one| one.split(':').nth(3))
}

/// OpenSSL's `sslv3 alert bad certificate`, `tlsv1 alert unknown ca`, `tlsv13 alert certificate required` as RFC 8446 section 6 has
/// them. It leaves the word out of the alerts of RFC 6066.
fn alert_name(reason: &str) -> Option<String> {
    let (protocol, words) = reason.split_once(' ')?;
    if !["sslv3", "tlsv1", "tlsv13", "ssl/tls"].contains(&protocol) {
        return None;
    }
    Some(words.strip_prefix("alert ").unwrap_or(words).replace(' ', "_"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const VERIFY: &str = "error:0A000086:SSL routines:tls_post_process_server_certificate:certificate verify failed:../ssl/statem/statem_clnt.c:1889:";

    #[test]
    fn the_kind_of_a_refusal_is_read_from_the_words() {
        let table = [
            ("certificate has expired", Failure::CertificateExpired),
            ("certificate is not yet valid", Failure::CertificateExpired),
            ("format error in certificate's notAfter field", Failure::CertificateExpired),
            ("hostname mismatch", Failure::CertificateHostMismatch),
            ("IP address mismatch", Failure::CertificateHostMismatch),
            ("self-signed certificate", Failure::CertificateNotTrusted),
            ("unable to get local issuer certificate", Failure::CertificateNotTrusted),
            ("something new", Failure::CertificateNotTrusted),
        ];
        for (said, failure) in table {
            let finding = refusal(&format!("{VERIFY} ({said})")).unwrap();
            assert_eq!(finding, Finding::new(failure, format!("OpenSSL does not accept the certificate: {said}")));
        }
        assert_eq!(refusal(VERIFY).map(|finding| finding.failure), Some(Failure::CertificateNotTrusted));
        assert_eq!(refusal("error:0A00010B:SSL routines:ssl3_get_record:wrong version number:../ssl3_record.c:354:"), None);
    }

    #[test]
    fn errors_become_sentences() {
        let error = |reason: &str| format!("error:0A000410:SSL routines:ssl3_read_bytes:{reason}:../rec_layer_s3.c:1586:SSL alert");
        let table = [
            ("sslv3 alert handshake failure", "with the alert handshake_failure: it shares no cipher"),
            ("ssl/tls alert bad certificate", "with the alert bad_certificate"),
            ("tlsv13 alert certificate required", "client_cert"),
            ("tlsv1 unrecognized name", "with the alert unrecognized_name"),
            ("tlsv1 alert protocol version", "only TLS older than 1.1"),
            ("unsupported protocol", "only TLS older than 1.1"),
            ("wrong version number", "in plaintext after STARTTLS"),
            ("bad signature", "could not prove that it holds"),
            ("dh key too small", "dh key too small: this system's OpenSSL wants more"),
            ("record too small", "OpenSSL: record too small"),
            ("unexpected message", "OpenSSL: unexpected message"),
        ];
        for (reason, part) in table {
            let text = explain(&error(reason), Start::Starttls, config::Version::Tls11);
            assert!(text.contains(part), "{text}");
        }
        let two = format!("{}, {}", error("first"), error("second"));
        assert_eq!(plainly(&two), "OpenSSL: first, second");
        assert_eq!(plainly("unexpected EOF"), "unexpected EOF");
    }

    #[test]
    fn numbers_have_their_registered_names_or_are_shown() {
        assert_eq!([0x0301, 0x0303, 0x0304, 0x0300].map(version_name), ["TLSv1.0", "TLSv1.2", "TLSv1.3", "0x0300"]);
        let suites = [0x1302, 0x002f, 0x009e, 0xc02f, 0xfafa].map(cipher_name);
        let names = [
            "TLS_AES_256_GCM_SHA384",
            "TLS_RSA_WITH_AES_128_CBC_SHA",
            "TLS_DHE_RSA_WITH_AES_128_GCM_SHA256",
            "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
            "0xfafa",
        ];
        assert_eq!(suites, names);
        assert_eq!([29, 0x11ec, 257, 9].map(group_name), ["x25519", "X25519MLKEM768", "ffdhe3072", "0x0009"]);
    }
}
