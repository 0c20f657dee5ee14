//! The rules of the house, read from the files themselves. Each says how to keep it.

mod guarantees;

use std::path::{Path, PathBuf};

const COLUMNS_MAX: usize = 100;
const FILE_LINES_MAX: usize = 500;
const FUNCTION_LINES_MAX: usize = 70;
const PARAMETERS_MAX: usize = 5;
/// The entrance and the map: nobody should have to scroll.
const ENTRANCE_LINES_MAX: usize = 80;

/// One file of the repository.
struct File {
    /// From the root, with `/`.
    path: String,
    text: String,
}

impl File {
    /// The lines without comments, by number from 1. What stands in quotes stays.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(nth, line)| (nth + 1, without_comment(line)))
    }

    /// The code of the program, without the tests below it.
    fn product(&self) -> impl Iterator<Item = (usize, &str)> {
        let end = self.text.lines().position(|line| line.trim() == "#[cfg(test)]");
        let tests = self.is_test();
        let end = end.filter(|nth| !self.declares_test_file(*nth)).unwrap_or(usize::MAX);
        self.code().filter(move |(nth, _)| !tests && *nth <= end)
    }

    fn is_test(&self) -> bool {
        let folders =
            ["tests/", "bench/", "examples/", "/tests/", "connectors/api/src/conformance"];
        let names = ["/tests.rs", "/properties.rs"];
        folders.iter().any(|folder| self.path.starts_with(folder) || self.path.contains(folder))
            || names.iter().any(|name| self.path.ends_with(name))
    }

    /// Whether `#[cfg(test)]` in this line is about a module in a file of its own.
    fn declares_test_file(&self, nth: usize) -> bool {
        self.text.lines().nth(nth + 1).is_some_and(|line| line.trim_end().ends_with(';'))
    }

    fn is_below(&self, folders: &[&str]) -> bool {
        folders.iter().any(|folder| self.path.starts_with(folder))
    }
}

/// `line` up to a comment. `//` behind a colon is part of a URL.
fn without_comment(line: &str) -> &str {
    let mut from = 0;
    while let Some(at) = line[from..].find("//").map(|at| from + at) {
        if !line[..at].ends_with(':') {
            return &line[..at];
        }
        from = at + 2;
    }
    line
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file of the repository whose name ends so, in order.
fn files(ending: &str) -> Vec<File> {
    let mut paths = Vec::new();
    collect(root(), ending, &mut paths);
    paths.sort();
    assert!(!paths.is_empty(), "no file ends with {ending}");
    let read = |path: PathBuf| {
        let name = path.strip_prefix(root()).unwrap().to_str().unwrap().replace('\\', "/");
        File { path: name, text: std::fs::read_to_string(&path).unwrap() }
    };
    paths.into_iter().map(read).collect()
}

fn collect(folder: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() {
            if !name.starts_with('.') && name != "target" {
                collect(&path, ending, found);
            }
        } else if name.ends_with(ending) {
            found.push(path);
        }
    }
}

/// Fails with every offence and the way to mend it.
fn report(offences: &[String], fix: &str) {
    let list = offences.join("\n  ");
    assert!(offences.is_empty(), "{} offences:\n  {list}\nfix: {fix}", offences.len());
}

/// Whether `word` stands in `line` and is not a part of a longer word.
fn has_word(line: &str, word: &str) -> bool {
    let is_word = |char: char| char.is_alphanumeric() || char == '_';
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        !before.is_some_and(is_word) && !after.is_some_and(is_word)
    })
}

/// The lines of `code` that use one of `words`.
fn uses<'f>(
    file: &'f File,
    code: impl Iterator<Item = (usize, &'f str)>,
    words: &[&str],
) -> Vec<String> {
    let mut offences = Vec::new();
    for (nth, line) in code {
        for word in words.iter().filter(|word| has_word(line, word)) {
            offences.push(format!("{}:{nth}: {word}", file.path));
        }
    }
    offences
}

#[test]
fn pure_folders_know_no_clock_no_io_no_logging_and_no_database() {
    let folders = ["src/stock/", "src/mapping/", "src/state/", "src/progress/"];
    let words = [
        "async",
        "await",
        "tokio",
        "Instant",
        "SystemTime",
        "std::fs",
        "std::net",
        "std::io",
        "std::env",
        "std::process",
        "std::thread",
        "println",
        "eprintln",
        "tracing",
        "rdkafka",
        "rusqlite",
        "connector_postgres",
        "connector_mysql",
    ];
    let pure = files(".rs").into_iter().filter(|file| file.is_below(&folders));
    let offences: Vec<String> = pure.flat_map(|file| uses(&file, file.product(), &words)).collect();
    report(
        &offences,
        "take what is needed as an argument, and do the rest in seller, shard or sink",
    );
}

