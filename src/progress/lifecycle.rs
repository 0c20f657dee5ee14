use connector_api::Fault;

/// Where a seller stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lifecycle {
    /// Looking at the server, loading state.
    Starting,
    /// Following the log.
    Streaming,
    /// Waiting to try again.
    BackingOff {
        /// What went wrong.
        reason: String,
    },
    /// Another process does the work; this one waits for it to end.
    StandingBy {
        /// Who holds what.
        holder: String,
    },
    /// Stopped until somebody changes something.
    Halted {
        /// What went wrong.
        reason: String,
        /// What to change.
        fix: Option<String>,
    },
    /// Stopped on request, or at the end it was to reach.
    Stopped,
}

impl Lifecycle {
    /// One word for metrics and status.
    pub fn as_str(&self) -> &'static str {
        match self {
            Lifecycle::Starting => "starting",
            Lifecycle::Streaming => "streaming",
            Lifecycle::BackingOff { .. } => "backing_off",
            Lifecycle::StandingBy { .. } => "standing_by",
            Lifecycle::Halted { .. } => "halted",
            Lifecycle::Stopped => "stopped",
        }
    }
}

/// What follows an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Try again after a delay that grows until there is progress.
    Retry,
    /// Wait for the holder to end, then try again.
    StandBy,
    /// Stop this seller.
    Halt,
}

/// What follows an error of this kind. A bug is retried: a restart from the checkpoint is the one
/// state known to be good, and a seller stopped for ever by a passing mistake is worse.
pub fn next_after(fault: &Fault) -> Next {
    match fault {
        Fault::Transient | Fault::Bug => Next::Retry,
        Fault::Held { .. } => Next::StandBy,
        Fault::Definite | Fault::Operator { .. } => Next::Halt,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_person_must_change_halts_a_seller() {
        assert_eq!(next_after(&Fault::Transient), Next::Retry);
        assert_eq!(next_after(&Fault::Bug), Next::Retry);
        assert_eq!(next_after(&Fault::Held { by: "pid 7".into() }), Next::StandBy);
        assert_eq!(next_after(&Fault::Operator { fix: "GRANT".into() }), Next::Halt);
        assert_eq!(next_after(&Fault::Definite), Next::Halt);
    }
}
