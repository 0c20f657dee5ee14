use super::*;

#[test]
fn numbers_are_exact() {
    say(&[
        ("0.1 + 0.2", "0.3"),
        ("n - m", "4.5"),
        ("n * m * -2", "-35"),
        ("-n + 10", "3"),
        ("- (n - 10)", "3"),
        ("1 + 2 * 3", "7"),
        ("(1 + 2) * 3", "9"),
        ("10 - 2 - 3", "5"),
        ("1e3 * .5", "500"),
        ("0.000000001 * 0.5", "0 ROUNDED"),
        ("0.00001 * 0.00015", "0.000000002 ROUNDED"),
        ("99999999999999999999999999999 + 1", "NULL OVERFLOW"),
    ]);
}

#[test]
fn what_a_name_has_for_a_star_is_put_into_texts_and_patterns_as_it_is() {
    let of_star = |text: &str, star: &str| {
        let replaced = Expression::parse(text).unwrap().with_texts("{*}", star);
        assert!(!replaced.mentions("{*}"), "{text}");
        let program = replaced.compile(&columns()).unwrap();
        let mut quality = Quality::default();
        matches!(program.eval(&ROW, &mut quality), Scalar::Bool(true))
    };
    assert!(Expression::parse("t LIKE '%-{*}'").unwrap().mentions("{*}"));
    assert!(of_star("t LIKE '%-{*}'", "100"));
    assert!(of_star("t LIKE '{*}-{*}%'", "A") != of_star("t LIKE '{*}-%'", "A"));
    // No wildcards of a pattern, which a table's name may well hold.
    assert!(!of_star("t LIKE '{*}-100'", "_"));
    assert!(!of_star("t LIKE '{*}'", "A%"));
    assert!(of_star("t = '{*}-100'", "A"));
}

#[test]
fn comparison_is_by_value_and_by_byte() {
    say(&[
        ("m = 2.5", "TRUE"),
        ("n <> 7.0", "FALSE"),
        ("n != 8", "TRUE"),
        ("n < 8 AND n <= 7 AND n > 6 AND n >= 7", "TRUE"),
        ("'a' < 'B'", "FALSE"),
        ("'a' < 'b'", "TRUE"),
        ("'A' = 'a'", "FALSE"),
        ("'z' < '\u{e4}'", "TRUE"),
        ("t > 'A'", "TRUE"),
        ("b = TRUE", "TRUE"),
        ("FALSE < TRUE", "TRUE"),
        ("n = NULL", "NULL"),
    ]);
}

#[test]
fn logic_has_three_values() {
    say(&[
        ("TRUE AND NULL", "NULL"),
        ("FALSE AND NULL", "FALSE"),
        ("NULL AND FALSE", "FALSE"),
        ("TRUE OR NULL", "TRUE"),
        ("NULL OR TRUE", "TRUE"),
        ("FALSE OR NULL", "NULL"),
        ("NOT NULL", "NULL"),
        ("NOT b", "FALSE"),
        ("NOT n = 7", "FALSE"),
        ("NOT FALSE AND FALSE", "FALSE"),
        ("TRUE OR FALSE AND FALSE", "TRUE"),
        ("NULL IS NULL", "TRUE"),
        ("n IS NOT NULL", "TRUE"),
        ("n = 7 IS NULL", "FALSE"),
        ("1 + NULL", "NULL"),
    ]);
}

#[test]
fn lists_and_ranges_know_null() {
    say(&[
        ("n IN (1, 7)", "TRUE"),
        ("n IN (1, 2)", "FALSE"),
        ("n IN (1, NULL)", "NULL"),
        ("n IN (NULL, 7)", "TRUE"),
        ("n NOT IN (1, NULL)", "NULL"),
        ("n NOT IN (1, 2)", "TRUE"),
        ("NULL IN (1)", "NULL"),
        ("t IN ('A-100', 'x')", "TRUE"),
        ("n BETWEEN 7 AND 9", "TRUE"),
        ("n NOT BETWEEN 7 AND 9", "FALSE"),
        ("n BETWEEN 8 AND NULL", "FALSE"),
        ("n BETWEEN NULL AND 6", "FALSE"),
        ("n BETWEEN NULL AND 8", "NULL"),
        ("n BETWEEN 1 + 1 AND 4 + 4 AND b", "TRUE"),
    ]);
}

#[test]
fn like_matches_the_whole_text() {
    say(&[
        ("t LIKE 'A-%'", "TRUE"),
        ("t LIKE 'a-%'", "FALSE"),
        ("t LIKE 'A-1__'", "TRUE"),
        ("t LIKE 'A-1_'", "FALSE"),
        ("t NOT LIKE '%100'", "FALSE"),
        ("t LIKE '%'", "TRUE"),
        ("'' LIKE '%'", "TRUE"),
        ("'' LIKE '_'", "FALSE"),
        ("'aXbYb' LIKE 'a%b'", "TRUE"),
        ("'aXbYc' LIKE 'a%b'", "FALSE"),
        ("'a%b' LIKE 'a\\%b'", "TRUE"),
        ("'aXb' LIKE 'a\\%b'", "FALSE"),
        ("'a%b' LIKE 'a!%b' ESCAPE '!'", "TRUE"),
        ("'a\\b' LIKE 'a\\_' ESCAPE ''", "TRUE"),
        ("'\u{e4}x' LIKE '_x'", "TRUE"),
        ("'mississippi' LIKE '%issip%pi'", "TRUE"),
        ("t LIKE NULL", "NULL"),
        ("NULL LIKE 'a'", "NULL"),
    ]);
}

