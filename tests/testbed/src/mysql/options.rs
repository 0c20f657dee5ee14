use crate::TlsFiles;

/// What a server must be like; the default suits most tests.
///
/// A row-based binlog with GTIDs, utf8mb4, everything synced as a shop's server does it, `root`
/// without a password, little memory; the rest is the server's own default, so that images are full
/// and metadata minimal. Any option but the default rules out a server named in the environment,
/// which is not ours to configure or stop.
#[derive(Clone, Debug, Default)]
pub struct MysqlOptions {
    pub(super) settings: Vec<(String, String)>,
    pub(super) tls: Option<TlsFiles>,
    pub(super) no_binlog: bool,
    pub(super) controlled: bool,
}

/// Settings that a data directory is made with and keeps.
const FOR_LIFE: [&str; 3] = ["innodb_data_file_path", "innodb_page_size", "lower_case_table_names"];

impl MysqlOptions {
    /// A line of `my.cnf`: `binlog_row_image`, `gtid_mode`, `server_id` ...; the last one of a
    /// name wins, over the defaults too.
    #[must_use]
    pub fn setting(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Offers TLS with these files, in place of a certificate the server makes for itself.
    #[must_use]
    pub fn tls(mut self, files: TlsFiles) -> Self {
        self.tls = Some(files);
        self
    }

    /// A server that writes no binlog.
    #[must_use]
    pub fn without_binlog(mut self) -> Self {
        self.no_binlog = true;
        self
    }

    /// The test stops, kills or reconfigures the server, or uses its files or programs.
    #[must_use]
    pub fn controlled(mut self) -> Self {
        self.controlled = true;
        self
    }

    /// Whether a server that somebody else runs will not do.
    pub(super) fn needs_own(&self) -> bool {
        let plain = self.settings.is_empty() && self.tls.is_none();
        !plain || self.no_binlog || self.controlled
    }

    /// The settings that a copy of a data directory made without them would refuse.
    pub(super) fn for_life(&self) -> impl Iterator<Item = &(String, String)> {
        self.settings.iter().filter(|(name, _)| FOR_LIFE.contains(&&*name.replace('-', "_")))
    }
}
