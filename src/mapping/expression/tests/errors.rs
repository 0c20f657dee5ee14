use super::*;

/// The error of an expression, and its fix as far as the colon or semicolon.
fn error(text: &str) -> String {
    let compiled = Expression::parse(text).and_then(|parsed| parsed.compile(&columns()));
    let error = compiled.err().unwrap_or_else(|| panic!("{text} is accepted"));
    assert!(!error.fix().is_empty(), "{text}");
    let at = error.at().map_or(0, |at| at - 1);
    assert!(at <= text.chars().count(), "{text}: {error}");
    let fix = error.fix();
    format!("{error}; {}", fix.split([';', '.']).next().unwrap_or_default())
}

#[track_caller]
fn refuse(expected: &[(&str, &str)]) {
    for (text, said) in expected {
        let error = error(text);
        assert!(error.starts_with(said), "{text}: {error}");
    }
}

#[test]
fn what_is_not_allowed_is_named_with_its_place_and_a_fix() {
    refuse(&[
        ("n / 2", "/ found at character 3 of the expression; division is not exact"),
        ("n::text", ":: found at character 2 of the expression; write CAST(value AS type)"),
        ("n == 1", "== found at character 3 of the expression; write ="),
        ("stock.n", ". found at character 6 of the expression; name the column alone"),
        ("n = $1", "$1 found at character 5 of the expression; write the value itself"),
        ("n; m", "; found at character 2"),
        ("n -- all", "a comment found at character 3 of the expression; leave the comment out"),
        ("n IN (SELECT 1)", "SELECT found at character 7 of the expression; an expression sees"),
        ("EXISTS (n)", "EXISTS found at character 1"),
        ("t ILIKE 'a'", "ILIKE found at character 1 of the expression; write LIKE"),
        ("t SIMILAR TO 'a'", "a regular expression found at character 1"),
        ("t ~ 'a'", "~ found at character 3"),
        ("b IS TRUE", "IS [NOT] TRUE or FALSE found at character 1"),
        ("n IS DISTINCT FROM m", "IS [NOT] DISTINCT FROM found at character 1"),
        ("t COLLATE \"C\" = s", "COLLATE found at character 1"),
        ("+n", "a + in front of a value found at character 2"),
        ("now()", "the function now found at character 1"),
        ("COALESCE(DISTINCT n)", "expected ), found n at character 19"),
        ("COALESCE()", "COALESCE without arguments found at character 1"),
        ("LEAST(n) OVER ()", "OVER found behind a complete expression at character 10"),
        (
            "n + DATE '2026-01-01'",
            "'2026-01-01' found behind a complete expression at character 10",
        ),
        ("CAST(n AS date)", "CAST to DATE found at character 6 of the expression; CAST to text"),
        ("CAST(n AS char(3))", "CAST to CHAR(3) found"),
        ("CAST(n AS numeric(39))", "CAST to decimal(39, 0) found"),
        ("CAST(n AS numeric(12,10))", "CAST to decimal(12, 10) found"),
        ("TRY_CAST(n AS text)", "expected ), found AS at character 12"),
        ("X'00'", "X'00' found at character 1"),
        ("e'a'", "'a' found behind a complete expression at character 2"),
        ("n XOR m", "the operator XOR found behind this at character 1"),
        ("(n, m) = (1, 2)", "expected ), found , at character 3"),
        ("t LIKE s", "the pattern of LIKE is not a text literal at character 8"),
        ("t LIKE 'a' ESCAPE 'xy'", "the ESCAPE of LIKE is longer than one character"),
        ("t LIKE 'a\\'", "the LIKE pattern ends with its escape character \\ at character 8"),
        ("0.1234567891", "the number 0.1234567891 has more than 9 decimals at character 1"),
        ("n + 1e30", "1e30 cannot be used: the value has more than 29 digits"),
        ("n\n + /", "/ found at character 6"),
    ]);
}

#[test]
fn broken_sql_says_what_was_expected_where() {
    refuse(&[
        ("", "expected an expression, found the end of the expression at character 1"),
        ("n +", "expected an expression, found the end of the expression at character 4"),
        ("(n", "expected ), found the end of the expression at character 3"),
        ("n m", "m found behind a complete expression at character 3"),
        ("n 'a'", "'a' found behind a complete expression at character 3"),
        ("'abc", "unterminated string literal at character 1"),
        ("CASE n END", "expected "),
        ("n IN ()", "expected an expression, found ) at character 7"),
        ("n BETWEEN 1", "expected AND, found the end of the expression at character 12"),
        ("AND", ""),
        ("\u{e4} + )", "expected an expression, found ) at character 5"),
    ]);
    assert!(Expression::parse(&"n".repeat(4097)).is_err());
}

#[test]
fn kinds_that_do_not_fit_are_refused() {
    let number = "text where a number is needed found at character";
    refuse(&[
        ("n + t", &format!("{number} 5 of the expression; write CAST(")),
        ("t * 2", &format!("{number} 1")),
        ("-t", &format!("{number} 2")),
        ("n = '7'", &format!("{number} 5")),
        ("n IN (1, 'a')", &format!("{number} 10")),
        ("n BETWEEN 'a' AND 'b'", &format!("{number} 11")),
        ("COALESCE(n, 'none')", &format!("{number} 13")),
        ("CASE WHEN b THEN n ELSE 'x' END", &format!("{number} 25")),
        ("CASE n WHEN 'x' THEN 1 END", &format!("{number} 13")),
        ("t = 7", "a number where text is needed found at character 5"),
        ("n LIKE '7%'", "a number where text is needed found at character 1"),
        ("n AND b", "a number where a condition is needed found at character 1"),
        ("b AND 1", "a number where a condition is needed found at character 7"),
        ("NOT n", "a number where a condition is needed found at character 5"),
        ("CASE WHEN n THEN 1 END", "a number where a condition is needed found at character 11"),
        ("b + 1", "a condition where a number is needed found at character 1"),
        ("b = 1", "a number where a condition is needed found at character 5"),
        ("LEAST(b, t)", "text where a condition is needed found at character 10"),
    ]);
}

#[test]
fn an_unknown_column_comes_with_the_nearest_name() {
    let stock =
        ["quantity", "sku", "warehouse_id"].map(|name| ColumnInfo::new(name, ColumnKind::Unknown));
    let fix = |text: &str| {
        let error = Expression::parse(text).unwrap().compile(&stock).unwrap_err();
        format!("{error} | {}", error.fix())
    };
    assert_eq!(
        fix("1 + qantity"),
        "there is no column qantity, named at character 5 of the expression | \
         did you mean quantity? The columns are quantity, sku, warehouse_id"
    );
    assert!(fix("SKU").contains("did you mean sku?"));
    assert!(fix("warehouse").contains("did you mean warehouse_id?"));
    assert!(!fix("price").contains("did you mean"));
    assert!(fix("sku = \"A-1\"").contains("Text is written in single quotes."));
    let none = Expression::parse("n").unwrap().compile(&[]).unwrap_err();
    assert_eq!(none.fix(), "there are no columns to name here");
}

#[test]
fn the_limits_are_those_that_are_told() {
    let nested = |depth: usize| format!("{}1{}", "(".repeat(depth), ")".repeat(depth));
    let sum = |operators: usize| format!("n{}", " + n".repeat(operators));
    assert!(Expression::parse(&nested(20)).is_ok());
    assert!(Expression::parse(&nested(21)).unwrap_err().to_string().contains("more than 20 deep"));
    assert!(Expression::parse(&sum(128)).is_ok());
    assert!(Expression::parse(&sum(129)).unwrap_err().to_string().contains("more than 128"));
}
