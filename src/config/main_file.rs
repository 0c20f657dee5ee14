use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::outside::{self, Outside};
use super::problem::{Problem, Problems, Text};
use super::raw::{Document, Key, Section};
use super::seller_file::{self, SellerConfig};
use super::sink::{self, SINK};
use super::{Config, Loader};

/// How this process tells what it does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogConfig {
    /// For people or for machines.
    pub format: LogFormat,
    /// The least severe level that is written.
    pub level: tracing::Level,
}

/// The form of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// One line a person reads.
    Text,
    /// One JSON object a line.
    Json,
}

const NAME: Key = Key { name: "name", wanted: NAME_WANTED, example: "name = \"tailstock\"" };
const SELLERS: Key = Key {
    name: "sellers",
    wanted: "the pattern of the sellers' files, relative to this file",
    example: "sellers = \"sellers/*.toml\"",
};
const MIN_COMMIT_INTERVAL: Key = Key {
    name: "min_commit_interval_ms",
    wanted: "whole milliseconds from 0 to 10000",
    example: "min_commit_interval_ms = 0",
};
const BUFFER: Key = Key {
    name: "buffer_bytes",
    wanted: "whole bytes from 1048576 (1 MiB) to 1073741824 (1 GiB)",
    example: "buffer_bytes = 6291456",
};
const HTTP: Key = Key {
    name: "http",
    wanted: "a section",
    example: "[http] with listen = \"127.0.0.1:8642\" below it",
};
const LISTEN: Key = Key {
    name: "listen",
    wanted: "an IP address with a port, or \"\" for none",
    example: "listen = \"127.0.0.1:8642\"",
};
const LOG: Key =
    Key { name: "log", wanted: "a section", example: "[log] with level = \"info\" below it" };
const FORMAT: Key =
    Key { name: "format", wanted: "\"text\" or \"json\"", example: "format = \"text\"" };
const LEVEL: Key = Key {
    name: "level",
    wanted: "\"error\", \"warn\", \"info\", \"debug\" or \"trace\"",
    example: "level = \"info\"",
};

const NAME_WANTED: &str = "1 to 63 of the characters a-z, 0-9, _ and -, a letter or digit first";
const BUFFER_DEFAULT: u64 = 6 << 20;
const LISTEN_DEFAULT: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 8642));

impl Default for LogConfig {
    fn default() -> Self {
        Self { format: LogFormat::Text, level: tracing::Level::INFO }
    }
}

pub(super) fn load(loader: &Loader<'_>, file: &Path) -> Result<Config, Problems> {
    let fix = "name an existing file: tailstock --config tailstock.toml; its form is told by \
               config/tailstock.toml in the documentation";
    let (name, text) = outside::read(file, fix).map_err(|problem| Problems(vec![problem]))?;
    let document = Document::new(name, &text);
    let outside = Outside::of(loader, file);
    let root = document.parse(&text);
    let main = root.as_ref().map(|root| read(Section::root(&document, root), &outside, file));
    let (config, pattern) = main.unwrap_or_default();
    let files = pattern.map(|pattern| files(&pattern, &outside, &document)).unwrap_or_default();
    let mut problems = document.into_problems();
    let mut sellers = Vec::new();
    for file in files {
        match seller_file::load(loader, &file) {
            Ok(seller) => sellers.push(seller),
            Err(found) => problems.extend(found),
        }
    }
    let known_as = |seller: &SellerConfig| (loader.known_as)(seller, config.as_ref());
    problems.extend(seller_file::twice(&sellers, &known_as));
    match config {
        Some(config) if problems.is_empty() => Ok(Config { sellers, ..config }),
        _ => Err(Problems(problems)),
    }
}

/// The main file's own part of the configuration, and the pattern of its sellers' files.
fn read(root: Section<'_>, outside: &Outside<'_>, file: &Path) -> (Option<Config>, Option<Text>) {
    let name = root.required_text(&NAME).and_then(|name| checked_name(&root, name));
    let sellers = root.required_text(&SELLERS);
    let interval = root.number(&MIN_COMMIT_INTERVAL, 0..=10_000).unwrap_or(0);
    let buffer = root.number(&BUFFER, 1 << 20..=1 << 30).unwrap_or(BUFFER_DEFAULT);
    if !root.has(SINK.name) {
        root.report_missing(&SINK);
    }
    let sink = root.section(&SINK).and_then(|section| sink::read(section, outside));
    let http = root.section(&HTTP).map_or(Some(LISTEN_DEFAULT), listen);
    let log = root.section(&LOG).map_or(LogConfig::default(), log);
    let config = sink.zip(name).map(|(sink, name)| Config {
        file: file.to_owned(),
        name: name.text,
        sink,
        http,
        log,
        min_commit_interval: Duration::from_millis(interval),
        buffer_bytes: usize::try_from(buffer).unwrap_or(usize::MAX),
        sellers: Vec::new(),
    });
    root.finish();
    (config, sellers)
}

