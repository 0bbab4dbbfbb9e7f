//! Which addresses in a header does the mail domain complete?

use super::section::Section;
use crate::error::Error;

/// What `qualify` chooses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Qualify {
    /// Those without a domain.
    #[default]
    Bare,
    /// Those at localhost as well, which is another machine to whoever reads them.
    Local,
    /// None.
    Off,
}

impl Qualify {
    /// The word that chooses it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::Local => "local",
            Self::Off => "off",
        }
    }

    /// Reads the key.
    pub(super) fn read(top: &Section<'_>) -> Result<Self, Error> {
        let words = [Self::Bare, Self::Local, Self::Off].map(|qualify| (qualify.as_str(), qualify));
        Ok(top.word("qualify", &words)?.map_or_else(Self::default, |found| found.value))
    }
}
