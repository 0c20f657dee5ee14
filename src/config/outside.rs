use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::problem::{Place, Problem, Text};
use super::raw::{Key, Section};
use super::{Loader, Secret};

/// Longer than any password, shorter than a file named by mistake.
const SECRET_BYTES_MAX: u64 = 64 * 1024;

/// What a file may take from its surroundings: variables, secret files, paths beside it.
pub(super) struct Outside<'a> {
    loader: &'a Loader<'a>,
    folder: &'a Path,
}

impl<'a> Outside<'a> {
    /// The surroundings of `file`.
    pub(super) fn of(loader: &'a Loader<'a>, file: &'a Path) -> Self {
        Self { loader, folder: file.parent().unwrap_or(Path::new("")) }
    }

    pub(super) fn loader(&self) -> &Loader<'a> {
        self.loader
    }

    /// A path of the file, which is relative to the file's own folder.
    pub(super) fn path(&self, text: &str) -> PathBuf {
        self.folder.join(text)
    }

    /// The same for who wants a text. A folder's name that is none is one that nobody finds.
    pub(super) fn path_text(&self, text: &str) -> String {
        self.path(text).to_string_lossy().into_owned()
    }

    /// `text` with every `${NAME}` replaced by that environment variable.
    pub(super) fn expand(&self, text: &Text) -> Result<String, Problem> {
        let mut expanded = String::new();
        let mut rest = text.text.as_str();
        while let Some((before, behind)) = rest.split_once("${") {
            let Some((name, after)) = behind.split_once('}') else {
                return Err(text.problem("a `}` behind `${`", "write ${NAME}"));
            };
            expanded.push_str(before);
            expanded.push_str(&self.variable(name, &text.place)?);
            rest = after;
        }
        expanded.push_str(rest);
        Ok(expanded)
    }

    /// An environment variable that must be set and not be empty.
    pub(super) fn variable(&self, name: &str, place: &Place) -> Result<String, Problem> {
        match (self.loader.variable)(name) {
            Some(value) if !value.is_empty() => Ok(value),
            other => {
                let state = if other.is_some() { "empty" } else { "not set" };
                Err(Problem::at(
                    place,
                    format!("the environment variable {name}, which is {state}"),
                    "a value in it",
                    format!("set {name} in the environment tailstock is started in"),
                ))
            }
        }
    }

    /// The section of a secret: `{ file = "path" }` or `{ env = "NAME" }`. A problem is reported.
    pub(super) fn secret(&self, section: Section<'_>) -> Option<Secret> {
        let file = section.text(&FILE);
        let env = section.text(&ENV);
        let place = section.own_place();
        let secret = match (&file, &env) {
            (Some(file), None) => self.secret_file(file),
            (None, Some(env)) => self.variable(env.text.trim(), &env.place),
            _ => Err(Problem::at(
                &place,
                if file.is_some() { "both `file` and `env`" } else { "neither `file` nor `env`" },
                "exactly one of them",
                format!("{} = {{ file = \"/run/secrets/acme\" }}", last(&place.key)),
            )),
        };
        section_finished(section, secret).map(Secret::new)
    }

    fn secret_file(&self, file: &Text) -> Result<String, Problem> {
        let path = self.path(&self.expand(file)?);
        read_secret(&path).map_err(|what| {
            let found = format!("the file {}, {what}", path.display());
            let fix = "put the secret alone into that file, readable for tailstock's user";
            Problem::at(&file.place, found, "a readable file that holds the secret", fix)
        })
    }
}

/// The key itself, without its sections.
fn last(key: &str) -> &str {
    key.rsplit('.').next().unwrap_or(key)
}

/// The secret in a file, without the end of its line; or what is wrong with the file.
pub(super) fn read_secret(path: &Path) -> Result<String, String> {
    let metadata = std::fs::metadata(path).map_err(|error| reason(&error))?;
    if !metadata.is_file() || metadata.len() > SECRET_BYTES_MAX {
        return Err("which is no file of at most 64 KiB".to_owned());
    }
    let text = std::fs::read_to_string(path).map_err(|error| reason(&error))?;
    let secret = text.strip_suffix('\n').unwrap_or(&text);
    let secret = secret.strip_suffix('\r').unwrap_or(secret);
    if secret.is_empty() || secret.contains(['\n', '\0']) {
        return Err("which is empty or has several lines".to_owned());
    }
    Ok(secret.to_owned())
}

pub(super) const FILE: Key = Key {
    name: "file",
    wanted: "the path of a file as a text",
    example: "{ file = \"/run/secrets/acme\" }",
};

pub(super) const ENV: Key = Key {
    name: "env",
    wanted: "the name of an environment variable as a text",
    example: "{ env = \"ACME_PASSWORD\" }",
};

/// Ends a section that yields one value: its unknown keys and the value's problem are reported.
pub(super) fn section_finished<T>(section: Section<'_>, value: Result<T, Problem>) -> Option<T> {
    let value = value.map_err(|problem| section.report(problem)).ok();
    section.finish();
    value
}

/// Reads a configuration file; `fix` is for one that cannot be read.
pub(super) fn read(path: &Path, fix: &str) -> Result<(Arc<str>, String), Problem> {
    let file: Arc<str> = path.display().to_string().into();
    std::fs::read_to_string(path).map(|text| (Arc::clone(&file), text)).map_err(|error| {
        let place = Place { file, line: None, key: String::new() };
        let found = format!("a file {}", reason(&error));
        Problem::at(&place, found, "a readable configuration file", fix)
    })
}

/// Why a file cannot be read, without the numbers of the operating system.
pub(super) fn reason(error: &std::io::Error) -> String {
    use std::io::ErrorKind;
    match error.kind() {
        ErrorKind::NotFound => "which does not exist".to_owned(),
        ErrorKind::PermissionDenied => "which may not be read".to_owned(),
        ErrorKind::IsADirectory => "which is a folder".to_owned(),
        ErrorKind::InvalidData => "which is not UTF-8 text".to_owned(),
        _ => format!("which cannot be read ({error})"),
    }
}
