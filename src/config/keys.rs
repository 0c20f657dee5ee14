//! Whether two mappings of a source can yield one key.
//!
//! A key must have one mapping, or the levels of two would overwrite each other. What a database
//! holds is not known here, so two mappings must differ in something that is written down: a
//! literal, or the literal beginning of an expression (`'used-' || id`), in item, location or
//! bucket.

use super::problem::{Problem, Text};
use super::stock::Block;

/// What is known of a part of the key before any row is read.
#[derive(Debug, PartialEq, Eq)]
enum Known {
    /// It is this text.
    All(String),
    /// It begins with this text.
    Start(String),
}

impl Known {
    fn of(text: &Text) -> Self {
        let (start, rest) = leading_literal(&text.text);
        if rest.is_empty() { Known::All(start) } else { Known::Start(start) }
    }

    fn differs_from(&self, other: &Known) -> bool {
        match (self, other) {
            (Known::All(one), Known::All(another)) => one != another,
            (Known::All(all), Known::Start(start)) | (Known::Start(start), Known::All(all)) => {
                !all.starts_with(start)
            }
            (Known::Start(one), Known::Start(another)) => {
                !one.starts_with(another) && !another.starts_with(one)
            }
        }
    }
}

/// Every two mappings that can yield one key, or have one name.
pub(super) fn check(blocks: &[Block]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (nth, later) in blocks.iter().enumerate() {
        let of_later = parts(later);
        for earlier in &blocks[..nth] {
            let (here, there) = (&later.places.own, &earlier.places.own);
            if earlier.definition.name == later.definition.name {
                problems.push(Problem::at(
                    here,
                    format!("the name {:?} again, after {there}", later.definition.name),
                    "a name of its own for each mapping",
                    "add name = \"...\" to one of the two",
                ));
            }
            let of_earlier = parts(earlier);
            if of_later.iter().zip(&of_earlier).any(|(one, other)| one.differs_from(other)) {
                continue;
            }
            problems.push(Problem::at(
                here,
                format!("a mapping that can yield the same keys as {there}"),
                "mappings that differ in a literal, or in the literal beginning, of item, location \
                 or bucket",
                "give each a literal of its own, as location = \"'store'\" in one and location = \
                 \"'returns'\" in the other, or item = \"'used-' || id\"",
            ));
        }
    }
    problems
}

fn parts(block: &Block) -> [Known; 3] {
    let [item, location, bucket] = &block.key;
    let known = |text: &Option<Text>, missing: &str| {
        text.as_ref().map_or_else(|| Known::All(missing.to_owned()), Known::of)
    };
    [known(item, ""), known(location, "_"), known(bucket, "")]
}

/// The literal an expression begins with, and what follows it. A literal that is not joined to the
/// rest by `||` says nothing about the beginning.
fn leading_literal(expression: &str) -> (String, &str) {
    let text = expression.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return (text.to_owned(), "");
    }
    let mut literal = String::new();
    let Some(mut rest) = text.strip_prefix('\'') else { return (literal, text) };
    while let Some((before, behind)) = rest.split_once('\'') {
        literal.push_str(before);
        if let Some(more) = behind.strip_prefix('\'') {
            literal.push('\'');
            rest = more;
            continue;
        }
        let behind = behind.trim_start();
        if !behind.is_empty() && !behind.starts_with("||") {
            literal.clear();
        }
        return (literal, behind);
    }
    (String::new(), text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn differ(one: &str, another: &str) -> bool {
        let known = |text: &str| {
            let (start, rest) = leading_literal(text);
            if rest.is_empty() { Known::All(start) } else { Known::Start(start) }
        };
        known(one).differs_from(&known(another))
    }

    #[test]
    fn literals_differ_when_they_are_not_equal() {
        assert!(differ("'a'", "'b'"));
        assert!(differ("1", "2"));
        assert!(!differ("'a'", " 'a' "));
        assert!(!differ("'1'", "1"));
        assert!(differ("'it''s'", "'it'"));
    }

    #[test]
    fn beginnings_differ_when_neither_begins_with_the_other() {
        assert!(differ("'new-' || id", "'used-' || id"));
        assert!(!differ("'new-' || id", "'new-x-' || id"));
        assert!(differ("'new-' || id", "'used-7'"));
        assert!(!differ("'new-' || id", "'new-7'"));
    }

    #[test]
    fn a_column_can_be_anything() {
        assert!(!differ("id", "other_id"));
        assert!(!differ("id", "'a'"));
        assert!(!differ("'a' = x", "'b'"));
        assert!(!differ("'a", "'b"));
    }
}
