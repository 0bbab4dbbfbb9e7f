//! Whose configuration is a file, by its name or else by its words, and which file of a directory is it?

use std::{
    io,
    path::{Path, PathBuf},
};

use super::{Texts, dma, esmtp, facts::Kind, msmtp, postfix, ssmtp};
use crate::error::{Error, Exit};

/// The files that a directory has for each program.
const MAIN_FILES: [(Kind, &str); 9] = [
    (Kind::Nullmailer, "remotes"),
    (Kind::Postfix, "main.cf"),
    (Kind::Ssmtp, "ssmtp.conf"),
    (Kind::Dma, "dma.conf"),
    (Kind::Msmtp, "msmtprc"),
    (Kind::Msmtp, ".msmtprc"),
    (Kind::Msmtp, "config"),
    (Kind::Esmtp, "esmtprc"),
    (Kind::Esmtp, ".esmtprc"),
];

/// The file to read in a directory, of this program or of the only one that has a file there.
///
/// # Errors
/// There is none, or there are several.
pub(super) fn main_file(texts: &dyn Texts, directory: &Path, kind: Option<Kind>) -> Result<PathBuf, Error> {
    let is_there = |path: &PathBuf| !texts.read(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound);
    let names = MAIN_FILES.iter().filter(|(of, name)| match kind {
        Some(kind) => *of == kind,
        // Many programs have a file of this name.
        None => *name != "config" || directory.ends_with("msmtp"),
    });
    let found: Vec<PathBuf> = names.map(|(_, name)| directory.join(name)).filter(is_there).collect();
    let because = match found.as_slice() {
        [file] => return Ok(file.clone()),
        [] => "it is a directory, without a file that could be imported",
        _ => "it is a directory, with several files that could be imported",
    };
    Err(Error::new(Exit::NoInput, format!("reading {}", directory.display()), because).hint("name the file to import"))
}

/// The program that reads this file; `None` where nobody can tell.
pub(super) fn kind(path: &Path, text: &str) -> Option<Kind> {
    by_name(path).or_else(|| by_words(text))
}

fn by_name(path: &Path) -> Option<Kind> {
    let name = path.file_name()?.to_str()?;
    let directory = path.parent().and_then(Path::file_name).and_then(|name| name.to_str()).unwrap_or_default();
    Some(match (directory, name) {
        (_, "msmtprc" | ".msmtprc") | ("msmtp", "config") => Kind::Msmtp,
        (_, "ssmtp.conf") => Kind::Ssmtp,
        (_, "remotes") | ("etc", "nullmailer") => Kind::Nullmailer,
        (_, "dma.conf") => Kind::Dma,
        (_, "esmtprc" | ".esmtprc") => Kind::Esmtp,
        (_, "main.cf") => Kind::Postfix,
        _ => return None,
    })
}

/// The program that knows the most of the lines, if that is more than half of them.
fn by_words(text: &str) -> Option<Kind> {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    let count = |knows: &dyn Fn(&str) -> bool| lines.iter().filter(|line| knows(line)).count();
    let counts = [
        (count(&msmtp::knows), Kind::Msmtp),
        (count(&ssmtp::knows), Kind::Ssmtp),
        (count(&dma::knows), Kind::Dma),
        (count(&esmtp::knows), Kind::Esmtp),
        (count(&postfix::knows), Kind::Postfix),
        (count(&|line| line.split_whitespace().nth(1) == Some("smtp")), Kind::Nullmailer),
    ];
    // Of equals the first: Iterator::max_by_key would take the last.
    let (most, kind) = counts.into_iter().reduce(|best, next| if next.0 > best.0 { next } else { best })?;
    (most * 2 > lines.len()).then_some(kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_known_by_its_name_or_by_its_words() {
        for (path, text, expected) in [
            ("/etc/msmtprc", "", Some(Kind::Msmtp)),
            ("/home/ann/.config/msmtp/config", "", Some(Kind::Msmtp)),
            ("files/mail.j2", "defaults\nauth on\n\naccount a\nhost x\n", Some(Kind::Msmtp)),
            ("files/mail.j2", "# old\nMailHub=x\nUseTLS=yes\n", Some(Kind::Ssmtp)),
            ("files/mail.j2", "SMARTHOST x\nSTARTTLS\n", Some(Kind::Dma)),
            ("files/mail.j2", "hostname = x:25\nusername = \"y\"\n", Some(Kind::Esmtp)),
            ("files/mail.j2", "relayhost = [x]\nsmtp_use_tls = yes\n", Some(Kind::Postfix)),
            ("files/mail.j2", "x.example smtp port=587\n", Some(Kind::Nullmailer)),
            ("/etc/nullmailer", "", Some(Kind::Nullmailer)),
            ("/etc/passwd", "root:x:0:0::/root:/bin/sh\n", None),
            ("empty", "", None),
        ] {
            assert_eq!(kind(Path::new(path), text), expected, "{path}: {text}");
        }
    }
}
