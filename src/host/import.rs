//! What does another program's configuration say, in the words of ours? (sealpost(1), "sealpost config import")

use std::{
    io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

pub use draft::{Draft, SecretFile};
pub use facts::{Kind, Note, Sort};

use super::{careful, world::World};
use crate::error::{Error, Exit};

mod detect;
mod dma;
mod draft;
mod esmtp;
mod facts;
mod msmtp;
mod nullmailer;
mod postfix;
mod shared;
mod shell;
mod ssmtp;
mod write;

/// Larger than any configuration, small enough to be read at once.
const LARGEST: u64 = 1 << 20;

/// U+FEFF in UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Where the texts come from that an import reads: none is ever run, and nothing is written.
pub trait Texts {
    /// The text at `path`; octets that are not UTF-8 are replaced.
    ///
    /// # Errors
    /// What open(2) and read(2) say; it is no regular file, or a large one.
    fn read(&self, path: &Path) -> io::Result<String>;

    /// Whether `path` is a directory.
    fn is_directory(&self, path: &Path) -> bool;

    /// Whether everybody may read `path`.
    fn is_public(&self, path: &Path) -> bool;
}

/// The files below a directory, as those of a whole machine.
#[derive(Clone, Debug)]
pub struct Below(pub PathBuf);

impl Below {
    fn path(&self, path: &Path) -> PathBuf {
        let inner: PathBuf = path.components().filter(|part| matches!(part, std::path::Component::Normal(_))).collect();
        if self.0 == Path::new("/") && path.is_relative() { path.to_owned() } else { self.0.join(inner) }
    }
}

impl Below {
    /// Whether the text at `file` is what `path` leads to on this machine.
    pub fn is_same(&self, file: &Path, path: &Path) -> bool {
        let inode = |metadata: std::fs::Metadata| (metadata.dev(), metadata.ino());
        let wanted = path.metadata().map(inode).ok();
        let found = self.path(file).metadata().map(inode).ok();
        wanted.is_some() && wanted == found
    }
}

impl Texts for Below {
    fn read(&self, path: &Path) -> io::Result<String> {
        let mut octets = careful::read(&self.path(path), LARGEST)?;
        // What editors of other systems put first is no part of the text.
        if octets.starts_with(BYTE_ORDER_MARK) {
            octets.drain(..BYTE_ORDER_MARK.len());
        }
        // Not `from_utf8_lossy`, which would leave a second copy of passwords behind where all is well.
        Ok(String::from_utf8(octets).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
    }

    fn is_directory(&self, path: &Path) -> bool {
        self.path(path).is_dir()
    }

    fn is_public(&self, path: &Path) -> bool {
        self.path(path).metadata().is_ok_and(|metadata| metadata.mode() & 0o004 != 0)
    }
}

/// Reads the configuration in `files` (of msmtp: the system's, then the user's) and drafts ours.
///
/// # Errors
/// A file can't be read, nobody can tell whose it is, or nothing of it could be carried over.
pub fn import(world: &dyn World, texts: &dyn Texts, kind: Option<Kind>, files: &[PathBuf]) -> Result<Draft, Error> {
    let mut pages = Vec::new();
    for file in files {
        let path = if texts.is_directory(file) { detect::main_file(texts, file, kind)? } else { file.clone() };
        let text = read(texts, &path)?;
        pages.push(Page { path, text });
    }
    let Some(first) = pages.first() else {
        return Err(Error::new(Exit::Usage, "importing a configuration", "there is no file"));
    };
    let found = kind.or_else(|| detect::kind(&first.path, &first.text));
    let kind = found.ok_or_else(|| nobodys(&first.path))?;
    if let (Some(second), false) = (pages.get(1), kind == Kind::Msmtp) {
        let because = format!("{} is one file too many: only msmtp reads two", second.path.display());
        return Err(Error::new(Exit::Usage, "importing a configuration", because).hint("import one at a time"));
    }
    let facts = match kind {
        Kind::Msmtp => msmtp::facts(world, texts, &pages),
        Kind::Ssmtp => ssmtp::facts(texts, first),
        Kind::Nullmailer => nullmailer::facts(texts, first),
        Kind::Dma => dma::facts(texts, first),
        Kind::Esmtp => esmtp::facts(texts, first),
        Kind::Postfix => postfix::facts(world, texts, first),
    };
    let sources = pages.into_iter().map(|page| page.path).collect();
    Ok(Draft { sources, ..draft::draft(world, kind, files, facts)? })
}

/// One of the files that were named.
struct Page {
    path: PathBuf,
    text: zeroize::Zeroizing<String>,
}

impl Page {
    /// The file's name, for notes.
    fn name(&self) -> String {
        self.path.file_name().unwrap_or(self.path.as_os_str()).to_string_lossy().into_owned()
    }
}

/// The text of a file that was named.
fn read(texts: &dyn Texts, file: &Path) -> Result<zeroize::Zeroizing<String>, Error> {
    texts.read(file).map(zeroize::Zeroizing::new).map_err(|error| {
        let because = error.to_string();
        let because = because.split_once(" (os error").map_or(because.as_str(), |(words, _)| words);
        Error::new(Exit::NoInput, format!("reading {}", file.display()), because)
            .hint("name the file to import, and read it as a user who may")
    })
}

fn nobodys(path: &Path) -> Error {
    Error::new(Exit::Usage, format!("reading {}", path.display()), "it does not look like a configuration that can be imported")
        .hint("say whose it is: --from msmtp, ssmtp, nullmailer, dma, esmtp or postfix")
}

#[cfg(test)]
mod tests;
