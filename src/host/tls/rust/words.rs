//! How are rustls's words told to people and the log? (IANA TLS parameters; RFC 8446 section 6)

use std::fmt::Debug;

use rustls::{AlertDescription, CertificateError, CipherSuite, InvalidMessage, NamedGroup, PeerIncompatible, ProtocolVersion};

use crate::{host::tls::words, mail::policy::Start};

/// `TLSv1.3`, `TLSv1.2`.
pub(super) fn version_name(version: ProtocolVersion) -> String {
    name(version.as_str(), &version).replace('_', ".")
}

/// rustls marks the suites of TLS 1.3 in the name, IANA does not.
pub(super) fn cipher_name(suite: CipherSuite) -> String {
    let name = name(suite.as_str(), &suite);
    name.strip_prefix("TLS13_").map_or_else(|| name.clone(), |rest| format!("TLS_{rest}"))
}

pub(super) fn group_name(group: NamedGroup) -> String {
    match group {
        NamedGroup::X25519 => "x25519".to_owned(),
        other => name(other.as_str(), &other),
    }
}

/// rustls's name, or the number of what it has no name for. (Its `Debug` writes both, but lies with what no send runs.)
fn name(known: Option<&str>, value: &dyn Debug) -> String {
    known.map_or_else(|| format!("{value:?}"), str::to_owned)
}

/// Why a handshake failed, for a person.
pub(super) fn explain(error: &rustls::Error, start: Start, only_tls13: bool) -> String {
    match error {
        rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => words::plaintext(start).to_owned(),
        rustls::Error::AlertReceived(AlertDescription::ProtocolVersion)
        | rustls::Error::PeerIncompatible(
            PeerIncompatible::ServerDoesNotSupportTls12Or13 | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
        ) if only_tls13 => words::too_old("1.3"),
        rustls::Error::AlertReceived(AlertDescription::ProtocolVersion)
        | rustls::Error::PeerIncompatible(PeerIncompatible::ServerDoesNotSupportTls12Or13) => {
            format!("{}; backend = \"native-tls\" may speak it, with min_version = \"1.0\"", words::too_old("1.2"))
        }
        rustls::Error::AlertReceived(AlertDescription::HandshakeFailure) => {
            format!("{}; backend = \"native-tls\" knows more of them", words::alert("handshake_failure"))
        }
        rustls::Error::AlertReceived(alert) => words::alert(&alert_name(*alert)),
        rustls::Error::InvalidCertificate(CertificateError::BadSignature) => {
            "the server could not prove that it holds its certificate's key: the signature is wrong, or the key too short (RSA below \
             2048 bits)"
                .to_owned()
        }
        rustls::Error::InvalidCertificate(why) => format!("the server could not prove that it holds its certificate's key: {why}"),
        other => other.to_string(),
    }
}

/// The alert as RFC 8446 section 6 spells it: `BadRecordMac` is `bad_record_mac`, `UnknownCA` is `unknown_ca`.
fn alert_name(alert: AlertDescription) -> String {
    match alert {
        AlertDescription::Unknown(number) => return format!("number {number}"),
        // The one that rustls spells otherwise than IANA.
        AlertDescription::UnrecognisedName => return "unrecognized_name".to_owned(),
        _ => {}
    }
    let camel = format!("{alert:?}");
    let mut snake = String::with_capacity(camel.len() + 4);
    let mut after_small = false;
    for c in camel.chars() {
        if c.is_ascii_uppercase() && after_small {
            snake.push('_');
        }
        after_small = !c.is_ascii_uppercase();
        snake.push(c.to_ascii_lowercase());
    }
    snake
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alerts_are_spelt_as_in_the_rfc() {
        let table = [
            (AlertDescription::BadRecordMac, "bad_record_mac"),
            (AlertDescription::UnknownCA, "unknown_ca"),
            (AlertDescription::InternalError, "internal_error"),
            (AlertDescription::Unknown(200), "number 200"),
        ];
        for (alert, name) in table {
            assert_eq!(alert_name(alert), name);
        }
    }

    #[test]
    fn suites_groups_and_versions_have_their_registered_names() {
        assert_eq!(cipher_name(CipherSuite::TLS13_AES_256_GCM_SHA384), "TLS_AES_256_GCM_SHA384");
        assert_eq!(cipher_name(CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256), "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256");
        assert_eq!(group_name(NamedGroup::X25519), "x25519");
        assert_eq!(group_name(NamedGroup::secp256r1), "secp256r1");
        assert_eq!(group_name(NamedGroup::X25519MLKEM768), "X25519MLKEM768");
        assert_eq!(version_name(ProtocolVersion::TLSv1_2), "TLSv1.2");
    }
}
