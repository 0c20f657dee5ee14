use std::fmt;
use std::sync::Arc;

/// Where something stands in a configuration file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file, as the user would name it.
    pub file: Arc<str>,
    /// Line, from 1; `None` when the file itself is meant.
    pub line: Option<u32>,
    /// The key with its sections: `source.url`, `stock[2].item`. Empty for the whole file.
    pub key: String,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if !self.key.is_empty() {
            write!(f, ": {}", self.key)?;
        }
        Ok(())
    }
}

/// A text of a configuration file that remembers where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// The text, TOML escapes resolved.
    pub text: String,
    /// Where it stands.
    pub place: Place,
}

impl Text {
    /// A problem with this text: what is `wanted` in its place, and how to mend it.
    pub(super) fn problem(&self, wanted: impl Into<String>, fix: impl Into<String>) -> Problem {
        Problem::at(&self.place, format!("{:?}", self.text), wanted, fix)
    }
}

/// One thing that is wrong with the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where.
    pub place: Place,
    /// What is there.
    pub found: String,
    /// What should be there.
    pub wanted: String,
    /// How to mend it.
    pub fix: String,
}

impl Problem {
    /// A problem at `place`.
    pub fn at(
        place: &Place,
        found: impl Into<String>,
        wanted: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self { place: place.clone(), found: found.into(), wanted: wanted.into(), fix: fix.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: found {}, wanted {}", self.place, self.found, self.wanted)
    }
}

/// Everything that is wrong with a configuration, in the order of files and lines. Never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (nth, problem) in self.0.iter().enumerate() {
            if nth > 0 {
                writeln!(f)?;
            }
            write!(f, "{problem}; fix: {}", problem.fix)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
