use std::path::PathBuf;

use super::kafka::{self, KafkaConfig};
use super::outside::Outside;
use super::raw::{Key, Section};

/// Where events go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SinkConfig {
    /// One file that any SQL tool can read.
    Sqlite(SqliteConfig),
    /// Topics of a cluster.
    Kafka(KafkaConfig),
    /// Nowhere: sizes a source.
    Discard,
}

/// The embedded file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqliteConfig {
    /// The file; its folder exists.
    pub path: PathBuf,
    /// Days an event is kept after it was published; `None` is for ever. Levels and checkpoints are
    /// kept for ever.
    pub retention_days: Option<u32>,
}

pub(super) const SINK: Key = Key {
    name: "sink",
    wanted: "a section that says where events go",
    example: "[sink] with kind = \"sqlite\" and path = \"stock.db\" below it",
};
const KIND: Key = Key {
    name: "kind",
    wanted: "\"sqlite\", \"kafka\" or \"discard\"",
    example: "kind = \"sqlite\"",
};
const PATH: Key = Key {
    name: "path",
    wanted: "the SQLite file as a text, relative to this file",
    example: "path = \"stock.db\"",
};
const RETENTION_DAYS: Key = Key {
    name: "retention_days",
    wanted: "whole days from 0 (keep for ever) to 36500",
    example: "retention_days = 30",
};
const RETENTION_DAYS_DEFAULT: u64 = 30;

#[derive(Clone, Copy)]
enum SinkKind {
    Sqlite,
    Kafka,
    Discard,
}

pub(super) fn read(section: Section<'_>, outside: &Outside<'_>) -> Option<SinkConfig> {
    if !section.has(KIND.name) {
        section.report_missing(&KIND);
    }
    let kinds =
        [("sqlite", SinkKind::Sqlite), ("kafka", SinkKind::Kafka), ("discard", SinkKind::Discard)];
    let sink = match section.word(&KIND, &kinds) {
        Some(SinkKind::Sqlite) => sqlite(&section, outside).map(SinkConfig::Sqlite),
        Some(SinkKind::Kafka) => kafka::read(&section, outside).map(SinkConfig::Kafka),
        Some(SinkKind::Discard) => Some(SinkConfig::Discard),
        // Which keys belong here depends on the kind, so none is called unknown.
        None => return None,
    };
    section.finish();
    sink
}

fn sqlite(section: &Section<'_>, outside: &Outside<'_>) -> Option<SqliteConfig> {
    let days = section.number(&RETENTION_DAYS, 0..=36_500);
    let text = section.required_text(&PATH)?;
    let path = outside.path(&text.text);
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    if folder.is_some_and(|folder| !folder.is_dir()) || path.is_dir() {
        section.report(text.problem(
            "a file in a folder that exists",
            "create the folder, or name a file in another one",
        ));
        return None;
    }
    let days = days.unwrap_or(RETENTION_DAYS_DEFAULT);
    let retention_days = u32::try_from(days).ok().filter(|days| *days > 0);
    Some(SqliteConfig { path, retention_days })
}
