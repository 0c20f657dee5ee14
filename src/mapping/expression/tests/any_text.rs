use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;

/// Runs `text` through everything; only a panic or an endless run is wrong.
fn run(text: &str) {
    let Ok(parsed) = Expression::parse(text) else { return };
    let unknown: Vec<ColumnInfo> =
        parsed.columns().iter().map(|name| ColumnInfo::new(name, ColumnKind::Unknown)).collect();
    let values = [Value::Text("12"), Value::Int(3), Value::Null, Value::Absent, Value::Bool(true)];
    for columns in [&columns()[..], &unknown] {
        let Ok(program) = parsed.compile(columns) else { continue };
        let row: Vec<Value<'_>> =
            (0..columns.len()).map(|place| values[place % values.len()]).collect();
        let mut quality = Quality::default();
        let mut out = String::new();
        let _ = program.eval(&&row[..], &mut quality);
        let _ = program.eval_number(&&row[..], &mut quality);
        let _ = program.eval_text(&&row[..], &mut out);
    }
}

#[test]
fn deep_and_long_expressions_end_in_an_answer() {
    let open = |start: &str| start.repeat(4096 / start.len());
    for start in [
        "(",
        "NOT ",
        "- ",
        "CASE ",
        "CASE WHEN ",
        "CASE x WHEN ",
        "CAST(",
        "COALESCE(",
        "n IN (",
        "a(",
        "interval ",
        "date ",
        "array(",
        "CAST(CASE WHEN (",
        "n BETWEEN (",
        "trim(",
        "position(",
        "substring(",
        "extract(",
        "case-",
        "if(",
        "n LIKE (",
        "overlay(",
        "ceil(",
        "timestamp (",
        "struct(",
        "convert(",
        "current_time(",
        "n IS NULL (",
        "xmlelement(",
        "n AT TIME ZONE ",
        "CAST(n AS map(",
        "CAST(n AS array(",
        "n IN (n IN (",
        "(values ",
        "n IN ((",
        "n IN (((((((",
        "n + (",
        "n * -(",
        "NOT (",
        "n OR NOT (",
        "n = (",
        "n || (",
        "least(1, ",
        "CASE WHEN n IN ((",
    ] {
        run(&open(start));
    }
    for link in ["+", "-n-", " AND ", " OR ", "||", "=", " IS NULL AND ", ","] {
        run(&format!("n{}n", format!("{link}n").repeat(4000 / (link.len() + 1))));
    }
    for (before, inside, behind) in
        [("(", "n", ")"), ("CASE WHEN b THEN ", "1", " END"), ("CAST(", "n", " AS text)")]
    {
        for depth in [10, 30, 39, 45, 100, 200] {
            run(&format!("{}{inside}{}", before.repeat(depth), behind.repeat(depth)));
        }
    }
}

#[test]
fn a_hundred_operators_in_a_row_are_fine() {
    let sum = format!("n{}", " + 1".repeat(100));
    assert_eq!(result(&sum, &ROW), "107");
    let list = (0..700).fold(String::from("n IN (-1"), |mut list, item| {
        write!(list, ", {item}").unwrap();
        list
    });
    assert_eq!(result(&(list + ")"), &ROW), "TRUE");
    let nested = format!("{}n{}", "(".repeat(18), ")".repeat(18));
    assert_eq!(result(&nested, &ROW), "7");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_text_makes_an_expression_panic(text in "\\PC{0,60}") {
        run(&text);
    }

    #[test]
    fn no_mixture_of_sql_makes_an_expression_panic(
        words in prop::collection::vec(prop::sample::select(vec![
            "n", "m", "t", "b", "u", "v", "1", "2.5", "'a'", "''", "'%_\\'", "NULL", "TRUE",
            "FALSE", "+", "-", "*", "/", "||", "=", "<>", "<", ">=", "AND", "OR", "NOT", "IS",
            "NULL", "IN", "LIKE", "ESCAPE", "BETWEEN", "CASE", "WHEN", "THEN", "ELSE", "END",
            "CAST", "AS", "text", "integer", "decimal", "(", ")", ",", "COALESCE", "LEAST",
            "GREATEST", "COALESCE(", "CAST(", "AS text)", "interval", "date", "\"q\"", "`q`",
            "1e5", ".", "::", "[", "]", "{", "}", "@", "ILIKE", "ANY", "ALL", "COLLATE", "AT",
            "TIME", "ZONE", "DISTINCT", "FROM", "UNNEST", "trim", "extract", "substring",
        ]), 0..40),
    ) {
        run(&words.join(" "));
    }
}
