use super::args::TailArgs;
use super::{Exit, Failure};
use crate::config::{Secret, SourceConfig, SourceKind};

/// The source that the options of `tail` mean.
pub(super) fn of_options(args: &TailArgs) -> Result<SourceConfig, Failure> {
    let source = SourceConfig::of_url(kind(args)?, &args.url);
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

/// What the URL begins with says the kind.
fn kind(args: &TailArgs) -> Result<SourceKind, Failure> {
    let Some(mut kind) = SourceKind::of_url(&args.url) else {
        let what = "--url: found an address that begins with neither postgresql:// nor mysql://";
        let fix = "write it as postgresql://user@host:5432/database or \
                   mysql://user@host:3306/database";
        return Err(Failure::new(Exit::Usage, what, fix));
    };
    match (&mut kind, &args.publication) {
        (_, None) => {}
        (SourceKind::Postgres { publication, .. }, Some(given)) => publication.clone_from(given),
        (SourceKind::Mysql { .. }, Some(_)) => {
            let what = "--publication: found one beside the URL of a server that has none";
            return Err(Failure::new(Exit::Usage, what, "leave it out, and give --table instead"));
        }
    }
    Ok(kind)
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
