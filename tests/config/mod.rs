//! What users write: the files in `config/` are right, and everything in `broken/` is told in one
//! message that names file, line, key and fix, before anything is created.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// `tailstock ARGUMENTS...` in `folder`, with nothing in the environment but `GIVEN`.
fn tailstock(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tailstock"))
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .env("GIVEN", "something")
        .output()
        .unwrap()
}

/// Writes the files that `text` holds: each begins behind a line `### NAME`; `### NAME -> OTHER` is
/// a link.
fn unpack(text: &str, folder: &Path) {
    for part in text.split("### ").skip(1) {
        let (name, content) = part.split_once('\n').unwrap();
        let file = folder.join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        match name.split_once(" -> ") {
            Some((link, other)) => std::os::unix::fs::symlink(other, folder.join(link)).unwrap(),
            None => std::fs::write(file, content).unwrap(),
        }
    }
}

/// Every file below `folder`.
fn files(folder: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        }
        found.insert(path);
    }
    found
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn every_broken_configuration_is_told_once_with_its_fix_and_creates_nothing() {
    let broken = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config/broken");
    let cases = files(&broken);
    assert!(cases.len() >= 40, "{} cases", cases.len());
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    let _bound = settings.bind_to_scope();
    for case in cases {
        let name = case.file_stem().unwrap().to_str().unwrap();
        let folder = tempfile::tempdir().unwrap();
        unpack(&std::fs::read_to_string(&case).unwrap(), folder.path());
        let before = files(folder.path());
        let output = tailstock(folder.path(), &["run"]);
        let told = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{name}: {told}");
        assert_eq!(files(folder.path()), before, "{name} left something behind");
        assert!(output.stdout.is_empty(), "{name}");
        for password in ["hunter2", "48151623"] {
            assert!(!told.contains(password), "{name} tells a password");
        }
        let errors = told.lines().filter(|line| line.starts_with("error: ")).count();
        if !name.starts_with("several_") {
            assert_eq!(errors, 1, "{name}: {told}");
        }
        assert_eq!(told.matches("  fix: ").count(), errors, "{told}");
        insta::assert_snapshot!(name, told);
    }
}

#[test]
fn validate_tells_the_same_problems_to_programs() {
    let case = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/config/broken/several_problems_are_told_together.toml");
    let folder = tempfile::tempdir().unwrap();
    unpack(&std::fs::read_to_string(case).unwrap(), folder.path());
    let told = tailstock(folder.path(), &["validate"]);
    assert_eq!(told.status.code(), Some(2));
    let output = tailstock(folder.path(), &["validate", "--json"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stderr.is_empty());
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["valid"], false);
    let problems = answer["problems"].as_array().unwrap();
    assert_eq!(problems.len(), text(&told.stderr).matches("error: ").count());
    for problem in problems {
        assert!(problem["line"].is_u64() && problem["fix"].is_string(), "{problem}");
    }
}

#[test]
fn a_main_file_that_does_not_exist_is_told_with_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let output = tailstock(folder.path(), &["--config", "nowhere.toml", "validate"]);
    assert_eq!(output.status.code(), Some(2));
    let told = text(&output.stderr);
    assert!(told.starts_with("error: nowhere.toml: found a file which does not exist"), "{told}");
}

#[test]
fn the_files_in_config_are_right() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let arguments = ["--config", "config/tailstock.toml", "validate", "--json"];
    let output = tailstock(root, &arguments);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["sellers"][0]["seller"], "acme");
}

#[test]
fn the_files_in_config_hold_every_option_with_its_default() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |name: &str| std::fs::read_to_string(root.join("config").join(name)).unwrap();
    let files =
        ["tailstock.toml", "sellers/example.toml", "sellers/opencart.toml"].map(read).concat();
    let mut options = BTreeSet::new();
    for source in ["main_file", "sink", "kafka", "seller_file", "source", "kind", "stock", "lookup"]
    {
        let code = std::fs::read_to_string(root.join(format!("src/config/{source}.rs"))).unwrap();
        let examples = code.split("example: \"").skip(1).chain(code.split(", \"").skip(1));
        options.extend(examples.filter_map(|text| {
            let option = text.split(" =").next().unwrap();
            let word = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
            (!option.is_empty() && option.bytes().all(word)).then(|| option.to_owned())
        }));
    }
    assert!(options.len() > 30, "{options:?}");
    for option in options {
        let line = |line: &str| line.trim_start_matches("# ").starts_with(&format!("{option} "));
        assert!(files.lines().any(line), "config/ does not tell of `{option}`");
    }
}

#[test]
fn a_configuration_says_the_same_whatever_folder_it_is_named_from() {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("etc");
    let case = "\
### tailstock.toml
name = 'test'
sellers = 'sellers/*.toml'
[sink]
kind = 'sqlite'
path = 'stock.db'
### sellers/acme.toml
seller = 'acme'
[source]
kind = 'postgres'
url = 'postgresql://tailstock@db/shop'
password = { file = '../secret' }
[[stock]]
table = 'public.stock'
item = 'id'
on_hand = 'qty'
### secret
hunter2
";
    unpack(case, &inner);
    let far = tailstock(folder.path(), &["--config", "etc/tailstock.toml", "validate"]);
    let near = tailstock(&inner, &["validate"]);
    assert_eq!((far.status.code(), near.status.code()), (Some(0), Some(0)), "{far:?} {near:?}");
    assert_eq!(text(&far.stdout).replace("etc/", ""), text(&near.stdout));
    assert!(!text(&far.stdout).contains("hunter2"));
}
