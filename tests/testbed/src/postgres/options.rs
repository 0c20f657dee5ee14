use std::path::PathBuf;

/// What a server must be like; the default suits most tests.
///
/// `wal_level = logical`, 20 senders, slots and prepared transactions, everybody trusted, nothing
/// synced to disk. Any option but the default rules out a server named in the environment, which is
/// not ours to configure or stop.
#[derive(Clone, Debug, Default)]
pub struct PostgresOptions {
    pub(super) settings: Vec<(String, String)>,
    pub(super) hba: Vec<String>,
    pub(super) tls: Option<TlsFiles>,
    pub(super) own_identity: bool,
    pub(super) controlled: bool,
}

/// PEM files for a server that offers TLS; they are copied for it.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// The server's certificate, with the chain below its root.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// Who signs client certificates (`clientcert=verify-full`, `cert`).
    pub client_ca: Option<PathBuf>,
}

impl PostgresOptions {
    /// A line of `postgresql.conf`; the last one of a name wins, over the defaults too.
    #[must_use]
    pub fn setting(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A line of `pg_hba.conf`. The first one replaces the default, which trusts everybody on this
    /// machine; `postgres` over the Unix socket is trusted always, as the testbed's own way in.
    #[must_use]
    pub fn hba(mut self, line: &str) -> Self {
        self.hba.push(line.to_owned());
        self
    }

    /// Turns `ssl` on with these files.
    #[must_use]
    pub fn tls(mut self, files: TlsFiles) -> Self {
        self.tls = Some(files);
        self
    }

    /// Turns `fsync` on, for tests and benches of what is durable.
    #[must_use]
    pub fn durable(self) -> Self {
        self.setting("fsync", "on")
    }

    /// A system identifier that no other server has. Servers of one version share theirs otherwise,
    /// since they start from copies of one data directory; this one takes a second longer.
    #[must_use]
    pub fn own_identity(mut self) -> Self {
        self.own_identity = true;
        self
    }

    /// The test stops, restarts or reconfigures the server, or uses its socket or programs.
    #[must_use]
    pub fn controlled(mut self) -> Self {
        self.controlled = true;
        self
    }

    /// Whether a server that somebody else runs will not do.
    pub(super) fn needs_own(&self) -> bool {
        let plain = self.settings.is_empty() && self.hba.is_empty() && self.tls.is_none();
        !plain || self.own_identity || self.controlled
    }
}
