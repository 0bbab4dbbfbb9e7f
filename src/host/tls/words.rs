//! How is a failed handshake told to people, whichever library failed? (RFC 8446 section 6)

use crate::mail::policy::Start;

/// The server's octets are no TLS.
pub(super) fn plaintext(start: Start) -> &'static str {
    match start {
        Start::Implicit => "the server spoke plaintext SMTP: the port wants start = \"starttls\"",
        Start::Starttls => "the server went on in plaintext after STARTTLS",
    }
}

/// The server knows no version that is new enough.
pub(super) fn too_old(oldest: &str) -> String {
    format!("the server offers only TLS older than {oldest}")
}

/// The server sent the alert that RFC 8446 calls so.
pub(super) fn alert(name: &str) -> String {
    let meaning = match name {
        "handshake_failure" => ": it shares no cipher, key exchange or signature with us",
        "certificate_required" => ": it wants client_cert and client_key",
        _ => "",
    };
    format!("the server ended the handshake with the alert {name}{meaning}")
}
