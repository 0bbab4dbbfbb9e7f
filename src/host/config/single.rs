//! Is a single value one that its key would take? (for who has it from elsewhere; sealpost.toml(5))

use super::{Proxy, Target, values};

/// A SHA-256 digest as `pins` takes it; `Err` says what is wrong.
///
/// # Errors
/// The text is no digest.
pub fn pin(text: &str) -> Result<[u8; 32], String> {
    values::pin(text).map_err(|fault| fault.because)
}

/// Whether `host`, as an account has it, is on this machine by its very name.
pub(in crate::host) fn is_loopback(host: &str) -> bool {
    let target = values::host(host).map(|host| match host {
        values::Host::Name(name) => Target::Name(name, 0),
        values::Host::Address(address) => Target::Address(address, 0),
    });
    host.starts_with("unix:") || target.is_ok_and(|target| target.is_local())
}

/// A smarthost's name, as A-labels and without its trailing dot, or its address.
///
/// # Errors
/// The text is neither.
pub fn host(text: &str) -> Result<String, String> {
    match values::host(text).map_err(|fault| fault.because)? {
        values::Host::Name(name) => Ok(name),
        values::Host::Address(address) => Ok(address.to_string()),
    }
}

/// A proxy as `proxy` takes it.
///
/// # Errors
/// The text is none.
pub fn proxy(text: &str) -> Result<Proxy, String> {
    values::proxy(text).map_err(|fault| fault.because)
}
