//! Reading TOML strictly, and to the end: a section hands out checked values by key, notes every
//! problem with its line, and when it is finished reports each key nobody asked for.
//!
//! Deserializing into structs would stop at the first problem of a file, and would name no
//! neighbouring key for a mistyped one; here the known keys are the ones that were asked for.

use std::cell::RefCell;
use std::ops::RangeInclusive;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Secret;
use super::outside::Outside;
use super::problem::{Place, Problem, Text};

/// One option of a file.
pub(super) struct Key {
    pub(super) name: &'static str,
    /// What it takes, for messages: `a text like ...`.
    pub(super) wanted: &'static str,
    /// A line that is right.
    pub(super) example: &'static str,
}

/// What is found where a key is missing.
const MISSING: &str = "no such key";

/// Keys of the top of a file, which are easily written below its sections.
const TOP: [&str; 6] =
    ["name", "sellers", "seller", "prefix", "min_commit_interval_ms", "buffer_bytes"];

/// A file that is being read, with the problems found so far.
pub(super) struct Document {
    file: Arc<str>,
    line_starts: Vec<usize>,
    problems: RefCell<Vec<Problem>>,
}

impl Document {
    pub(super) fn new(file: Arc<str>, text: &str) -> Self {
        let newlines = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let line_starts = newlines.map(|(at, _)| at + 1).collect();
        Self { file, line_starts, problems: RefCell::default() }
    }

    /// Parses `text`, the document's own. A file that is not TOML has this one problem only: what
    /// stands behind it cannot be told from its consequences.
    pub(super) fn parse<'t>(&self, text: &'t str) -> Option<Spanned<DeTable<'t>>> {
        let (root, errors) = DeTable::parse_recoverable(text);
        let Some(error) = errors.into_iter().next() else { return Some(root) };
        let line = error.span().map(|span| self.line_of(span.start));
        let place = Place { file: Arc::clone(&self.file), line, key: String::new() };
        self.report(Problem::at(
            &place,
            format!("text that is not TOML ({})", error.message()),
            "a TOML file",
            "mend that line; texts stand in quotes, sections in [brackets]; see https://toml.io",
        ));
        None
    }

    pub(super) fn report(&self, problem: Problem) {
        self.problems.borrow_mut().push(problem);
    }

    /// A key is there under another name: that it is missing is not said besides.
    fn mistyped(&self, key: &str) {
        let is_same = |problem: &Problem| problem.place.key == key && problem.found == MISSING;
        self.problems.borrow_mut().retain(|problem| !is_same(problem));
    }

    /// The problems so far, in the order of their lines.
    pub(super) fn into_problems(self) -> Vec<Problem> {
        let mut problems = self.problems.into_inner();
        problems.sort_by_key(|problem| problem.place.line);
        problems
    }

    fn line_of(&self, offset: usize) -> u32 {
        let line = self.line_starts.partition_point(|start| *start <= offset) + 1;
        u32::try_from(line).unwrap_or(u32::MAX)
    }
}

/// A table of a file, read key by key.
pub(super) struct Section<'d> {
    document: &'d Document,
    table: &'d DeTable<'d>,
    /// `source.`, `stock[2].`; empty at the top of the file.
    prefix: String,
    line: u32,
    known: RefCell<Vec<&'static str>>,
}

impl<'d> Section<'d> {
    pub(super) fn root(document: &'d Document, root: &'d Spanned<DeTable<'d>>) -> Self {
        let known = RefCell::default();
        Self { document, table: root.get_ref(), prefix: String::new(), line: 1, known }
    }

    /// The place of a key, or of the section's beginning when it has no such key.
    pub(super) fn place(&self, key: &str) -> Place {
        let line = self.entry(key).map_or(self.line, |(name, _)| self.line_at(name));
        self.place_at(line, key)
    }

    /// The place of the section itself.
    pub(super) fn own_place(&self) -> Place {
        let key = self.prefix.trim_end_matches('.').to_owned();
        Place { file: Arc::clone(&self.document.file), line: Some(self.line), key }
    }

    pub(super) fn report(&self, problem: Problem) {
        self.document.report(problem);
    }

