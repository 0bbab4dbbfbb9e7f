//! What does colour say on a page for people? (without colour nothing is lost)

/// What a word is, which colour only underlines.
#[derive(Clone, Copy, Debug)]
pub enum Ink {
    /// Text.
    Plain,
    /// A heading.
    Title,
    /// What names the text beside it.
    Label,
    /// As it should be.
    Good,
    /// Less than it could be.
    Doubtful,
    /// Wrong.
    Bad,
}

impl Ink {
    /// `text` for a terminal, coloured where `colour` is wanted; blanks stay as they are.
    pub fn dye(self, text: &str, colour: bool) -> String {
        let code = match self {
            Self::Plain => return text.to_owned(),
            Self::Title => "1",
            Self::Label => "36",
            Self::Good => "1;32",
            Self::Doubtful => "1;33",
            Self::Bad => "1;31",
        };
        let blank = text.trim().is_empty();
        if colour && !blank { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}
