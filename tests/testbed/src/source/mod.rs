//! Where the programs of a server come from, in the order in which they are tried.

pub(crate) mod debian;
mod docker;
pub(crate) mod environment;
mod tree;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Signal;

use crate::account::Account;
use crate::place::Run;
use crate::process::bound;
use docker::Container;

/// The programs of one version of a server, ready to run here.
#[derive(Clone, Debug)]
pub(crate) struct Programs {
    /// For people: where they came from.
    pub(crate) origin: String,
    kind: Kind,
    account: Option<Account>,
}

#[derive(Clone, Debug)]
enum Kind {
    Directory(PathBuf),
    Image(String),
}

/// What to look for.
pub(crate) struct Wanted<'a> {
    /// For people: `PostgreSQL 15`.
    pub(crate) name: &'a str,
    /// The image of a Docker registry.
    pub(crate) image: &'a str,
    /// Where Debian's packages put the programs, below `/` or a tree's root.
    pub(crate) directory: &'a str,
    /// The program that must be there.
    pub(crate) program: &'a str,
    /// The Debian or Ubuntu suite and the packages that have it.
    pub(crate) suite: &'a str,
    pub(crate) packages: &'a [&'a str],
}

impl Programs {
    /// The first source that has what is wanted, or why none has.
    pub(crate) fn find(wanted: &Wanted<'_>, trees: &Path) -> Result<Programs, String> {
        let account = Account::for_servers();
        let ready = |origin, kind| Ok(Programs { origin, kind, account });
        let mut reasons = Vec::new();
        match docker::image(wanted) {
            Ok(image) => return ready(format!("image {image}"), Kind::Image(image)),
            Err(reason) => reasons.push(reason),
        }
        match debian::installed(wanted) {
            Ok(bin) => return ready(bin.display().to_string(), Kind::Directory(bin)),
            Err(reason) => reasons.push(reason),
        }
        match tree::unpacked(wanted, trees) {
            Ok(bin) => {
                let origin = format!("unpacked packages of {}", wanted.suite);
                return ready(origin, Kind::Directory(bin));
            }
            Err(reason) => reasons.push(reason),
        }
        Err(format!("no {} here: {}", wanted.name, reasons.join("; ")))
    }

    /// Who the programs run as, when not as the caller.
    pub(crate) fn account(&self) -> Option<Account> {
        self.account
    }

    /// `program`, run in the directories of `run`, which are all of the file system it may need.
    pub(crate) fn command(&self, program: &str, run: &Run) -> Command {
        self.complete(program, run, |name| Command::new(name))
    }

    /// Like [`Programs::command`], for a server: it ends with this process.
    pub(crate) fn server(&self, program: &str, run: &Run) -> Command {
        // SIGQUIT is PostgreSQL's immediate shutdown.
        self.complete(program, run, |name| bound(name, Signal::QUIT))
    }

    fn complete(&self, program: &str, run: &Run, new: fn(&OsStr) -> Command) -> Command {
        let mut command = match &self.kind {
            Kind::Directory(bin) => {
                let mut command = new(bin.join(program).as_os_str());
                if let Some(account) = self.account {
                    account.apply(&mut command);
                }
                command
            }
            Kind::Image(image) => {
                let mut command = new(OsStr::new("docker"));
                let (directories, account) = (&*run.directories(), self.account);
                Container { image, program, directories, account }.complete(&mut command);
                command
            }
        };
        let directory = run.directory();
        command.current_dir(directory).env("HOME", directory).env("LC_ALL", "C");
        // What the developer's shell says about servers is not about these.
        let names = std::env::vars_os().map(|(name, _)| name);
        for name in names.filter(|name| name.as_encoded_bytes().starts_with(b"PG")) {
            command.env_remove(name);
        }
        command
    }
}
