//! An expression means what PostgreSQL would have said.

mod sql;

use std::cell::Cell;

use connector_api::Value;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestError, TestRunner};
use tailstock::mapping::expression::{ColumnInfo, ColumnKind, Expression, Presence};
use tailstock::stock::{Quality, QualityFlag};
use testbed::{PgVersion, Postgres, PostgresOptions, postgres_or_skip};

use sql::{COLUMNS, Kind, Sql};

/// One row of the columns in [`COLUMNS`], as the texts PostgreSQL reads; `None` is NULL.
type Row = Vec<Option<&'static str>>;

fn row() -> impl Strategy<Value = Row> {
    let cells: Vec<_> = COLUMNS
        .iter()
        .map(|(_, kind)| {
            let texts = match kind {
                Kind::Number => sql::NUMBERS,
                Kind::Text => sql::TEXTS,
                Kind::Bool => &["true", "false"],
            };
            prop::option::weighted(0.8, prop::sample::select(texts))
        })
        .collect();
    cells
}

fn value(kind: Kind, text: Option<&'static str>) -> Value<'static> {
    match (kind, text) {
        (_, None) => Value::Null,
        (Kind::Number, Some(text)) => match text.parse() {
            Ok(whole) => Value::Int(whole),
            Err(_) => Value::Decimal(text),
        },
        (Kind::Text, Some(text)) => Value::Text(text),
        (Kind::Bool, Some(text)) => Value::Bool(text == "true"),
    }
}

/// PostgreSQL's answers: a row for each of `rows`, in it a text for each of `expressions`.
fn ask(server: &Postgres, expressions: &[Sql], rows: &[Row]) -> Vec<Vec<Option<String>>> {
    let fields: Vec<String> = expressions
        .iter()
        .map(|expression| match expression.kind {
            Kind::Number => format!("trim_scale({})::text", expression.theirs),
            Kind::Text | Kind::Bool => format!("({})::text", expression.theirs),
        })
        .collect();
    let rows: Vec<String> = rows
        .iter()
        .enumerate()
        .map(|(place, row)| {
            let cells = row.iter().zip(COLUMNS).map(|(cell, (_, kind))| {
                let text = cell.map_or("NULL".to_owned(), sql::quoted);
                format!(", CAST({text} AS {})", kind.type_name())
            });
            format!("({place}{})", cells.collect::<String>())
        })
        .collect();
    let names: String = COLUMNS.iter().map(|(name, _)| format!(", {name}")).collect();
    let query = format!(
        "SELECT {} FROM (VALUES {}) AS rows(place{names}) ORDER BY place",
        fields.join(", "),
        rows.join(", "),
    );
    server.query(&query).unwrap_or_else(|error| panic!("{error}\n{query}"))
}

/// Our answer, and whether a number on the way to it was rounded.
fn answer(expression: &Sql, row: &Row, kinds_known: bool) -> (Option<String>, bool) {
    let columns: Vec<ColumnInfo> = COLUMNS
        .iter()
        .map(|(name, kind)| {
            let known = match kind {
                Kind::Number => ColumnKind::Number,
                Kind::Text => ColumnKind::Text,
                Kind::Bool => ColumnKind::Bool,
            };
            ColumnInfo::new(
                name.trim_matches('"'),
                if kinds_known { known } else { ColumnKind::Unknown },
            )
        })
        .collect();
    let program = Expression::parse(&expression.ours)
        .and_then(|parsed| parsed.compile(&columns))
        .unwrap_or_else(|error| panic!("{}: {error}", expression.ours));
    let values: Vec<Value<'_>> =
        row.iter().zip(COLUMNS).map(|(cell, (_, kind))| value(kind, *cell)).collect();
    let mut quality = Quality::default();
    drop(program.eval(&values.as_slice(), &mut quality));
    let mut text = String::new();
    let presence = program.eval_text(&values.as_slice(), &mut text);
    let present = match presence {
        Presence::Present => Some(text),
        Presence::Null => None,
        Presence::Absent => panic!("{}: absent without an absent column", expression.ours),
    };
    (present, quality.has(QualityFlag::Rounded))
}

#[test]
fn random_expressions_over_random_rows_mean_what_postgres_says() {
    let test = "expressions mean what PostgreSQL says";
    let Some(server) = postgres_or_skip(PgVersion::V15, PostgresOptions::default(), test) else {
        return;
    };
    let (exact, rounded) = (Cell::new(0_u32), Cell::new(0_u32));
    let batch = (prop::collection::vec(sql::any(), 20), prop::collection::vec(row(), 4));
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::default() });
    let outcome = runner.run(&batch, |(expressions, rows)| {
        let wanted = ask(&server, &expressions, &rows);
        for (row, wanted) in rows.iter().zip(wanted) {
            for (expression, wanted) in expressions.iter().zip(wanted) {
                for kinds_known in [true, false] {
                    let (found, was_rounded) = answer(expression, row, kinds_known);
                    // PostgreSQL keeps decimals behind the ninth, so it says something else.
                    if was_rounded {
                        rounded.set(rounded.get() + 1);
                        continue;
                    }
                    exact.set(exact.get() + 1);
                    prop_assert_eq!(
                        found,
                        wanted.clone(),
                        "{} over {:?} (kinds known: {})",
                        &expression.ours,
                        row,
                        kinds_known
                    );
                }
            }
        }
        Ok(())
    });
    if let Err(TestError::Fail(reason, _)) = outcome {
        panic!("{reason}");
    }
    assert!(rounded.get() < exact.get() / 10, "{} of {} rounded", rounded.get(), exact.get());
}

/// Numbers PostgreSQL casts, and what of them is the same without any rewriting.
#[test]
fn casts_round_as_postgres_rounds() {
    let test = "casts round as PostgreSQL rounds";
    let Some(server) = postgres_or_skip(PgVersion::V15, PostgresOptions::default(), test) else {
        return;
    };
    for number in ["0.5", "1.5", "2.5", "-0.5", "-2.5", "2.4999", "1.005", "-1.005", "99.995"] {
        for cast in ["integer", "bigint", "numeric(9)", "decimal(9, 2)", "numeric(4,1)"] {
            let text = format!("CAST({number} AS {cast})");
            let same = Sql { kind: Kind::Number, level: 0, ours: text.clone(), theirs: text };
            let row: Row = vec![None; COLUMNS.len()];
            let expected =
                server.value(&format!("SELECT trim_scale({}::numeric)", same.theirs)).expect("SQL");
            assert_eq!(answer(&same, &row, true).0.as_deref(), Some(&*expected), "{}", same.ours);
        }
    }
}
