use connector_api::{Condition, TableName};

use super::field::Field;
use super::plan::{Plan, TablePlan};

impl Plan {
    /// Which rows of a table anybody asks for, as far as its server can judge it; `None` is all of
    /// them. More rows than those that are asked for do no harm.
    pub fn condition_of(&self, table: &TableName) -> Option<Condition> {
        let plan = &self.tables[self.place_of(table)?];
        // Rows outside a filter are remembered too, where a later image may not say that they are.
        if plan.keeps_all {
            return None;
        }
        let mappings = plan.mappings.iter().map(|mapping| mapping.filter.as_ref());
        let lookups = plan.looked_up_by.iter().map(|place| self.lookup(*place).filter.as_ref());
        let asked = mappings.chain(lookups).map(|filter| condition(filter?, plan));
        let mut asked: Vec<Condition> = asked.collect::<Option<_>>()?;
        asked.dedup();
        match asked.len() {
            1 => asked.pop(),
            _ => Some(Condition::Any(asked)),
        }
    }
}

fn condition(filter: &Field, plan: &TablePlan) -> Option<Condition> {
    filter.condition(&|place| plan.columns.get(place).map(String::as_str))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::super::expression::{ColumnInfo, ColumnKind, Expression, Scalar};
    use super::*;
    use crate::stock::Quality;
    use connector_api::{Comparison, Literal, Value};

    const COLUMNS: [&str; 3] = ["n", "t", "u"];

    fn of(text: &str) -> Option<Condition> {
        let kinds = [ColumnKind::Number, ColumnKind::Text, ColumnKind::Unknown];
        let infos = COLUMNS.into_iter().zip(kinds);
        let infos: Vec<ColumnInfo> =
            infos.map(|(name, kind)| ColumnInfo::new(name, kind)).collect();
        let program = Expression::parse(text).unwrap().compile(&infos).unwrap();
        Field::new(program).condition(&|place| COLUMNS.get(place).copied())
    }

    /// A condition in a few words.
    fn told(condition: &Condition) -> String {
        let list = |parts: &[Condition], word: &str| {
            format!("({})", parts.iter().map(told).collect::<Vec<_>>().join(word))
        };
        match condition {
            Condition::All(parts) => list(parts, " & "),
            Condition::Any(parts) => list(parts, " | "),
            Condition::IsNull(column) => format!("{column} is null"),
            Condition::IsNotNull(column) => format!("{column} is there"),
            Condition::Compare { column, comparison, literal } => {
                let sign = match comparison {
                    Comparison::Equal => "=",
                    Comparison::Less => "<",
                    Comparison::LessOrEqual => "<=",
                    Comparison::Greater => ">",
                    Comparison::GreaterOrEqual => ">=",
                };
                match literal {
                    Literal::Text(text) => format!("{column}{sign}'{text}'"),
                    Literal::Number(number) => format!("{column}{sign}{number}"),
                    Literal::Bool(value) => format!("{column}{sign}{value}"),
                }
            }
        }
    }

    #[test]
    fn what_a_server_cannot_judge_is_left_out() {
        let cases = [
            ("t = 'a'", "t='a'"),
            ("'a' = t", "t='a'"),
            ("t < 'a'", "-"),
            ("t <> 'a'", "-"),
            ("t LIKE 'a%'", "-"),
            ("t IN ('a', NULL, 'b')", "(t='a' | t='b')"),
            ("t IN ('a', u)", "-"),
            ("t NOT IN ('a')", "-"),
            ("t IS NULL", "t is null"),
            ("t IS NOT NULL", "t is there"),
            ("COALESCE(t, 'a') IS NULL", "-"),
            ("n > -2.5", "n>-2.5"),
            ("3 >= n", "n<=3"),
            ("n BETWEEN 1 AND 3", "(n>=1 & n<=3)"),
            ("t BETWEEN 'a' AND 'b'", "-"),
            ("n + 1 = 3", "-"),
            ("n = n", "-"),
            ("u", "u=true"),
            ("NOT u", "u=false"),
            ("u = 'x'", "u='x'"),
            ("t = 'a' AND n + 1 = 3", "t='a'"),
            ("t = 'a' AND n = 3", "(t='a' & n=3)"),
            ("t = 'a' OR n = 3", "(t='a' | n=3)"),
            ("t = 'a' OR n + 1 = 3", "-"),
            ("CASE WHEN t = 'a' THEN TRUE END", "-"),
            ("TRUE", "-"),
        ];
        for (text, expected) in cases {
            let found = of(text).map_or("-".to_owned(), |condition| told(&condition));
            assert_eq!(found, expected, "{text}");
        }
    }

    fn expression() -> impl Strategy<Value = String> {
        let leaf = prop::sample::select(vec![
            "t = 'a'",
            "t <> 'a'",
            "t IN ('a', 'b')",
            "t IS NULL",
            "t IS NOT NULL",
            "n > 1",
            "n <= 2",
            "n = 1",
            "n BETWEEN 1 AND 2",
            "n + 1 = 2",
            "u",
            "t LIKE 'a%'",
            "TRUE",
            "NULL IS NULL",
            "2 > n",
        ]);
        leaf.prop_map(str::to_owned).prop_recursive(4, 24, 2, |inner| {
            prop_oneof![
                (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} AND {b})")),
                (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} OR {b})")),
                inner.prop_map(|a| format!("(NOT {a})")),
            ]
        })
    }

    fn holds(condition: &Condition, row: &[Value<'_>; 3]) -> bool {
        let value = |column: &str| row[COLUMNS.iter().position(|name| *name == column).unwrap()];
        match condition {
            Condition::All(parts) => parts.iter().all(|part| holds(part, row)),
            Condition::Any(parts) => parts.iter().any(|part| holds(part, row)),
            Condition::IsNull(column) => value(column) == Value::Null,
            Condition::IsNotNull(column) => value(column) != Value::Null,
            Condition::Compare { column, comparison, literal } => {
                let order = match (value(column), literal) {
                    (Value::Int(left), Literal::Number(right)) => left.cmp(&right.parse().unwrap()),
                    (Value::Text(left), Literal::Text(right)) => left.cmp(right.as_str()),
                    (Value::Bool(left), Literal::Bool(right)) => left.cmp(right),
                    _ => return false,
                };
                match comparison {
                    Comparison::Equal => order.is_eq(),
                    Comparison::Less => order.is_lt(),
                    Comparison::LessOrEqual => order.is_le(),
                    Comparison::Greater => order.is_gt(),
                    Comparison::GreaterOrEqual => order.is_ge(),
                }
            }
        }
    }

    proptest! {
        #[test]
        fn no_row_that_a_filter_lets_in_is_kept_back_by_its_condition(
            text in expression(),
            n in prop::option::of(0_i64..4),
            t in prop::option::of(prop::sample::select(vec!["a", "b", "c"])),
            u in prop::option::of(any::<bool>()),
        ) {
            let row = [
                n.map_or(Value::Null, Value::Int),
                t.map_or(Value::Null, Value::Text),
                u.map_or(Value::Null, Value::Bool),
            ];
            let kinds = [ColumnKind::Number, ColumnKind::Text, ColumnKind::Unknown];
            let infos: Vec<ColumnInfo> = COLUMNS.into_iter().zip(kinds)
                .map(|(name, kind)| ColumnInfo::new(name, kind)).collect();
            let program = Expression::parse(&text).unwrap().compile(&infos).unwrap();
            let let_in = program.eval(&row, &mut Quality::default()) == Scalar::Bool(true);
            if let Some(condition) = of(&text) {
                prop_assert!(!let_in || holds(&condition, &row), "{}", told(&condition));
            }
        }
    }
}