#[test]
fn only_the_wiring_names_a_family_of_databases() {
    let words = [
        "connector_postgres",
        "tokio_postgres",
        "postgres_protocol",
        "pgoutput",
        "walsender",
        "wal_level",
        "confirmed_flush_lsn",
        "pg_replication_slots",
        "pg_stat_replication",
        "connector_mysql",
        "mysql_async",
        "binlog",
        "binlog_format",
        "gtid_mode",
        "server_uuid",
    ];
    let others = files(".rs")
        .into_iter()
        .filter(|file| file.is_below(&["src/"]) && file.path != "src/seller/connector.rs");
    let offences: Vec<String> =
        others.flat_map(|file| uses(&file, file.product(), &words)).collect();
    report(&offences, "let the connector say it in the words of connector-api");
}

#[test]
fn what_is_said_and_where_it_goes_name_no_database_they_read_from() {
    let words = ["postgres", "Postgres", "postgresql", "PostgreSQL", "mysql", "MySQL", "mariadb"];
    let folders = ["src/stock/", "src/sink/", "src/shard/", "src/state/", "src/progress/"];
    let ours = files(".rs").into_iter().filter(|file| file.is_below(&folders));
    let offences: Vec<String> = ours.flat_map(|file| uses(&file, file.product(), &words)).collect();
    report(&offences, "an event's engine is a value that comes from the connector");
}

#[test]
fn connectors_know_nothing_of_stock_and_sinks() {
    let words = ["StockEvent", "stock", "sku", "rusqlite", "rdkafka", "tailstock"];
    let connectors = files(".rs")
        .into_iter()
        .filter(|file| file.is_below(&["connectors/"]) && file.path.contains("/src/"));
    let imports = |file: &File| {
        let code = file.product().filter(|(_, line)| line.trim_start().starts_with("use "));
        uses(file, code, &words)
    };
    let offences: Vec<String> = connectors.flat_map(|file| imports(&file)).collect();
    report(&offences, "a connector speaks only the words of connector-api");
}

#[test]
fn files_lines_and_entrances_keep_their_size() {
    let (mut long, mut wide) = (Vec::new(), Vec::new());
    for file in files(".rs") {
        let lines = file.text.lines().count();
        let entrance = ["src/main.rs", "src/lib.rs"].contains(&file.path.as_str());
        let max = if entrance { ENTRANCE_LINES_MAX } else { FILE_LINES_MAX };
        if lines > max {
            long.push(format!("{}: {lines} lines, at most {max}", file.path));
        }
        for (nth, line) in file.text.lines().enumerate() {
            let columns = line.chars().count();
            if columns > COLUMNS_MAX {
                wide.push(format!("{}:{}: {columns} columns", file.path, nth + 1));
            }
        }
    }
    report(&long, "split the file by what it owns; long tests go into a tests.rs beside it");
    report(&wide, "break the line after 100 columns; cargo fmt does it where it can");
}

#[test]
fn functions_keep_their_size() {
    let mut offences = Vec::new();
    for file in files(".rs") {
        let lines: Vec<&str> = file.text.lines().collect();
        for (nth, _) in lines.iter().enumerate().filter(|(_, line)| begins_function(line)) {
            let length = function_length(&lines[nth..]);
            if length > FUNCTION_LINES_MAX {
                offences.push(format!("{}:{}: {length} lines", file.path, nth + 1));
            }
            let parameters = parameters(&lines[nth..]);
            if parameters > PARAMETERS_MAX {
                offences.push(format!("{}:{}: {parameters} parameters", file.path, nth + 1));
            }
        }
    }
    report(&offences, "give its parts names of their own, and its parameters a struct");
}

/// The lines of the function that begins in the first one, as the formatter lays it out.
fn function_length(lines: &[&str]) -> usize {
    let first = lines[0].trim_end();
    if first.ends_with(';') || first.ends_with('}') {
        return 1;
    }
    let indent = first.len() - first.trim_start().len();
    let ends = |line: &&str| {
        let inner = line.trim_start();
        let declared = inner.starts_with(')') && inner.ends_with(';');
        line.len() - inner.len() == indent && (inner.starts_with('}') || declared)
    };
    lines.iter().skip(1).position(ends).map_or(lines.len(), |end| end + 2)
}

fn begins_function(line: &str) -> bool {
    let line = line.trim_start();
    let words = ["pub ", "pub(super) ", "pub(crate) ", "const ", "async ", "unsafe "];
    let mut rest = line;
    while let Some(word) = words.iter().find(|word| rest.starts_with(**word)) {
        rest = &rest[word.len()..];
    }
    rest.starts_with("fn ")
}

/// How many parameters the function that begins in the first line has, `self` not counted.
fn parameters(lines: &[&str]) -> usize {
    let head: String = lines.iter().take(30).map(|line| without_comment(line)).collect();
    let Some(name) = head.find("fn ") else { return 0 };
    let Some(open) = parameter_list(&head[name..]).map(|at| name + at) else { return 0 };
    let mut depth = 0_i32;
    let mut parts = vec![String::new()];
    for char in head[open..].chars() {
        match char {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            ',' if depth == 1 => parts.push(String::new()),
            _ => {}
        }
        if depth == 0 {
            break;
        }
        parts.last_mut().unwrap().push(char);
    }
    // A comma inside angle brackets separates no parameters: a parameter has a colon of its own.
    parts.iter().filter(|part| part.trim_start_matches(['(', ' ']).contains(": ")).count()
}

