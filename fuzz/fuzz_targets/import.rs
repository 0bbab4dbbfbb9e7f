//! Does what comes of another program's configuration always please our own reader, whatever stands in it and in its tables?

#![no_main]

use std::{
    io,
    path::{Path, PathBuf},
};

use libfuzzer_sys::fuzz_target;
use sealpost::{
    error::Exit,
    host::{
        config,
        import::{Kind, Texts, import},
        world::Pretend,
    },
};

/// One text is the configuration, the other every table, alias and control file that it names.
struct Two<'a>(&'a str, &'a str);

impl Texts for Two<'_> {
    fn read(&self, path: &Path) -> io::Result<String> {
        Ok(if path == Path::new("/etc/x/file") { self.0 } else { self.1 }.to_owned())
    }

    fn is_directory(&self, _: &Path) -> bool {
        false
    }

    fn is_public(&self, _: &Path) -> bool {
        false
    }
}

fuzz_target!(|bytes: &[u8]| {
    let Some((first, rest)) = bytes.split_first() else { return };
    let Ok(text) = std::str::from_utf8(rest) else { return };
    let (file, table) = text.split_once('\0').unwrap_or((text, ""));
    let kind = Kind::ALL.get(usize::from(*first)).copied();
    match import(&Pretend::default(), &Two(file, table), kind, &[PathBuf::from("/etc/x/file")]) {
        Ok(draft) => {
            let read = config::parse(&Pretend::default(), Path::new("/etc/sealpost/config.toml"), &draft.toml);
            assert!(read.is_ok(), "{read:?}");
        }
        Err(error) => assert_ne!(error.exit(), Exit::Software, "{error}"),
    }
});
