//! What in a list of recipients is no address, and can be told of while the others get the message? (RFC 3463 3.2)

use std::fmt;

use super::{address::AddressError, list::Fault, outcome::Enhanced, queued::Last};
use crate::error::is_treacherous;

/// Strays of one message that are told of one by one. A text with more of them is no list of addresses, whatever else it is.
pub const MOST: usize = 16;

/// Octets of one, and of what is wrong with it: a line of a report holds both.
pub const LONGEST: usize = 200;

/// Bad destination mailbox address syntax (RFC 3463 3.2).
const SYNTAX: Enhanced = Enhanced { class: 5, subject: 1, detail: 3 };

/// A piece of a list of recipients that is no address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stray {
    /// As it was written, in one line.
    pub text: String,
    /// What is wrong with it; reads on after the text.
    pub because: String,
}

impl Stray {
    /// The strays of a list, which may be left out while the others get the message; `None` where nobody should: the list is not what its
    /// author meant, or somebody tries what a control character does.
    pub fn all(faults: &[Fault]) -> Option<Vec<Self>> {
        let is_harmless = |fault: &Fault| !matches!(fault.error, AddressError::Control | AddressError::TooMany);
        (faults.len() <= MOST && faults.iter().all(is_harmless)).then(|| faults.iter().map(Self::of).collect())
    }

    /// What is told of it: never, whoever is asked.
    pub fn last(&self) -> Last {
        Last { enhanced: Some(SYNTAX), text: format!("it {}", self.because), ..Last::default() }
    }

    fn of(fault: &Fault) -> Self {
        let text: String = fault.text.chars().map(|c| if is_treacherous(c) { ' ' } else { c }).collect();
        Self { text: text.split_whitespace().collect::<Vec<_>>().join(" "), because: fault.error.to_string() }
    }
}

impl fmt::Display for Stray {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\" {}", self.text, self.because)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::list;

    #[test]
    fn a_list_with_a_few_slips_can_be_followed_and_one_that_is_none_can_not() {
        let strays = |text: &str| Stray::all(&list::parse(text).faults);
        let told = |text: &str| strays(text).map(|all| all.iter().map(|s| format!("{} {}", s.text, s.because)).collect::<Vec<_>>());
        assert_eq!(told("a@x, b@y"), Some(vec![]));
        let expected =
            ["bad@@y has a domain that is neither a host name nor an address literal", "<no end has a '<' that is not closed"];
        assert_eq!(told("a@x, bad@@y,\r\n <no\r\n end"), Some(expected.map(str::to_owned).to_vec()));
        assert_eq!(strays("a@x, b\u{1}@y"), None, "a control character");
        let long = strays(&format!("a@x, {}", "b c ".repeat(1000))).unwrap();
        assert!(long[0].text.len() < LONGEST && long[0].because.len() < LONGEST);
        assert_eq!(strays(&"a b, ".repeat(MOST)).map(|all| all.len()), Some(MOST));
        assert_eq!(strays(&"a b, ".repeat(MOST + 1)), None);
    }
}