    /// A text, or nothing when the key is missing or, with a problem reported, no text.
    pub(super) fn text(&self, key: &Key) -> Option<Text> {
        match self.value(key)? {
            DeValue::String(text) => {
                Some(Text { text: text.clone().into_owned(), place: self.place(key.name) })
            }
            other => self.wrong_type(key, other),
        }
    }

    /// A text that must be there and not be empty.
    pub(super) fn required_text(&self, key: &Key) -> Option<Text> {
        if !self.has(key.name) {
            self.report_missing(key);
        }
        self.filled_text(key)
    }

    /// A text that may be missing, but not be empty.
    pub(super) fn filled_text(&self, key: &Key) -> Option<Text> {
        let text = self.text(key)?;
        if text.text.trim().is_empty() {
            self.report(text.problem(key.wanted, key.example));
            return None;
        }
        Some(text)
    }

    pub(super) fn report_missing(&self, key: &Key) {
        let fix = format!("add {}", key.example);
        self.report(Problem::at(&self.place(key.name), MISSING, key.wanted, fix));
    }

    pub(super) fn flag(&self, key: &Key) -> Option<bool> {
        match self.value(key)? {
            DeValue::Boolean(flag) => Some(*flag),
            other => self.wrong_type(key, other),
        }
    }

    /// A whole number within `bounds`.
    pub(super) fn number(&self, key: &Key, bounds: RangeInclusive<u64>) -> Option<u64> {
        match self.value(key)? {
            DeValue::Integer(number) => {
                let digits = number.as_str();
                let value = u64::from_str_radix(digits, number.radix()).ok();
                let inside = value.filter(|value| bounds.contains(value));
                if inside.is_none() {
                    let fix = key.example;
                    let place = self.place(key.name);
                    self.report(Problem::at(&place, number.to_string(), key.wanted, fix));
                }
                inside
            }
            other => self.wrong_type(key, other),
        }
    }

    /// One of a closed set of words.
    pub(super) fn word<T: Copy>(&self, key: &Key, words: &[(&str, T)]) -> Option<T> {
        let text = self.text(key)?;
        let chosen = words.iter().find(|(word, _)| *word == text.text).map(|(_, value)| *value);
        if chosen.is_none() {
            let near = nearest(&text.text, words.iter().map(|(word, _)| *word));
            let fix = near.map(|near| format!("did you mean {near:?}?"));
            self.report(text.problem(key.wanted, fix.unwrap_or(key.example.to_owned())));
        }
        chosen
    }

