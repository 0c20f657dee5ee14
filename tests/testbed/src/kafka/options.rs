/// What a cluster must be like; the default suits most tests: one broker that everybody may use,
/// that creates no topic by itself and syncs nothing to disk.
#[derive(Clone, Debug)]
pub struct KafkaOptions {
    pub(super) brokers: usize,
    pub(super) settings: Vec<(String, String)>,
    pub(super) listener: Option<String>,
    pub(super) warm: bool,
    pub(super) controlled: bool,
    pub(super) file_bytes: Option<u64>,
    pub(super) scram: Option<String>,
}

impl Default for KafkaOptions {
    fn default() -> Self {
        Self {
            brokers: 1,
            settings: Vec::new(),
            listener: None,
            warm: false,
            controlled: false,
            file_bytes: None,
            scram: None,
        }
    }
}

impl KafkaOptions {
    /// The number of brokers: 1 or 3.
    #[must_use]
    pub fn brokers(mut self, brokers: usize) -> Self {
        self.brokers = brokers;
        self
    }

    /// A property of every broker; the last one of a name wins, over the defaults too.
    #[must_use]
    pub fn setting(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A second listener with this security protocol: `SASL_PLAINTEXT`, `SSL`, `SASL_SSL`. What it
    /// needs besides are settings with the prefix `listener.name.secure.`.
    #[must_use]
    pub fn listener(mut self, protocol: &str) -> Self {
        self.listener = Some(protocol.to_owned());
        self
    }

    /// Somebody who can log in with SCRAM-SHA-512.
    #[must_use]
    pub fn scram(mut self, name: &str, password: &str) -> Self {
        self.scram = Some(format!("SCRAM-SHA-512=[name={name},password={password}]"));
        self
    }

    /// Nobody may do anything but the super user, who is whoever comes without a name over the
    /// first listener.
    #[must_use]
    pub fn acl(self) -> Self {
        self.setting(
            "authorizer.class.name",
            "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        )
        .setting("super.users", "User:ANONYMOUS")
    }

    /// For measuring: the Java machine takes the memory and the time to compile well.
    #[must_use]
    pub fn warm(mut self) -> Self {
        self.warm = true;
        self
    }

    /// The test kills, pauses or restarts brokers.
    #[must_use]
    pub fn controlled(mut self) -> Self {
        self.controlled = true;
        self
    }

    /// No file of a broker can grow over this, as on a disk that is full, until the broker is
    /// started again. More than 10 MiB: brokers allocate their indexes in advance.
    #[must_use]
    pub fn file_bytes(mut self, bytes: u64) -> Self {
        self.file_bytes = Some(bytes);
        self.controlled()
    }

    /// Whether brokers that somebody else runs will not do.
    pub(super) fn needs_own(&self) -> bool {
        let plain = self.settings.is_empty()
            && self.scram.is_none()
            && self.listener.is_none()
            && self.brokers == 1;
        !plain || self.controlled
    }
}
