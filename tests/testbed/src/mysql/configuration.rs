//! The option file of a server.

use std::fmt::Write as _;
use std::path::Path;

use super::options::MysqlOptions;
use super::version::MysqlVersion;
use crate::place::Run;

/// What a data directory is made with and run with.
///
/// A killed server loses nothing, synced or not: the machine stays. Where the log is synced, reads
/// wait for seconds to be sure of it, so who tests that says so. The kernel's asynchronous I/O has
/// few slots on a machine, and servers side by side would run out of them.
const ENGINE: &str = "
innodb_buffer_pool_size = 64M
innodb_buffer_pool_load_at_startup = OFF
innodb_buffer_pool_dump_at_shutdown = OFF
innodb_use_native_aio = OFF
performance_schema = OFF
character_set_server = utf8mb4
";

const SERVER: &str = "
bind_address = 127.0.0.1
skip_name_resolve = ON
secure_file_priv =
sync_binlog = 0
innodb_flush_log_at_trx_commit = 1
";

pub(super) struct Configuration<'a> {
    pub(super) version: MysqlVersion,
    pub(super) run: &'a Run,
    /// Where the programs' own files begin, unless they know it themselves.
    pub(super) root: Option<&'a Path>,
}

impl Configuration<'_> {
    /// The file for making a data directory.
    pub(super) fn to_initialise(&self, options: &MysqlOptions) -> String {
        let mut text = self.engine();
        for (name, value) in options.for_life() {
            line(&mut text, name, value);
        }
        text
    }

    /// The file of a server on this port and of the programs that talk to it.
    pub(super) fn to_serve(&self, port: u16, options: &MysqlOptions) -> String {
        let mut text = self.engine();
        text.push_str(SERVER);
        let socket = self.run.sockets().join("mysql.sock").display().to_string();
        line(&mut text, "port", &port.to_string());
        line(&mut text, "socket", &quoted(&socket));
        line(
            &mut text,
            "pid_file",
            &quoted(&self.run.directory().join("pid").display().to_string()),
        );
        // No two servers of this machine share it: they may replicate from each other.
        line(&mut text, "server_id", &port.to_string());
        if options.no_binlog {
            text.push_str("skip_log_bin\n");
        } else {
            line(&mut text, "log_bin", "binlog");
            line(&mut text, "binlog_format", "ROW");
        }
        text.push_str(match (self.version.is_mariadb(), options.no_binlog) {
            (true, _) => "gtid_strict_mode = ON\n",
            (false, true) => "mysqlx = OFF\n",
            (false, false) => "mysqlx = OFF\ngtid_mode = ON\nenforce_gtid_consistency = ON\n",
        });
        for (name, value) in &options.settings {
            line(&mut text, name, value);
        }
        let _ = write!(text, "\n[client]\nuser = root\nsocket = {}\n", quoted(&socket));
        text
    }

    fn engine(&self) -> String {
        let mut text = "[mysqld]\n".to_owned();
        line(&mut text, "datadir", &quoted(&self.run.data().display().to_string()));
        // A server that starts, also to make a data directory, clears this folder of temporary
        // tables, whosever they are: MariaDB 10.5 ends with "Could not remove temporary table".
        line(&mut text, "tmpdir", &quoted(&self.run.sockets().display().to_string()));
        if let Some(root) = self.root {
            let mut named = |name: &str, path: &str| {
                line(&mut text, name, &quoted(&root.join(path).display().to_string()));
            };
            let own = root.join("usr/share/mariadb/charsets/Index.xml").is_file();
            let share = if own { "usr/share/mariadb" } else { "usr/share/mysql" };
            named("basedir", "usr");
            named("lc_messages_dir", share);
            named("character_sets_dir", &format!("{share}/charsets"));
            named("plugin_dir", "usr/lib/mysql/plugin");
        }
        text.push_str(ENGINE);
        text.push_str(if self.version.is_mariadb() {
            "innodb_log_file_size = 16M\n"
        } else {
            "innodb_redo_log_capacity = 16M\n"
        });
        text
    }
}

fn line(text: &mut String, name: &str, value: &str) {
    let _ = writeln!(text, "{name} = {value}");
}

/// A path, in which `#` would begin a comment otherwise.
fn quoted(path: &str) -> String {
    format!("\"{}\"", path.replace('\\', "\\\\"))
}