    /// A sub-section, or nothing when it is missing or, with a problem reported, no section.
    pub(super) fn section(&self, key: &Key) -> Option<Section<'d>> {
        self.note(key.name);
        let (_, value) = self.entry(key.name)?;
        match value.get_ref() {
            DeValue::Table(table) => Some(self.within(key.name, table, self.line_at(value))),
            other => self.wrong_type(key, other),
        }
    }

    /// The sections of an array of tables, in their order.
    pub(super) fn sections(&self, key: &Key) -> Vec<Section<'d>> {
        self.note(key.name);
        let Some((_, value)) = self.entry(key.name) else { return Vec::new() };
        let DeValue::Array(array) = value.get_ref() else {
            self.wrong_type::<()>(key, value.get_ref());
            return Vec::new();
        };
        let mut sections = Vec::new();
        for (nth, element) in array.iter().enumerate() {
            match element.get_ref() {
                DeValue::Table(table) => {
                    let name = format!("{}[{}]", key.name, nth + 1);
                    sections.push(self.within(&name, table, self.line_at(element)));
                }
                other => drop(self.wrong_type::<()>(key, other)),
            }
        }
        sections
    }

    /// The texts of a sub-section whose keys are the user's own, each with its name, in the order
    /// of the names.
    pub(super) fn texts(&self, key: &Key) -> Vec<(String, Text)> {
        let Some(section) = self.section(key) else { return Vec::new() };
        if section.table.is_empty() {
            self.report(Problem::at(
                &self.place(key.name),
                "nothing in it",
                key.wanted,
                key.example,
            ));
        }
        let mut texts = Vec::new();
        for (name, value) in section.table.iter() {
            let place = section.place_at(section.line_at(name), name.get_ref());
            match value.get_ref() {
                DeValue::String(text) if !text.trim().is_empty() => {
                    let text = Text { text: text.clone().into_owned(), place };
                    texts.push((name.get_ref().clone().into_owned(), text));
                }
                DeValue::String(_) => {
                    self.report(Problem::at(&place, "an empty text", key.wanted, key.example));
                }
                other => {
                    self.report(Problem::at(&place, describe(other), key.wanted, key.example));
                }
            }
        }
        texts
    }

    /// A list of texts, or nothing when the key is missing or, with a problem reported, no such
    /// list.
    pub(super) fn list(&self, key: &Key) -> Option<Vec<String>> {
        let array = match self.value(key)? {
            DeValue::Array(array) if !array.is_empty() => array,
            DeValue::Array(_) => {
                let place = self.place(key.name);
                self.report(Problem::at(&place, "an empty list", key.wanted, key.example));
                return None;
            }
            other => return self.wrong_type(key, other),
        };
        let text = |element: &Value<'_>| match element.get_ref() {
            DeValue::String(text) => Some(text.clone().into_owned()),
            other => self.wrong_type(key, other),
        };
        array.iter().map(text).collect()
    }

    /// Every key with its value as a text, dots between the names of nested sections: for a library
    /// that has hundreds of options of its own. `{ file = ... }` and `{ env = ... }` are secrets.
    pub(super) fn properties(&self, outside: &Outside<'_>) -> Vec<Property> {
        let mut properties = Vec::new();
        for (key, value) in self.table.iter() {
            let (name, line) = (key.get_ref().as_ref(), self.line_at(key));
            let place = self.place_at(line, name);
            let mut push = |text: Option<String>, secret| {
                let value = text.map(Secret::new);
                properties.push(Property {
                    name: name.to_owned(),
                    place: place.clone(),
                    value,
                    secret,
                });
            };
            match value.get_ref() {
                DeValue::String(text) => {
                    let text = Text { text: text.clone().into_owned(), place: place.clone() };
                    let expanded = outside.expand(&text).map_err(|problem| self.report(problem));
                    // What comes from a variable may be a secret.
                    push(expanded.ok(), text.text.contains("${"));
                }
                DeValue::Integer(number) => push(Some(number.to_string()), false),
                DeValue::Float(number) => push(Some(number.to_string()), false),
                DeValue::Boolean(flag) => push(Some(flag.to_string()), false),
                DeValue::Table(table) if is_secret(table) => {
                    let secret = outside.secret(self.within(name, table, line));
                    push(secret.map(|secret| secret.expose().to_owned()), true);
                }
                DeValue::Table(table) => {
                    let inner = self.within(name, table, line).properties(outside);
                    let outer = |property: Property| Property {
                        name: format!("{name}.{}", property.name),
                        ..property
                    };
                    properties.extend(inner.into_iter().map(outer));
                }
                other => {
                    let fix =
                        format!("\"{name}\" = \"value\"; several values have commas between them");
                    self.report(Problem::at(
                        &place,
                        describe(other),
                        "a text, a number, or true or false",
                        fix,
                    ));
                    push(None, false);
                }
            }
        }
        properties
    }

    /// Whether the key is there, whatever it holds.
    pub(super) fn has(&self, key: &str) -> bool {
        self.entry(key).is_some()
    }

    /// Whether the key is there and holds a text.
    pub(super) fn has_text(&self, key: &str) -> bool {
        self.entry(key).is_some_and(|(_, value)| value.get_ref().is_str())
    }

    /// The places of all known keys that are there.
    pub(super) fn places(&self) -> Vec<(&'static str, Place)> {
        let known = self.known.borrow();
        known.iter().filter(|key| self.has(key)).map(|key| (*key, self.place(key))).collect()
    }

    /// Refuses a key that has a meaning which is not built.
    pub(super) fn refuse(&self, key: &'static str, fix: &str) {
        self.refuse_because(key, &format!("`{key}`"), "only what this version can do", fix);
    }

    /// Refuses a key that has no place here, whatever it holds.
    pub(super) fn refuse_because(&self, key: &'static str, found: &str, wanted: &str, fix: &str) {
        if self.has(key) {
            self.note(key);
            self.report(Problem::at(&self.place(key), found, wanted, fix));
        }
    }

    /// Takes a key for known without reading it.
    pub(super) fn pass_over(&self, key: &Key) {
        self.note(key.name);
    }

    /// Reports every key that nobody asked for.
    pub(super) fn finish(self) {
        let known = self.known.take();
        for name in self.table.keys() {
            let key = name.get_ref().as_ref();
            if known.contains(&key) {
                continue;
            }
            let fix = match nearest(key, known.iter().copied()) {
                Some(near) => {
                    self.document.mistyped(&format!("{}{near}", self.prefix));
                    format!("did you mean `{near}`?")
                }
                None if TOP.contains(&key) && !self.prefix.is_empty() => {
                    "move it above the first [section]: what stands below one belongs to it".into()
                }
                None => format!("remove it; known here: {}", known.join(", ")),
            };
            let place = self.place_at(self.line_at(name), key);
            self.report(Problem::at(&place, "an unknown key", "a known one", fix));
        }
    }

    fn within(&self, name: &str, table: &'d DeTable<'d>, line: u32) -> Section<'d> {
        let prefix = format!("{}{name}.", self.prefix);
        Section { document: self.document, table, prefix, line, known: RefCell::default() }
    }

    fn note(&self, key: &'static str) {
        let mut known = self.known.borrow_mut();
        if !known.contains(&key) {
            known.push(key);
        }
    }

    fn entry(&self, key: &str) -> Option<(&'d Spanned<toml::de::DeString<'d>>, &'d Value<'d>)> {
        self.table.iter().find(|(name, _)| name.get_ref() == key)
    }

    fn value(&self, key: &Key) -> Option<&'d DeValue<'d>> {
        self.note(key.name);
        self.entry(key.name).map(|(_, value)| value.get_ref())
    }

    fn wrong_type<T>(&self, key: &Key, value: &DeValue<'_>) -> Option<T> {
        let place = self.place(key.name);
        self.report(Problem::at(&place, describe(value), key.wanted, key.example));
        None
    }

    fn line_at<T>(&self, spanned: &Spanned<T>) -> u32 {
        self.document.line_of(spanned.span().start)
    }

    fn place_at(&self, line: u32, key: &str) -> Place {
        let key = format!("{}{key}", self.prefix);
        Place { file: Arc::clone(&self.document.file), line: Some(line), key }
    }
}

