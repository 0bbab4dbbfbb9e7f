//! Which user has a uid? (passwd(5), nsswitch.conf(5))
//!
//! libc asks nscd, reads nsswitch.conf, then passwd: 0.07 ms of a submission that takes 1. Where nsswitch.conf puts passwd first, what
//! stands there is libc's answer too, and reading both files costs a tenth. In every other case libc is asked.

use std::path::Path;

use super::head;

/// Larger password files are left to libc, in octets.
const LARGEST: u64 = 64 << 10;

/// What is known of a user.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// The login.
    pub(super) login: String,
    /// The fifth field: full name, room, telephones.
    pub(super) gecos: String,
}

/// What passwd in `etc` says of `uid`; `None` where that is not the answer: nothing, or something else is asked before it.
pub(super) fn entry(etc: &Path, uid: u32) -> Option<Entry> {
    if !begins_with_files(&head(&etc.join("nsswitch.conf"), LARGEST)?) {
        return None;
    }
    let text = head(&etc.join("passwd"), LARGEST)?;
    // What was cut off may hold more.
    if text.len() as u64 >= LARGEST { None } else { find(&text, uid) }
}

/// Whether the sources of `passwd` start with the file, and a user found there is looked for no further.
fn begins_with_files(switch: &str) -> bool {
    let lines = switch.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    let mut sources = lines.filter_map(|line| line.strip_prefix("passwd")?.trim_start().strip_prefix(':'));
    let mut words = sources.next_back().unwrap_or_default().split_whitespace();
    words.next() == Some("files") && !words.next().is_some_and(|word| word.starts_with('['))
}

/// The first line of passwd(5) that has the uid.
fn find(passwd: &str, uid: u32) -> Option<Entry> {
    passwd.lines().find_map(|line| {
        let mut fields = line.trim_start().split(':');
        let login = fields.next()?;
        // `+` and `-` begin what NIS once added, `#` a remark.
        let is_user = !login.is_empty() && !login.starts_with(['+', '-', '#']);
        let number = fields.nth(1)?;
        let gecos = fields.nth(1)?;
        // Home and shell are not asked for, but a line without them is broken, and libc passes over it.
        fields.nth(1)?;
        (is_user && number.bytes().all(|c| c.is_ascii_digit()) && number.parse() == Ok(uid))
            .then(|| Entry { login: login.to_owned(), gecos: gecos.to_owned() })
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn only_where_the_file_is_asked_first_is_it_read_here() {
        for (switch, wanted) in [
            ("passwd: files systemd\n", true),
            ("# passwd: sss\n passwd :\tfiles # first\n", true),
            ("group: sss\npasswd:files\n", true),
            ("passwd: sss files\n", false),
            ("passwd: compat\n", false),
            ("passwd: files [SUCCESS=continue] sss\n", false),
            ("passwd: files\npasswd: sss files\n", false),
            ("passwd:\n", false),
            ("passwd_compat: files\n", false),
            ("group: files\n", false),
            ("", false),
        ] {
            assert_eq!(begins_with_files(switch), wanted, "{switch}");
        }
    }

    #[test]
    fn the_first_line_with_the_uid_is_the_user() {
        let passwd = "# x:x:7:7:Remark:/:/\n+nis:x:7:7:Nis:/:/\n-nis:x:7:7:Nis:/:/\n+::::::\n:x:7:7:Nobody:/:/\nshort:x:7:7:Short\n\
                      alice:x:7:100:Alice Example,Room 5:/home/alice:/bin/sh\nother:x:7:100:Other:/:/\nplus:x:+8:8:Plus:/:/\n";
        let alice = Entry { login: "alice".to_owned(), gecos: "Alice Example,Room 5".to_owned() };
        assert_eq!(find(passwd, 7), Some(alice));
        assert_eq!(find(passwd, 8), None);
        assert_eq!(find(passwd, 0), None);
    }

    #[test]
    fn the_files_of_this_machine_say_what_its_libc_says() {
        let text = fs::read_to_string("/etc/passwd").unwrap();
        let uids: Vec<u32> = text.lines().filter_map(|line| line.split(':').nth(2)?.parse().ok()).collect();
        assert!(uids.contains(&0));
        for uid in uids {
            let libc = nix::unistd::User::from_uid(uid.into()).unwrap().unwrap();
            let here = find(&text, uid).unwrap();
            assert_eq!((here.login.as_bytes(), here.gecos.as_bytes()), (libc.name.as_bytes(), libc.gecos.as_bytes()));
        }
    }

    #[test]
    fn whatever_is_not_plain_is_left_to_libc() {
        let etc = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(etc.path().join(name), text).unwrap();
        let found = |uid| entry(etc.path(), uid).map(|entry| entry.login);
        assert_eq!(found(0), None, "no nsswitch.conf");
        write("nsswitch.conf", "passwd: files\n");
        assert_eq!(found(0), None, "no passwd");
        write("passwd", "toor:x:0:0:Root:/:/\n");
        assert_eq!((found(0), found(1)), (Some("toor".to_owned()), None));
        write("passwd", &format!("toor:x:0:0:{}:/:/\n", "x".repeat(64 << 10)));
        assert_eq!(found(0), None, "too large");
        write("passwd", "toor:x:0:0:Root:/:/\n");
        write("nsswitch.conf", "passwd: sss files\n");
        assert_eq!(found(0), None, "another is asked first");
    }
}
