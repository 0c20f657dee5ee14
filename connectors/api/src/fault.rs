use std::error::Error as StdError;

/// The result of everything a connector does.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What an error asks for. The root error decides; nobody reclassifies it on the way up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// It may pass by itself: try again later.
    Transient,
    /// It will not pass: the same input gives the same error.
    Definite,
    /// A person has to change something first.
    Operator {
        /// What to change: SQL, a setting, a file.
        fix: String,
    },
    /// Another process holds what is needed.
    Held {
        /// Who.
        by: String,
    },
    /// Our mistake.
    Bug,
}

/// An error for the person reading it: what was found and what was wanted. Never a secret, never
/// the content of a row.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct Error {
    what: String,
    fault: Fault,
    #[source]
    source: Option<Box<dyn StdError + Send + Sync>>,
    also: Vec<Error>,
}

impl Error {
    /// An error that may pass by itself.
    pub fn transient(what: impl Into<String>) -> Self {
        Self::new(what, Fault::Transient)
    }

    /// An error that will come again.
    pub fn definite(what: impl Into<String>) -> Self {
        Self::new(what, Fault::Definite)
    }

    /// An error a person has to mend, and how.
    pub fn operator(what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::new(what, Fault::Operator { fix: fix.into() })
    }

    /// Something another process holds.
    pub fn held(what: impl Into<String>, by: impl Into<String>) -> Self {
        Self::new(what, Fault::Held { by: by.into() })
    }

    /// A broken promise of our own.
    pub fn bug(what: impl Into<String>) -> Self {
        Self::new(what, Fault::Bug)
    }

    fn new(what: impl Into<String>, fault: Fault) -> Self {
        Self { what: what.into(), fault, source: None, also: Vec::new() }
    }

    /// The same error with what caused it.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The first of several errors, with the others as what is wrong besides.
    pub fn all(errors: impl IntoIterator<Item = Error>) -> Option<Self> {
        let mut errors = errors.into_iter();
        let mut first = errors.next()?;
        for mut error in errors {
            let besides = std::mem::take(&mut error.also);
            first.also.push(error);
            first.also.extend(besides);
        }
        Some(first)
    }

    /// This error, and what is wrong besides.
    pub fn each(&self) -> impl Iterator<Item = &Error> {
        std::iter::once(self).chain(&self.also)
    }

    /// How a person mends it.
    pub fn fix(&self) -> Option<&str> {
        match &self.fault {
            Fault::Operator { fix } => Some(fix),
            _ => None,
        }
    }

    /// What it asks for.
    pub fn fault(&self) -> &Fault {
        &self.fault
    }
}

/// How bad a [`Finding`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Good to know.
    Note,
    /// It works, but not as well or as safely as it could.
    Warning,
    /// It cannot work.
    Blocker,
}

/// One thing checked on the server that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What was checked, in a few words: `wal_level`, `publication "tailstock"`.
    pub check: String,
    /// What is there.
    pub found: String,
    /// What is needed.
    pub wanted: String,
    /// SQL or setting that mends it.
    pub fix: String,
}