/// An option of a library.
pub(super) struct Property {
    pub(super) name: String,
    pub(super) place: Place,
    /// `None` when it has been reported.
    pub(super) value: Option<Secret>,
    /// Whether it stood in a place for secrets, and is not to be told.
    pub(super) secret: bool,
}

fn is_secret(table: &DeTable<'_>) -> bool {
    let mut names = table.keys().map(|key| key.get_ref().as_ref());
    !table.is_empty() && names.all(|name| matches!(name, "file" | "env"))
}

type Value<'d> = Spanned<DeValue<'d>>;

/// The type of a value for messages. The value is not shown: what stands in the wrong place may be
/// a password, and one of digits has no quotes.
fn describe(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false without quotes",
        DeValue::Datetime(_) => "a time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a section",
    }
}

/// The known word a mistyped one is most likely to mean: one that differs in few letters, or that
/// begins with it or is its beginning.
pub(super) fn nearest<'w>(typed: &str, known: impl Iterator<Item = &'w str>) -> Option<&'w str> {
    let distance = |word: &str| {
        let begins = word.starts_with(typed) || typed.starts_with(word);
        let letters = strsim::damerau_levenshtein(typed, word);
        let near = letters <= 1 + word.len() / 4 || (begins && typed.len() >= 3);
        near.then_some(letters)
    };
    known
        .filter_map(|word| distance(word).map(|distance| (distance, word)))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}
