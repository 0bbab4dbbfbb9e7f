//! What of a server's words may be written down, when it repeats our secret? (sealpost(1), "TLS policy")

use std::{borrow::Cow, fmt};

use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use zeroize::Zeroizing;

use super::{Credentials, Kind, bearer, plain};

/// What stands in a secret's place.
const HIDDEN: &str = "***";
/// So many octets of a secret in a row are no accident.
const TELLING: usize = 4;

/// Hides a secret in foreign text: as it is, and as each mechanism that shows it says it in base64.
#[derive(Clone, Default)]
pub struct Mask(Vec<Zeroizing<String>>);

impl Mask {
    /// Hides the secret of these credentials.
    pub fn new(credentials: &Credentials) -> Self {
        let Credentials { user, secret, .. } = credentials;
        let mut forms = vec![Zeroizing::new(secret.expose().to_owned()), Zeroizing::new(STANDARD_NO_PAD.encode(secret.expose()))];
        let messages = match secret.kind() {
            Kind::Password => [plain(user, secret).ok(), None],
            Kind::Token => [bearer::oauthbearer(credentials).ok(), bearer::xoauth2(user, secret).ok()],
            Kind::Ticket | Kind::Nothing => return Self::default(),
        };
        // What a mechanism can't say, no server was told that way.
        forms.extend(messages.into_iter().flatten().map(|message| Zeroizing::new(STANDARD_NO_PAD.encode(&message))));
        Self::of(forms)
    }

    /// Hides these texts.
    pub fn of(mut forms: Vec<Zeroizing<String>>) -> Self {
        forms.retain(|form| !form.is_empty());
        forms.sort_by_key(|form| std::cmp::Reverse(form.len()));
        Self(forms)
    }

    /// The text without the secret.
    pub fn hide<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut shown = Cow::Borrowed(text);
        for form in self.0.iter().filter(|form| text.contains(form.as_str())) {
            let less = shown.replace(form.as_str(), HIDDEN);
            // What was left of the secret in the text before is overwritten.
            if let Cow::Owned(before) = std::mem::replace(&mut shown, Cow::Owned(less)) {
                drop(Zeroizing::new(before));
            }
        }
        shown
    }

    /// As [`Mask::hide`], for a text that breaks off: what it ends with may be the beginning of the secret, which then goes too.
    pub fn hide_broken_off(&self, text: &str) -> String {
        let mut shown = self.hide(text).into_owned();
        let is_begun = |end: &str| self.0.iter().any(|form| form.starts_with(end));
        let begun = shown.char_indices().map(|(at, _)| at).find(|at| shown.len() - at >= TELLING && is_begun(&shown[*at..]));
        if let Some(at) = begun {
            shown.truncate(at);
            shown.push_str(HIDDEN);
        }
        shown
    }
}

impl fmt::Debug for Mask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}
