use std::error::Error as _;
use std::fmt::Write as _;
use std::io::IsTerminal;
use std::process::ExitCode;

use connector_api::{Error, Fault};

use crate::config::{Problem, Problems};

/// How the process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// It did what it was asked to.
    Done = 0,
    /// It could not.
    Failed = 1,
    /// The command line or the configuration is wrong.
    Usage = 2,
    /// Another process holds what is needed.
    Held = 3,
    /// A person has to change something first; what, has been said.
    Operator = 4,
    /// Somebody interrupted it.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

/// Why a command did not do what it was asked to. It is told once, by the caller of all commands.
#[derive(Debug)]
pub struct Failure {
    exit: Exit,
    reports: Vec<Report>,
}

/// One thing that went wrong.
#[derive(Debug)]
struct Report {
    what: String,
    causes: Vec<String>,
    fixes: Vec<String>,
}

impl Failure {
    /// One thing went wrong; `fix` may have several lines, each one thing to do.
    pub fn new(exit: Exit, what: impl Into<String>, fix: &str) -> Self {
        let fixes = fix.lines().map(str::to_owned).collect();
        Self { exit, reports: vec![Report { what: what.into(), causes: Vec::new(), fixes }] }
    }

    /// Several sources failed, each with its own error. The exit code is that of the first that
    /// needs a person, or else of the first.
    pub fn of_sources<'e>(errors: impl IntoIterator<Item = (String, &'e Error)>) -> Self {
        let mut failure = Self { exit: Exit::Failed, reports: Vec::new() };
        for (source, error) in errors {
            let mut one = Self::from(error);
            if failure.reports.is_empty() || one.exit == Exit::Operator {
                failure.exit = one.exit;
            }
            for report in &mut one.reports {
                report.what = format!("{source}: {}", report.what);
            }
            failure.reports.append(&mut one.reports);
        }
        failure
    }

    /// The same where what is wrong stands on the command line.
    #[must_use]
    pub(super) fn of_usage(self) -> Self {
        Self { exit: Exit::Usage, ..self }
    }

    /// How the process ends.
    pub fn exit(&self) -> Exit {
        self.exit
    }

    /// What went wrong, on one line.
    pub(super) fn what(&self) -> String {
        self.reports.iter().map(|report| report.what.as_str()).collect::<Vec<_>>().join("; ")
    }

    /// Tells it to the person at the terminal.
    pub(super) fn print(&self) {
        let stderr = std::io::stderr();
        let colour = stderr.is_terminal() && std::env::var_os("NO_COLOR").is_none();
        eprint!("{}", self.text(colour));
    }

    /// Tells it to programs, as log lines, and to nobody else.
    pub(super) fn logged(mut self) -> Self {
        for Report { what, causes, fixes } in self.reports.drain(..) {
            let cause = (!causes.is_empty()).then(|| causes.join(": "));
            let fix = (!fixes.is_empty()).then(|| fixes.join("\n"));
            tracing::error!(cause, fix, "{what}");
        }
        self
    }

    fn text(&self, colour: bool) -> String {
        let paint = |word: &str, code: &str| match colour {
            true => format!("\u{1b}[{code}m{word}\u{1b}[0m"),
            false => word.to_owned(),
        };
        let mut text = String::new();
        for report in &self.reports {
            let mut line = |word: &str, rest: &str| {
                writeln!(text, "{word} {rest}").expect("writing to memory does not fail");
            };
            line(&paint("error:", "1;31"), &report.what);
            for cause in &report.causes {
                line(&paint("  cause:", "2"), cause);
            }
            for fix in &report.fixes {
                line(&paint("  fix:", "32"), fix);
            }
        }
        text
    }
}

impl From<&Error> for Failure {
    fn from(error: &Error) -> Self {
        let exit = match error.fault() {
            Fault::Operator { .. } => Exit::Operator,
            Fault::Held { .. } => Exit::Held,
            Fault::Transient | Fault::Definite | Fault::Bug => Exit::Failed,
        };
        Self { exit, reports: error.each().map(Report::from).collect() }
    }
}

impl From<&Error> for Report {
    fn from(error: &Error) -> Self {
        let fixes = match error.fault() {
            Fault::Operator { fix } => fix.lines().map(str::to_owned).collect(),
            Fault::Held { by } => vec![format!("end the other one: {by}")],
            Fault::Transient | Fault::Definite | Fault::Bug => Vec::new(),
        };
        let mut causes = Vec::new();
        let mut cause = error.source();
        while let Some(inner) = cause {
            causes.push(inner.to_string());
            cause = inner.source();
        }
        Self { what: error.to_string(), causes, fixes }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::from(&error)
    }
}

impl From<Problems> for Failure {
    fn from(problems: Problems) -> Self {
        let report = |problem: &Problem| Report {
            what: problem.to_string(),
            causes: Vec::new(),
            fixes: vec![problem.fix.clone()],
        };
        Self { exit: Exit::Usage, reports: problems.0.iter().map(report).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_told_with_its_causes_and_its_fix() {
        let error = Error::operator("the slot is in use", "SELECT 1;\nSELECT 2;")
            .because(std::io::Error::other("connection 7"));
        let failure = Failure::from(&error);
        assert_eq!(failure.exit(), Exit::Operator);
        let text = "error: the slot is in use\n  cause: connection 7\n  fix: SELECT 1;\n  \
                    fix: SELECT 2;\n";
        assert_eq!(failure.text(false), text);
        assert!(failure.text(true).starts_with("\u{1b}[1;31merror:\u{1b}[0m the slot"));
    }

    #[test]
    fn of_several_sources_one_that_needs_a_person_decides_the_exit_code() {
        let (held, operator) = (Error::held("taken", "pid 7"), Error::operator("no", "do"));
        let sources = [("acme/main".to_owned(), &held), ("beta/main".to_owned(), &operator)];
        let failure = Failure::of_sources(sources);
        assert_eq!(failure.exit(), Exit::Operator);
        assert!(failure.text(false).contains("error: beta/main: no\n  fix: do\n"));
    }
}
