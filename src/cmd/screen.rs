//! What can standard output show: how many columns, colours, characters beyond ASCII?

use std::io::{self, IsTerminal as _};

use crate::host::world::World;

/// Columns of a terminal that does not tell.
const USUAL: usize = 80;
/// Columns below which nothing could be laid out.
const LEAST: usize = 40;

/// What standard output shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Screen {
    /// The width of the terminal; `None` where it is none.
    pub columns: Option<usize>,
    /// Whether colour is wanted: on a terminal, unless `NO_COLOR` is set.
    pub colour: bool,
    /// Whether the locale has UTF-8; what is no terminal takes it.
    pub utf8: bool,
}

impl Screen {
    /// What standard output is.
    pub fn of_stdout(world: &dyn World) -> Self {
        let columns = io::stdout().is_terminal().then(|| {
            let size = rustix::termios::tcgetwinsize(io::stdout());
            size.map(|size| usize::from(size.ws_col)).ok().filter(|columns| *columns > 0).unwrap_or(USUAL).max(LEAST)
        });
        Self::new(world, columns)
    }

    fn new(world: &dyn World, columns: Option<usize>) -> Self {
        let is_terminal = columns.is_some();
        let colour = is_terminal && world.env("NO_COLOR").is_none_or(|value| value.is_empty());
        Self { columns, colour, utf8: !is_terminal || has_utf8(world) }
    }

    /// The text with a question mark for each character that can't be shown.
    pub fn tame(self, text: String) -> String {
        if self.utf8 || text.is_ascii() { text } else { text.chars().map(|c| if c.is_ascii() { c } else { '?' }).collect() }
    }
}

/// Of the variables that name the locale the first that is set counts (POSIX, XBD 8.2).
fn has_utf8(world: &dyn World) -> bool {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(|name| world.env(name).filter(|value| !value.is_empty()));
    let locale = locale.map(|locale| locale.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    locale.contains("utf-8") || locale.contains("utf8")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::world::Pretend;

    #[test]
    fn the_locale_decides_over_characters_and_no_color_over_colour() {
        for (variables, utf8) in [
            (&[("LANG", "de_DE.UTF-8")][..], true),
            (&[("LANG", "C"), ("LC_ALL", "C.utf8")], true),
            (&[("LANG", "de_DE.UTF-8"), ("LC_CTYPE", "POSIX")], false),
            (&[("LANG", "de_DE.UTF-8"), ("LC_ALL", "")], true),
            (&[("LANG", "de_DE@euro")], false),
            (&[], false),
        ] {
            let world = variables.iter().fold(Pretend::default(), |world, (name, value)| world.with_env(name, value));
            assert_eq!(Screen::new(&world, Some(80)).utf8, utf8, "{variables:?}");
            assert!(Screen::new(&world, None).utf8);
        }
        let world = Pretend::default();
        assert!(Screen::new(&world, Some(80)).colour && !Screen::new(&world, None).colour);
        assert!(!Screen::new(&world.with_env("NO_COLOR", "1"), Some(80)).colour);
    }

    #[test]
    fn what_can_not_be_shown_is_a_question_mark() {
        let screen = Screen { columns: Some(80), colour: false, utf8: false };
        assert_eq!(screen.tame("a…é█b".to_owned()), "a???b");
        assert_eq!(Screen { utf8: true, ..screen }.tame("é".to_owned()), "é");
    }
}
