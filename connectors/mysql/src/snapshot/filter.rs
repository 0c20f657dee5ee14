//! A condition of ours as SQL that leaves out no row for which it is true.
//!
//! Ours compares text by bytes and numbers exactly; the server by the column's collation, and what
//! is of different kinds as floating-point numbers. So only what the server finds true wherever we
//! do is handed over, and the rest judged when the rows have come. There is no negation: less of a
//! condition is more rows.

use connector_api::{Comparison, Condition, Literal};

use super::quote::{column, hex, number};
use super::table::{Described, is_integer};

/// The digits behind a point that ours keeps; it rounds what has more.
const SCALE_MAX: u32 = 9;
/// Digits that ours and the server's numbers have for certain.
const DIGITS_MAX: usize = 30;

/// `None` where nothing can be left to the server.
pub(super) fn rendered(condition: &Condition, columns: &[Described]) -> Option<String> {
    let described = |name: &str| columns.iter().find(|column| column.name == name);
    match condition {
        Condition::All(parts) => {
            let parts: Vec<String> =
                parts.iter().filter_map(|part| rendered(part, columns)).collect();
            (!parts.is_empty()).then(|| format!("({})", parts.join(" AND ")))
        }
        Condition::Any(parts) => {
            let parts = parts.iter().map(|part| rendered(part, columns));
            let parts = parts.collect::<Option<Vec<_>>>()?;
            Some(match parts.is_empty() {
                true => "FALSE".to_owned(),
                false => format!("({})", parts.join(" OR ")),
            })
        }
        Condition::Compare { column: name, comparison, literal } => {
            compared(described(name)?, *comparison, literal)
        }
        Condition::IsNull(name) => Some(format!("{} IS NULL", column(&described(name)?.name))),
        Condition::IsNotNull(name) => {
            Some(format!("{} IS NOT NULL", column(&described(name)?.name)))
        }
    }
}

fn compared(of: &Described, comparison: Comparison, literal: &Literal) -> Option<String> {
    let name = column(&of.name);
    match (literal, comparison) {
        (Literal::Text(text), Comparison::Equal) => {
            let charset = of.charset.as_deref()?;
            is_same_in(text, of, charset).then(|| {
                // The bytes are the same in the character set of the column.
                format!("{name} = _{charset} X'{}'", hex(text.as_bytes()))
            })
        }
        (Literal::Number(digits), _) if is_exact(of) => (number(digits)
            && digits.len() <= DIGITS_MAX)
            .then(|| format!("{name} {} {digits}", sign(comparison))),
        (Literal::Bool(wanted), Comparison::Equal) if is_integer(of.base()) => {
            Some(format!("{name} {} 0", if *wanted { "<>" } else { "=" }))
        }
        _ => None,
    }
}

/// Whether a text is written in a character set as it is in UTF-8, and is what the server would
/// find equal to it in a column of that type.
fn is_same_in(text: &str, of: &Described, charset: &str) -> bool {
    let is_label = matches!(of.base(), "enum" | "set");
    let is_text = of.base().ends_with("char") || of.base().ends_with("text");
    // The value of what was refused is an empty text that is no label.
    let is_comparable = is_text || is_label && !text.is_empty();
    is_comparable
        && match charset {
            "utf8mb4" => true,
            "utf8" | "utf8mb3" => text.chars().all(|char| u32::from(char) <= 0xffff),
            "ucs2" | "utf16" | "utf16le" | "utf32" | "swe7" => false,
            _ => text.is_ascii(),
        }
}

/// Whether the server compares numbers of the column exactly, and none that ours has to round.
fn is_exact(of: &Described) -> bool {
    match of.base() {
        "decimal" => {
            let scale = of.column_type.split_once(',').and_then(|(_, rest)| rest.split_once(')'));
            scale
                .and_then(|(scale, _)| scale.trim().parse().ok())
                .is_some_and(|s: u32| s <= SCALE_MAX)
        }
        "bit" => true,
        base => is_integer(base),
    }
}

