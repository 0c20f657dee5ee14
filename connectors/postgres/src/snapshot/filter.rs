use connector_api::{Comparison, Condition, Literal};

use super::query::quoted;
use super::shape::VisibleColumn;
use crate::doctor::literal;

/// Decimals may be judged after they have been rounded to this.
const ROUNDED_TO: &str = "0.000000001";

/// SQL that is true of every row of which the condition is; `None` when that may be any row.
pub(super) fn render(condition: &Condition, columns: &[VisibleColumn]) -> Option<String> {
    match condition {
        Condition::All(parts) => {
            let parts: Vec<String> =
                parts.iter().filter_map(|part| render(part, columns)).collect();
            (!parts.is_empty()).then(|| format!("({})", parts.join(" AND ")))
        }
        Condition::Any(parts) if parts.is_empty() => Some("false".to_owned()),
        Condition::Any(parts) => {
            let parts: Vec<String> =
                parts.iter().map(|part| render(part, columns)).collect::<Option<_>>()?;
            Some(format!("({})", parts.join(" OR ")))
        }
        Condition::Compare { column, comparison, literal } => {
            compare(find(column, columns)?, *comparison, literal)
        }
        Condition::IsNull(column) => null(find(column, columns)?, "IS NULL"),
        Condition::IsNotNull(column) => null(find(column, columns)?, "IS NOT NULL"),
    }
}

fn find<'a>(name: &str, columns: &'a [VisibleColumn]) -> Option<&'a VisibleColumn> {
    columns.iter().find(|column| column.name == name)
}

/// A row in which every value is NULL counts as NULL, and is none.
fn null(column: &VisibleColumn, is: &str) -> Option<String> {
    (column.kind != "row").then(|| format!("{} {is}", quoted(&column.name)))
}

fn compare(column: &VisibleColumn, comparison: Comparison, with: &Literal) -> Option<String> {
    let name = quoted(&column.name);
    match with {
        Literal::Text(text) => {
            // No text of this server has one.
            if comparison != Comparison::Equal || text.contains('\0') {
                return None;
            }
            match &*column.kind {
                // The last two are equal more often than their bytes are.
                "text" | "varchar" | "name" | "bpchar" | "citext" => {
                    Some(format!("{name} = {}", literal(text)))
                }
                "enum" | "uuid" | "date" | "time" | "timetz" | "interval" => {
                    Some(format!("{name}::text = {}", literal(text)))
                }
                _ => None,
            }
        }
        Literal::Number(number) if is_decimal(number) => {
            let operator = symbol(comparison);
            match &*column.kind {
                "int2" | "int4" | "int8" => Some(format!("{name} {operator} {number}")),
                "numeric" => Some(near(&name, comparison, number)),
                _ => None,
            }
        }
        Literal::Bool(value) if column.kind == "bool" && comparison == Comparison::Equal => {
            Some(format!("{name} = {value}"))
        }
        Literal::Number(_) | Literal::Bool(_) => None,
    }
}

fn symbol(comparison: Comparison) -> &'static str {
    match comparison {
        Comparison::Equal => "=",
        Comparison::Less => "<",
        Comparison::LessOrEqual => "<=",
        Comparison::Greater => ">",
        Comparison::GreaterOrEqual => ">=",
    }
}

/// What may compare so once it is rounded.
fn near(name: &str, comparison: Comparison, number: &str) -> String {
    let least = format!("{name} >= {number} - {ROUNDED_TO}");
    let most = format!("{name} <= {number} + {ROUNDED_TO}");
    match comparison {
        Comparison::Equal => format!("({least} AND {most})"),
        Comparison::Less | Comparison::LessOrEqual => most,
        Comparison::Greater | Comparison::GreaterOrEqual => least,
    }
}

fn is_decimal(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    all_digits(whole) && all_digits(fraction)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns() -> Vec<VisibleColumn> {
        let column = |(name, kind): (&str, &str)| VisibleColumn {
            name: name.to_owned(),
            kind: kind.to_owned(),
        };
        [
            ("id", "int4"),
            ("Price", "numeric"),
            ("sku", "text"),
            ("state", "enum"),
            ("on", "bool"),
            ("size", "row"),
            ("at", "timestamptz"),
            ("rate", "float8"),
        ]
        .map(column)
        .to_vec()
    }

    fn compare(column: &str, comparison: Comparison, literal: Literal) -> Condition {
        Condition::Compare { column: column.to_owned(), comparison, literal }
    }

    fn sql(condition: &Condition) -> Option<String> {
        render(condition, &columns())
    }

    fn text(column: &str, text: &str) -> Condition {
        compare(column, Comparison::Equal, Literal::Text(text.to_owned()))
    }

    fn number(column: &str, comparison: Comparison, number: &str) -> Condition {
        compare(column, comparison, Literal::Number(number.to_owned()))
    }

    #[test]
    fn names_and_texts_are_quoted() {
        let quoted = sql(&text("sku", "it's \\' --"));
        assert_eq!(quoted.as_deref(), Some("\"sku\" = E'it''s \\\\'' --'"));
        assert_eq!(
            sql(&text("state", "sold out")).as_deref(),
            Some("\"state\"::text = 'sold out'")
        );
        assert_eq!(
            sql(&number("Price", Comparison::Equal, "-1.5")).as_deref(),
            Some("(\"Price\" >= -1.5 - 0.000000001 AND \"Price\" <= -1.5 + 0.000000001)")
        );
        let on = compare("on", Comparison::Equal, Literal::Bool(false));
        assert_eq!(sql(&on).as_deref(), Some("\"on\" = false"));
        assert_eq!(sql(&number("id", Comparison::Less, "5")).as_deref(), Some("\"id\" < 5"));
    }

    #[test]
    fn what_the_server_may_judge_otherwise_is_left_to_others() {
        let others = [
            text("missing", "x"),
            text("sku", "a\0b"),
            text("at", "2026-01-31T12:00:00Z"),
            text("id", "5"),
            number("sku", Comparison::Equal, "5"),
            number("rate", Comparison::Equal, "0.1"),
            number("id", Comparison::Equal, "1 OR true"),
            number("id", Comparison::Equal, "1e5"),
            compare("sku", Comparison::Less, Literal::Text("x".to_owned())),
            compare("id", Comparison::Equal, Literal::Bool(true)),
            Condition::IsNull("size".to_owned()),
        ];
        for condition in others {
            assert_eq!(sql(&condition), None, "{condition:?}");
            let one_of = Condition::Any(vec![condition.clone(), text("sku", "x")]);
            assert_eq!(sql(&one_of), None, "{condition:?}");
            let every = Condition::All(vec![condition.clone(), text("sku", "x")]);
            assert_eq!(sql(&every).as_deref(), Some("(\"sku\" = 'x')"), "{condition:?}");
        }
    }

    #[test]
    fn conditions_nest() {
        let id = |comparison, value| number("id", comparison, value);
        let condition = Condition::Any(vec![
            Condition::IsNull("sku".to_owned()),
            Condition::All(vec![
                id(Comparison::GreaterOrEqual, "1"),
                id(Comparison::LessOrEqual, "9"),
                Condition::IsNotNull("Price".to_owned()),
            ]),
        ]);
        assert_eq!(
            sql(&condition).as_deref(),
            Some("(\"sku\" IS NULL OR (\"id\" >= 1 AND \"id\" <= 9 AND \"Price\" IS NOT NULL))")
        );
        assert_eq!(sql(&Condition::All(Vec::new())), None);
        assert_eq!(sql(&Condition::Any(Vec::new())).as_deref(), Some("false"));
    }
}
