//! How does a private Postfix without network, users or services take mail from its sendmail and pass it to one smarthost?

use std::{
    fs,
    os::unix::fs::{PermissionsExt, chown},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::common::Scratch;

/// Longest time for the queue to become empty.
const PATIENCE: Duration = Duration::from_secs(600);

const SERVICES: &str = "pickup unix n - n 1 1 pickup\ncleanup unix n - n - 0 cleanup\nqmgr unix n - n 300 1 qmgr\n\
                        rewrite unix - - n - - trivial-rewrite\nbounce unix - - n - 0 bounce\ndefer unix - - n - 0 bounce\n\
                        trace unix - - n - 0 bounce\nproxymap unix - - n - - proxymap\nsmtp unix - - n - - smtp\n\
                        error unix - - n - - error\nretry unix - - n - - error\ndiscard unix - - n - - discard\n\
                        scache unix - - n - 1 scache\nflush unix n - n 1000? 0 flush\nshowq unix n - n - - showq\n\
                        postlog unix-dgram n - n - 1 postlogd\n";

/// A running one; stopped when the value goes.
pub(crate) struct Postfix {
    scratch: Scratch,
}

impl Postfix {
    /// Its smarthost listens at `port` of 127.0.0.1.
    #[allow(dead_code, reason = "for who wants no more than that")]
    pub(crate) fn start(port: u16) -> Result<Self, String> {
        Self::start_with(port, "", &[])
    }

    /// The same with more lines of main.cf, and the files that they name as `DIR/…`.
    pub(crate) fn start_with(port: u16, more: &str, files: &[(&str, &str)]) -> Result<Self, String> {
        if !rustix::process::geteuid().is_root() {
            return Err("Postfix wants root".to_owned());
        }
        if !Path::new("/usr/sbin/postfix").exists() {
            return Err("Postfix is not installed (tests/run as root installs it)".to_owned());
        }
        let postfix = Self { scratch: Scratch::new() };
        let dir = postfix.scratch.path();
        let (etc, spool, data) = (dir.join("etc"), dir.join("spool"), dir.join("data"));
        for made in [&etc, &spool, &data] {
            fs::create_dir(made).unwrap();
        }
        let user = nix::unistd::User::from_name("postfix").unwrap().expect("Debian makes the user");
        chown(&data, Some(user.uid.as_raw()), None).unwrap();
        let main = format!(
            "compatibility_level = 3.6\nqueue_directory = {spool}\ndata_directory = {data}\ncommand_directory = /usr/sbin\n\
             daemon_directory = /usr/lib/postfix/sbin\nmail_owner = postfix\nsetgid_group = postdrop\ninet_interfaces = 127.0.0.1\n\
             inet_protocols = ipv4\nmyhostname = client.example\nmyorigin = client.example\nappend_dot_mydomain = no\n\
             mydestination =\nmynetworks = 127.0.0.0/8\nalias_maps =\nalias_database =\nrelayhost = [127.0.0.1]:{port}\n\
             local_transport = smtp:[127.0.0.1]:{port}\nsmtp_tls_security_level = none\nsmtp_host_lookup = native\n\
             disable_dns_lookups = yes\nmaillog_file = {dir}/postfix.log\nmaillog_file_prefixes = {dir}\nin_flow_delay = 0s\n\
             default_destination_concurrency_limit = 20\nsmtp_connection_cache_on_demand = yes\n",
            dir = dir.display(),
            spool = spool.display(),
            data = data.display(),
        );
        let more = more.replace("DIR", &etc.display().to_string());
        fs::write(etc.join("main.cf"), main + &more).unwrap();
        for (name, text) in files {
            fs::write(etc.join(name), text).unwrap();
        }
        fs::write(etc.join("master.cf"), SERVICES).unwrap();
        for open in [&etc, &spool] {
            fs::set_permissions(open, fs::Permissions::from_mode(0o755)).unwrap();
        }
        let output = postfix.control("start").output().unwrap();
        assert!(output.status.success(), "{output:?}");
        Ok(postfix)
    }

    /// The directory of its main.cf.
    #[allow(dead_code, reason = "for who calls its sendmail in another way")]
    pub(crate) fn configuration(&self) -> PathBuf {
        self.scratch.path().join("etc")
    }

    /// Its sendmail.
    #[allow(dead_code, reason = "for who calls it so")]
    pub(crate) fn sendmail(&self) -> Command {
        let mut command = Command::new("/usr/sbin/sendmail");
        command.arg("-C").arg(self.scratch.path().join("etc")).env_clear().env("PATH", "/usr/bin:/bin");
        command
    }

    /// Waits until nothing is under way any more.
    pub(crate) fn drain(&self) {
        let started = Instant::now();
        let waits = |queue: &str| fs::read_dir(self.scratch.path().join("spool").join(queue)).is_ok_and(|mut d| d.next().is_some());
        // In this order a message can't pass from a queue that is still to be looked at to one that was.
        while ["maildrop", "incoming", "active"].iter().any(|queue| waits(queue)) {
            let log = || fs::read_to_string(self.scratch.path().join("postfix.log")).unwrap_or_default();
            assert!(started.elapsed() < PATIENCE, "the queue does not become empty; Postfix says:\n{}", log());
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn control(&self, what: &str) -> Command {
        let mut command = Command::new("/usr/sbin/postfix");
        command.arg("-c").arg(self.scratch.path().join("etc")).arg(what).stdin(Stdio::null());
        command
    }
}

impl Drop for Postfix {
    fn drop(&mut self) {
        // Whatever goes wrong here, the test has its result.
        let _ = self.control("stop").output();
    }
}
