//! Do keys and signatures of every kind, and certificates of every odd make, get the right verdict, soon and in few words? (RFC 5280)

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test says what is wrong by panicking")]

mod common;

#[cfg(feature = "native-tls")]
#[path = "certificates/native.rs"]
mod native;
#[path = "certificates/odd.rs"]
mod odd;
#[path = "certificates/openssl.rs"]
mod openssl;
