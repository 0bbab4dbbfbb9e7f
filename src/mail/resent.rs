//! Which fields of a header belong to the latest time it was sent again? (RFC 5322 3.6.6)

/// Follows the names of a header's fields from its top.
///
/// Of several Resent- blocks only the topmost, the latest, counts. It ends where a field of it comes again (a recipient field that
/// follows itself at once is taken as one field in two lines) or a trace field follows.
#[derive(Debug, Default)]
pub struct Latest<'h> {
    /// The fields of the block so far, without `Resent-`; at most one of each.
    names: Vec<&'h str>,
    ended: bool,
}

impl<'h> Latest<'h> {
    /// Takes the name of the next field; what follows `Resent-` in it, where it belongs to the block.
    pub fn take(&mut self, name: &'h str) -> Option<&'h str> {
        let Some(name) = without_prefix(name) else {
            // What comes below a trace field belongs to an earlier journey.
            let trace = is_one_of(name, &["Received", "Return-Path"]);
            self.ended |= trace && !self.names.is_empty();
            return None;
        };
        let last = self.names.last().is_some_and(|last| last.eq_ignore_ascii_case(name));
        let same_again = last && is_one_of(name, &DESTINATION);
        if !same_again && is_one_of(name, &self.names) {
            self.ended = true;
        }
        if self.ended {
            return None;
        }
        if !same_again {
            self.names.push(name);
        }
        Some(name)
    }

    /// Whether the header was sent again at all, as far as it was seen.
    pub fn is_there(&self) -> bool {
        !self.names.is_empty()
    }
}

/// The fields that say to whom, without `Resent-`.
pub const DESTINATION: [&str; 3] = ["To", "Cc", "Bcc"];

/// Whether it is one of these names, in any case.
pub fn is_one_of(name: &str, names: &[&str]) -> bool {
    names.iter().any(|known| known.eq_ignore_ascii_case(name))
}

fn without_prefix(name: &str) -> Option<&str> {
    let (prefix, rest) = name.split_at_checked(7)?;
    prefix.eq_ignore_ascii_case("Resent-").then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_topmost_block_is_the_latest() {
        for (header, expected) in [
            ("From To Subject", ""),
            ("Resent-From To resent-to Subject RESENT-DATE", "From to DATE"),
            ("Resent-To Resent-To Resent-From", "To To From"),
            ("Resent-To Resent-From Resent-To Resent-Date", "To From"),
            ("Resent-From Resent-From Resent-To", "From"),
            ("Received Resent-To Received Resent-From", "To"),
            ("Resent-Date Return-Path Resent-To", "Date"),
            ("Resent- Resent Resent-X", " X"),
        ] {
            let mut latest = Latest::default();
            let found: Vec<&str> = header.split(' ').filter_map(|name| latest.take(name)).collect();
            assert_eq!(found.join(" "), expected, "{header}");
            assert_eq!(latest.is_there(), !found.is_empty());
        }
    }
}