fn listen(section: Section<'_>) -> Option<SocketAddr> {
    let text = section.text(&LISTEN);
    let address = match text.as_ref().map(|text| text.text.as_str()) {
        None => Some(LISTEN_DEFAULT),
        Some("") => None,
        Some(address) => address.parse().ok(),
    };
    if let Some(text) = text.filter(|text| address.is_none() && !text.text.is_empty()) {
        section.report(text.problem(LISTEN.wanted, LISTEN.example));
    }
    section.finish();
    address
}

fn log(section: Section<'_>) -> LogConfig {
    use tracing::Level;
    let formats = [("text", LogFormat::Text), ("json", LogFormat::Json)];
    let levels = [
        ("error", Level::ERROR),
        ("warn", Level::WARN),
        ("info", Level::INFO),
        ("debug", Level::DEBUG),
        ("trace", Level::TRACE),
    ];
    let default = LogConfig::default();
    let format = section.word(&FORMAT, &formats).unwrap_or(default.format);
    let level = section.word(&LEVEL, &levels).unwrap_or(default.level);
    section.finish();
    LogConfig { format, level }
}

/// The files a pattern means, in the order of their names. Folders are passed over, as a shell's
/// user is used to. Anything else was put there for a seller: what is no file, or does not say what
/// it is, is a problem of its own, and never a seller that nobody misses.
fn files(pattern: &Text, outside: &Outside<'_>, document: &Document) -> Vec<PathBuf> {
    let folder = glob::Pattern::escape(&outside.path("").display().to_string());
    let whole = Path::new(&folder).join(&pattern.text);
    let found = match glob::glob(&whole.display().to_string()) {
        Ok(found) => found,
        Err(error) => {
            let wanted = format!("a pattern ({})", error.msg);
            document.report(pattern.problem(wanted, SELLERS.example));
            return Vec::new();
        }
    };
    let (mut files, mut are_all) = (Vec::new(), true);
    for path in found {
        let path = path.map_err(|error| (error.path().to_owned(), outside::reason(error.error())));
        match path.and_then(|path| seller_at(&path).map_err(|why| (path, why))) {
            Ok(file) => files.extend(file),
            Err((path, why)) => {
                let found = format!("{:?}, which matches {}, {why}", pattern.text, path.display());
                let wanted = "a pattern all of whose matches are readable files or folders";
                let fix = "mend or remove what is there, or let the pattern match less";
                document.report(Problem::at(&pattern.place, found, wanted, fix));
                are_all = false;
            }
        }
    }
    files.sort();
    if files.is_empty() && are_all {
        let wanted = "a pattern that matches at least one file";
        let fix = "write a seller's file there, or mend the pattern; it is relative to this file";
        document.report(pattern.problem(wanted, fix));
    }
    files
}

/// The file that is there, or nothing for a folder; or why it can be neither.
fn seller_at(path: &Path) -> Result<Option<PathBuf>, String> {
    // Emacs marks a file that somebody changes with a link to nothing beside it.
    let is_mark = |name: &std::ffi::OsStr| name.as_encoded_bytes().starts_with(b".#");
    if path.is_symlink() && path.file_name().is_some_and(is_mark) {
        return Ok(None);
    }
    let metadata = std::fs::metadata(path).map_err(|error| outside::reason(&error))?;
    match (metadata.is_file(), metadata.is_dir()) {
        (true, _) => Ok(Some(path.to_owned())),
        (_, true) => Ok(None),
        _ => Err("which is neither a file nor a folder".to_owned()),
    }
}

/// The text of a name that goes into keys, slots and metrics; anything else is reported.
pub(super) fn checked_name(section: &Section<'_>, name: Text) -> Option<Text> {
    let bytes = name.text.as_bytes();
    let plain = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let right = bytes.len() <= 63
        && bytes.first().is_some_and(plain)
        && bytes.iter().all(|byte| plain(byte) || matches!(byte, b'_' | b'-'));
    if right {
        return Some(name);
    }
    let mended: String = name
        .text
        .to_ascii_lowercase()
        .chars()
        .map(|char| if char.is_ascii_alphanumeric() || char == '-' { char } else { '_' })
        .collect();
    let mended = mended.trim_matches(['_', '-']);
    let mended = &mended[..mended.len().min(63)];
    let fix = match mended {
        "" => "choose such a name".to_owned(),
        mended => format!("for example {mended:?}"),
    };
    section.report(name.problem(NAME_WANTED, fix));
    None
}
