use super::args::TailArgs;
use super::{Exit, Failure};
use crate::config::{Secret, SourceConfig, SourceKind};

/// The source that the options of `tail` mean.
pub(super) fn of_options(args: &TailArgs) -> Result<SourceConfig, Failure> {
    let source = SourceConfig::of_url(SourceKind::Postgres, &args.url, &args.publication);
    let given = match (&args.password_file, &args.password_env) {
        (Some(file), _) => Some(Secret::read(file).map_err(|what| {
            let what = format!("--password-file: found the file {}, {what}", file.display());
            Failure::new(Exit::Usage, what, "put the password alone into a file of its own")
        })?),
        (None, Some(name)) => Some(variable(name)?),
        (None, None) => None,
    };
    match (given, source.password.is_some()) {
        (Some(_), true) => {
            let what = "found a password in --url and another one";
            Err(Failure::new(Exit::Usage, what, "give one of the two"))
        }
        (Some(given), false) => Ok(SourceConfig { password: Some(given), ..source }),
        (None, _) => Ok(source),
    }
}

fn variable(name: &str) -> Result<Secret, Failure> {
    match std::env::var(name) {
        Ok(value) if !value.is_empty() => Ok(Secret::new(value)),
        _ => {
            let what = format!("--password-env: the environment variable {name} is not set");
            Err(Failure::new(Exit::Usage, what, "set it, or name another one"))
        }
    }
}