/// Where the parameters of a function begin: behind its name and its generics.
fn parameter_list(head: &str) -> Option<usize> {
    let mut depth = 0_i32;
    let mut previous = ' ';
    for (at, char) in head.char_indices() {
        match char {
            '<' => depth += 1,
            '>' if previous != '-' => depth -= 1,
            '(' if depth == 0 => return Some(at),
            _ => {}
        }
        previous = char;
    }
    None
}

#[test]
fn nothing_is_unwrapped_outside_tests() {
    let offences: Vec<String> =
        files(".rs").iter().flat_map(|file| uses(file, file.product(), &["unwrap"])).collect();
    report(&offences, "return the error, or `expect` with the sentence that makes it impossible");
}

#[test]
fn nothing_is_left_for_later() {
    // Put together here, so that this file does not hold them.
    let marks = ["TO".to_owned() + "DO", "FIX".to_owned() + "ME", "X".repeat(3)];
    let macros = ["to".to_owned() + "do!", "unimple".to_owned() + "mented!"];
    let mut offences = Vec::new();
    for file in files(".rs").into_iter().chain(files(".toml")).chain(files(".md")) {
        for (nth, line) in file.text.lines().enumerate() {
            let mark = marks.iter().any(|mark| has_word(line, mark));
            if mark || macros.iter().any(|name| line.contains(name)) {
                offences.push(format!("{}:{}", file.path, nth + 1));
            }
        }
    }
    report(&offences, "do it now, or write an issue and leave no mark in the code");
}

#[test]
fn modules_are_named_after_what_they_own() {
    let empty = ["utils", "util", "common", "helpers", "helper", "misc"];
    let named = |file: &&File| {
        let parts = file.path.trim_end_matches(".rs").split('/');
        parts.into_iter().any(|part| empty.contains(&part))
    };
    let files = files(".rs");
    let offences: Vec<String> = files.iter().filter(named).map(|file| file.path.clone()).collect();
    report(&offences, "name it after the thing it knows; if there is none, move its parts");
}

#[test]
fn tests_wait_for_conditions_and_never_for_time() {
    let sleeps = ["thread::sleep", "time::sleep"];
    let mut offences = Vec::new();
    // A bench paces its load, and the testbed is what waits for conditions.
    let files = files(".rs").into_iter();
    let files = files.filter(|file| !file.is_below(&["bench/", "tests/testbed/"]));
    for file in files.filter(|file| file.path != "tests/tidy.rs") {
        let from = file.product().last().map_or(0, |(nth, _)| nth);
        let tests = file.code().filter(|(nth, _)| *nth > from);
        offences.extend(uses(&file, tests, &sleeps));
    }
    report(&offences, "wait until the condition holds, with a deadline that names it");
}

#[test]
fn memory_safety_is_given_up_in_two_places() {
    let places = ["connectors/transport/src/socket.rs", "src/main.rs"];
    let mut offences = Vec::new();
    for file in files(".rs").into_iter().filter(|file| !places.contains(&file.path.as_str())) {
        let code = file.code().filter(|_| file.path != "tests/tidy.rs");
        offences.extend(uses(&file, code, &["unsafe", "unsafe_code"]));
    }
    report(&offences, "use a well-kept crate that wraps the call");
}

#[test]
fn every_link_in_a_document_leads_somewhere() {
    let mut offences = Vec::new();
    for file in files(".md") {
        let folder = root().join(&file.path).parent().unwrap().to_owned();
        for (nth, line) in file.text.lines().enumerate() {
            for link in line.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
                let target = link.split(['#', ' ']).next().unwrap();
                let inside = !link.contains("://") && !link.starts_with("mailto:");
                if inside && !target.is_empty() && !folder.join(target).exists() {
                    offences.push(format!("{}:{}: {link}", file.path, nth + 1));
                }
            }
        }
    }
    report(&offences, "name an existing file, relative to the document");
}

#[test]
fn the_changelog_keeps_its_shape() {
    let text = std::fs::read_to_string(root().join("CHANGELOG.md")).unwrap_or_default();
    let mut offences = Vec::new();
    if !text.starts_with("# Changelog\n") || !text.contains("\n## [Unreleased]\n") {
        offences.push("no `# Changelog` with `## [Unreleased]` below it".to_owned());
    }
    let kinds = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"];
    for line in text.lines() {
        if let Some(version) = line.strip_prefix("## ") {
            let (number, date) = version.split_once("] - ").unwrap_or((version, ""));
            let dated = date.len() == 10 && date.split('-').count() == 3;
            if version != "[Unreleased]" && !(number.starts_with('[') && dated) {
                offences.push(format!("## {version}"));
            }
        }
        if line.strip_prefix("### ").is_some_and(|kind| !kinds.contains(&kind)) {
            offences.push(line.to_owned());
        }
    }
    report(&offences, "keep the form of keepachangelog.com: ## [1.2.0] - 2026-11-21, ### Added");
}
