//! A promise without a test is a wish: every row of the register names tests that exist.

use super::{File, files, report};

/// A function of the sources, with the modules it is in as `cargo test` names them.
struct Function<'f> {
    modules: Vec<&'f str>,
    /// Those of the file's own that are written within it.
    file: &'f File,
    name: &'f str,
}

impl Function<'_> {
    /// Whether it is directly in this module: a file, or one that is written within a file.
    fn is_in(&self, modules: &[&str]) -> bool {
        let inner = || match modules.split_last() {
            Some((last, outer)) => {
                self.modules == outer && self.file.text.contains(&format!("mod {last} {{"))
            }
            None => false,
        };
        self.modules == modules || inner()
    }

    fn is_below(&self, modules: &[&str]) -> bool {
        self.modules.starts_with(modules) || self.is_in(modules)
    }
}

/// `tests/e2e/kill.rs` is `e2e::kill`, `src/sink/kafka/mod.rs` is `sink::kafka`.
fn modules(path: &str) -> Option<Vec<&str>> {
    let mut parts = path.trim_end_matches(".rs").split('/');
    parts.find(|part| ["src", "tests"].contains(part))?;
    Some(parts.filter(|part| !["mod", "lib", "main"].contains(part)).collect())
}

fn functions(files: &[File]) -> Vec<Function<'_>> {
    let mut found = Vec::new();
    for file in files {
        let Some(modules) = modules(&file.path) else { continue };
        for line in file.text.lines() {
            let line = line.trim_start().trim_start_matches("pub ").trim_start_matches("async ");
            let Some(rest) = line.strip_prefix("fn ") else { continue };
            let name = rest.split(['(', '<']).next().unwrap();
            found.push(Function { modules: modules.clone(), file, name });
        }
    }
    found
}

/// The tests that a cell names: `a::b::c`, and `..::d` for another one of the module before.
fn named(cell: &str) -> Vec<&str> {
    let quoted = cell.split('`').skip(1).step_by(2);
    quoted.filter(|name| name.contains("::")).collect()
}

/// Whether a name fits a pattern that may end with `*`.
fn fits(name: &str, pattern: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => name == pattern,
    }
}

#[test]
fn every_guarantee_names_a_test_and_every_test_it_names_exists() {
    let sources = files(".rs");
    let functions = functions(&sources);
    let documents = files("guarantees.md");
    let mut offences = Vec::new();
    let mut place: Vec<&str> = Vec::new();
    let mut proves = false;
    for (nth, line) in documents[0].text.lines().enumerate() {
        let nth = nth + 1;
        let Some(row) = line.strip_prefix('|') else {
            (proves, place) = (false, Vec::new());
            continue;
        };
        let cell = row.trim_end().trim_end_matches('|').rsplit('|').next().unwrap().trim();
        match cell {
            "test" => proves = true,
            "---" => {}
            _ if proves && named(cell).is_empty() => offences.push(format!("{nth}: no test")),
            _ => {}
        }
        for name in named(cell).into_iter().filter(|_| proves) {
            let mut path: Vec<&str> = name.split("::").collect();
            let test = path.pop().unwrap();
            if path != [".."] {
                place = path;
            }
            let exists = |function: &Function<'_>| match test {
                "*" => function.is_below(&place),
                test => fits(function.name, test) && function.is_in(&place),
            };
            if !functions.iter().any(exists) {
                offences.push(format!("{nth}: {name}"));
            }
        }
    }
    report(&offences, "name the test as `cargo test` does in docs/guarantees.md, or write it");
}
