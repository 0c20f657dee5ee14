//! Who servers run as: they refuse root.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// The unprivileged account that stands in for root.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Account {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

impl Account {
    /// `None` when the caller is not root: servers then run as the caller.
    pub(crate) fn for_servers() -> Option<Account> {
        if !rustix::process::geteuid().is_root() {
            return None;
        }
        let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
        let nobody = Account { uid: 65534, gid: 65534 };
        Some(named(&passwd, "postgres").or_else(|| named(&passwd, "nobody")).unwrap_or(nobody))
    }

    /// Lets `command` run as this account. Supplementary groups are dropped with it.
    pub(crate) fn apply(self, command: &mut Command) {
        use std::os::unix::process::CommandExt;
        command.uid(self.uid).gid(self.gid);
    }

    /// Gives one file or directory to this account.
    pub(crate) fn own(self, path: &Path) -> std::io::Result<()> {
        std::os::unix::fs::chown(path, Some(self.uid), Some(self.gid))
    }

    /// Whether this account can reach `directory` through everything above it.
    pub(crate) fn can_enter(self, directory: &Path) -> bool {
        let mut command = Command::new("test");
        command.arg("-x").arg(directory).current_dir("/");
        self.apply(&mut command);
        let quiet = command.stdin(Stdio::null()).stderr(Stdio::null());
        quiet.status().is_ok_and(|status| status.success())
    }
}

fn named(passwd: &str, name: &str) -> Option<Account> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        if fields.next()? != name {
            return None;
        }
        let uid = fields.nth(1)?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        (uid != 0).then_some(Account { uid, gid })
    })
}

#[cfg(test)]
mod tests {
    use super::named;

    #[test]
    fn an_account_is_found_by_name_and_root_never_is() {
        let passwd = "root:x:0:0::/root:/bin/sh\nnobody:x:65534:65533::/:/bin/false\n";
        let account = named(passwd, "nobody").map(|account| (account.uid, account.gid));
        assert_eq!(account, Some((65534, 65533)));
        assert!(named(passwd, "root").is_none());
        assert!(named(passwd, "postgres").is_none());
    }
}