fn sign(comparison: Comparison) -> &'static str {
    match comparison {
        Comparison::Equal => "=",
        Comparison::Less => "<",
        Comparison::LessOrEqual => "<=",
        Comparison::Greater => ">",
        Comparison::GreaterOrEqual => ">=",
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn columns() -> Vec<Described> {
        let column = |name: &str, column_type: &str, charset: Option<&str>| Described {
            name: name.into(),
            column_type: column_type.into(),
            charset: charset.map(Into::into),
            is_key: false,
            may_select: true,
            is_nullable: true,
        };
        vec![
            column("t", "varchar(9)", Some("utf8mb4")),
            column("l", "char(9)", Some("latin1")),
            column("w", "varchar(9)", Some("utf16")),
            column("e", "enum('a')", Some("utf8mb3")),
            column("i", "int(11)", None),
            column("b", "tinyint(1)", None),
            column("d", "decimal(10,2)", None),
            column("x", "decimal(30,12)", None),
            column("f", "double", None),
            column("j", "json", None),
            column("s", "timestamp", None),
        ]
    }

    fn text(column: &str, text: &str) -> Condition {
        compare(column, Comparison::Equal, Literal::Text(text.into()))
    }

    fn compare(column: &str, comparison: Comparison, literal: Literal) -> Condition {
        Condition::Compare { column: column.into(), comparison, literal }
    }

    fn sql(condition: &Condition) -> String {
        rendered(condition, &columns()).unwrap_or_default()
    }

    #[test]
    fn text_is_handed_over_as_bytes_where_they_are_those_of_the_column() {
        assert_eq!(sql(&text("t", "it's ü")), "`t` = _utf8mb4 X'6974277320c3bc'");
        assert_eq!(sql(&text("l", "a")), "`l` = _latin1 X'61'");
        assert_eq!(sql(&text("e", "日")), "`e` = _utf8mb3 X'e697a5'");
        for (column, other) in
            [("l", "ü"), ("w", "a"), ("e", "😀"), ("e", ""), ("i", "1"), ("j", "1"), ("s", "2026")]
        {
            assert_eq!(sql(&text(column, other)), "", "{column}");
        }
        assert_eq!(sql(&text("none", "a")), "");
    }

    #[test]
    fn numbers_are_handed_over_where_the_server_is_exact() {
        let less = |column: &str, digits: &str| {
            sql(&compare(column, Comparison::LessOrEqual, Literal::Number(digits.into())))
        };
        assert_eq!(less("i", "-1.5"), "`i` <= -1.5");
        assert_eq!(less("d", "2"), "`d` <= 2");
        for (column, digits) in
            [("x", "1"), ("f", "1"), ("t", "1"), ("i", "1e3"), ("i", "1 OR 1"), ("i", "")]
        {
            assert_eq!(less(column, digits), "", "{column} {digits}");
        }
        let flag = |wanted| sql(&compare("b", Comparison::Equal, Literal::Bool(wanted)));
        assert_eq!((flag(true), flag(false)), ("`b` <> 0".into(), "`b` = 0".into()));
    }

    #[test]
    fn what_is_left_out_of_a_condition_makes_it_weaker_and_never_stronger() {
        let (known, unknown) = (text("t", "a"), text("i", "a"));
        let all = Condition::All(vec![known.clone(), unknown.clone()]);
        assert_eq!(sql(&all), "(`t` = _utf8mb4 X'61')");
        assert_eq!(sql(&Condition::Any(vec![known.clone(), unknown])), "");
        let any = Condition::Any(vec![known, Condition::IsNull("i".into())]);
        assert_eq!(sql(&any), "(`t` = _utf8mb4 X'61' OR `i` IS NULL)");
        assert_eq!(sql(&Condition::All(Vec::new())), "");
    }
}