#[test]
fn case_takes_the_first_branch_that_is_true() {
    say(&[
        ("CASE WHEN n > 10 THEN 'many' WHEN n > 5 THEN 'some' ELSE 'few' END", "'some'"),
        ("CASE n WHEN 1 THEN 'one' WHEN 7 THEN 'seven' END", "'seven'"),
        ("CASE n WHEN NULL THEN 1 END", "NULL"),
        ("CASE WHEN NULL THEN 1 ELSE 2 END", "2"),
        ("CASE WHEN FALSE THEN 1 END", "NULL"),
        ("CASE WHEN b THEN n ELSE 99999999999999999999999999999 * 9 END", "7"),
    ]);
}

#[test]
fn picking_functions_pass_over_null() {
    say(&[
        ("COALESCE(NULL, n, 1)", "7"),
        ("coalesce(NULL, NULL)", "NULL"),
        ("LEAST(n, m, NULL)", "2.5"),
        ("GREATEST(n, m, NULL)", "7"),
        ("GREATEST(t, s)", "'b'"),
        ("LEAST(NULL, NULL)", "NULL"),
        ("GREATEST(n - 10, 0)", "0"),
    ]);
}

#[test]
fn text_is_joined_in_its_canonical_form() {
    say(&[
        ("t || '/' || s", "'A-100/b'"),
        ("t || n", "'A-1007'"),
        ("t || m", "'A-1002.5'"),
        ("t || b", "'A-100true'"),
        ("t || NULL", "NULL"),
        ("t || n + 1", "'A-1008'"),
    ]);
}

#[test]
fn a_cast_rounds_halves_away_from_zero() {
    say(&[
        ("CAST(m AS integer)", "3"),
        ("CAST(-m AS bigint)", "-3"),
        ("CAST(2.449 AS decimal(5, 1))", "2.4"),
        ("CAST(2.45 AS numeric(5,1))", "2.5"),
        ("CAST(99.95 AS numeric(3,1))", "NULL OVERFLOW"),
        ("CAST(12.5 AS numeric(3))", "13"),
        ("CAST(m AS numeric)", "2.5"),
        ("CAST(' 12.50 ' AS decimal)", "12.5"),
        ("CAST('1e2' AS integer)", "100"),
        ("CAST(t AS decimal)", "NULL NON_NUMERIC"),
        ("CAST('' AS decimal)", "NULL NON_NUMERIC"),
        ("CAST('NaN' AS decimal)", "NULL NAN"),
        ("CAST('1e40' AS decimal)", "NULL OVERFLOW"),
        ("CAST(b AS integer)", "1"),
        ("CAST(m AS text)", "'2.5'"),
        ("CAST(b AS varchar)", "'true'"),
        ("CAST(NULL AS text)", "NULL"),
    ]);
}

#[test]
fn an_absent_column_makes_the_result_absent_where_it_matters() {
    let expected = [
        ("u", "ABSENT"),
        ("u + 1", "ABSENT"),
        ("-u", "ABSENT"),
        ("u + NULL", "NULL"),
        ("u = 1", "ABSENT"),
        ("u IS NULL", "ABSENT"),
        ("u LIKE 'a'", "ABSENT"),
        ("u || 'a'", "ABSENT"),
        ("CAST(u AS text)", "ABSENT"),
        ("FALSE AND u = 1", "FALSE"),
        ("u = 1 AND FALSE", "FALSE"),
        ("u = 1 AND TRUE", "ABSENT"),
        ("u = 1 OR TRUE", "TRUE"),
        ("u = 1 OR NULL", "ABSENT"),
        ("NOT (u = 1)", "ABSENT"),
        ("COALESCE(n, u)", "7"),
        ("COALESCE(u, n)", "ABSENT"),
        ("COALESCE(NULL, u)", "ABSENT"),
        ("LEAST(1, u)", "ABSENT"),
        ("n IN (u, 7)", "TRUE"),
        ("n IN (u, 8)", "ABSENT"),
        ("n BETWEEN 8 AND u", "FALSE"),
        ("n BETWEEN u AND 6", "FALSE"),
        ("n BETWEEN u AND 8", "ABSENT"),
        ("CASE WHEN b THEN n ELSE u END", "7"),
        ("CASE WHEN u THEN n ELSE n END", "ABSENT"),
        ("CASE n WHEN u THEN 1 ELSE 2 END", "ABSENT"),
        ("CASE n WHEN 7 THEN 1 WHEN u THEN 2 END", "1"),
    ];
    say_with(Value::Absent, Value::Null, &expected);
}

#[test]
fn the_examples_of_the_manual_are_true() {
    let manual = include_str!("../../../../docs/expressions.md");
    let (_, examples) = manual.split_once("| expression | result |\n|---|---|\n").unwrap();
    let mut seen = 0;
    for line in examples.lines().take_while(|line| line.starts_with('|')) {
        let cells: Vec<&str> = line.split('`').collect();
        say(&[(&cells[1].replace("\\|", "|"), cells[3])]);
        seen += 1;
    }
    assert!(seen > 10);
}
