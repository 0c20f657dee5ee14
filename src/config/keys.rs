//! Whether two mappings of a source can yield one key.
//!
//! A key must have one mapping, or the levels of two would overwrite each other. What a database
//! holds is not known here, so two mappings must differ in something that is written down: a
//! literal, or the literal beginning of an expression (`'used-' || id`), in item, location or
//! bucket.

use super::problem::Problem;
use super::stock::Block;
use crate::mapping::Definition;
use crate::mapping::expression::Expression;

/// What is known of a part of the key before any row is read.
#[derive(Debug, PartialEq, Eq)]
enum Known {
    /// It is this text.
    All(String),
    /// It begins with this text.
    Start(String),
}

impl Known {
    fn of(expression: &Expression) -> Self {
        match expression.start() {
            (all, true) => Known::All(all),
            (start, false) => Known::Start(start),
        }
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
            if !can_meet(&earlier.definition, &later.definition) {
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

/// Whether two mappings can yield one key, as far as is written down.
pub(super) fn can_meet(one: &Definition, other: &Definition) -> bool {
    !parts(one).iter().zip(&parts(other)).any(|(one, other)| one.differs_from(other))
}

/// The first two of them that can, by their places.
pub(super) fn first_to_meet(definitions: &[Definition]) -> Option<(usize, usize)> {
    let parts: Vec<[Known; 3]> = definitions.iter().map(parts).collect();
    let differ = |one: &[Known; 3], other: &[Known; 3]| {
        one.iter().zip(other).any(|(one, other)| one.differs_from(other))
    };
    parts.iter().enumerate().find_map(|(later, of_later)| {
        let earlier = parts[..later].iter().position(|earlier| !differ(earlier, of_later))?;
        Some((earlier, later))
    })
}

fn parts(definition: &Definition) -> [Known; 3] {
    let known = |expression: &Option<Expression>, missing: &str| {
        expression.as_ref().map_or_else(|| Known::All(missing.to_owned()), Known::of)
    };
    let Definition { item, location, bucket, .. } = definition;
    [Known::of(item), known(location, "_"), known(bucket, "")]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn differ(one: &str, another: &str) -> bool {
        let known = |text: &str| Known::of(&Expression::parse(text).unwrap());
        known(one).differs_from(&known(another))
    }

    #[test]
    fn literals_differ_when_they_are_not_equal() {
        assert!(differ("'a'", "'b'"));
        assert!(differ("1", "2"));
        assert!(!differ("'a'", " 'a' "));
        assert!(!differ("'1'", "001"));
        assert!(differ("'it''s'", "'it'"));
    }

    #[test]
    fn beginnings_differ_when_neither_begins_with_the_other() {
        assert!(differ("'new-' || id", "'used-' || id"));
        assert!(!differ("'new-' || id", "'new-x-' || id"));
        assert!(differ("'new-' || id", "'used-7'"));
        assert!(differ("'a' || '-' || id", "'a' || '+' || id"));
        assert!(!differ("'new-' || id", "'new-7'"));
    }

    #[test]
    fn a_column_can_be_anything() {
        assert!(!differ("id", "other_id"));
        assert!(!differ("id", "'a'"));
        assert!(!differ("'a' = x", "'b'"));
        assert!(!differ("'a' || x = 'b'", "'c' || x = 'd'"));
    }
}
