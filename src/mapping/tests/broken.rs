//! Mappings that do not fit their tables are told with what was found and how to mend it.

use super::lookups::lookup;
use super::*;

fn parse(text: &str) -> expression::Expression {
    expression::Expression::parse(text).unwrap()
}

fn tables() -> Vec<TableDescription> {
    let table = |name: &str, key: &[&str], columns: &[(&str, &str)]| TableDescription {
        cascades: Vec::new(),
        name: TableName::new("public", name),
        columns: columns
            .iter()
            .map(|(name, type_name)| ColumnDescription {
                name: (*name).to_owned(),
                type_name: type_name.trim_start_matches("generated ").to_owned(),
                logged: !type_name.starts_with("generated "),
                omitted: false,
            })
            .collect(),
        primary_key: key.iter().map(|name| (*name).to_owned()).collect(),
        identity: if key.is_empty() { Identity::Nothing } else { Identity::PrimaryKey },
    };
    let stock = [
        ("id", "bigint"),
        ("product", "integer"),
        ("sku", "text"),
        ("qty", "numeric(12,4)"),
        ("weight", "double precision"),
        ("active", "boolean"),
        ("total", "generated numeric"),
        ("state", "enum('yes','no')"),
        ("ends", "datetime(6)"),
    ];
    vec![
        table("keyless", &[], &stock),
        table("product", &["id"], &[("id", "integer"), ("code", "text"), ("sold", "boolean")]),
        table("stock", &["id"], &stock),
    ]
}

/// What is told of a mapping that differs from a right one in `change`.
fn told(change: impl FnOnce(&mut Definition)) -> String {
    let errors = Plan::compile(&[definition("id", change)], &tables(), 1).unwrap_err();
    let line = |error: &PlanError| format!("{}: {}\n  fix: {}", error.key, error.found, error.fix);
    errors.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn product() -> Lookup {
    lookup("product", ("id", "product"), &[("code", "code")])
}

type Case = (&'static str, Box<dyn FnOnce(&mut Definition)>);

fn case(name: &'static str, change: impl FnOnce(&mut Definition) + 'static) -> Case {
    (name, Box::new(change))
}

fn of_fields() -> Vec<Case> {
    vec![
        case("a table that is not there", |to| to.table = TableName::new("public", "stocks")),
        case("a column that is not there", |to| to.item = parse("product_id")),
        case("text in double quotes", |to| to.location = Some(parse("\"main\""))),
        case("a number compared with text", |to| to.filter = Some(parse("qty = 'many'"))),
        case("text added to a number", |to| to.quantities[0].1 = parse("qty + sku")),
        case("a filter that is a number", |to| to.filter = Some(parse("qty"))),
        case("a filter that is text", |to| to.removed_when = Some(parse("sku || 'x'"))),
        case("a filter that is one of two words", |to| to.filter = Some(parse("state"))),
        case("a filter that is a time", |to| to.removed_when = Some(parse("ends"))),
        case("a time as servers print it", |to| {
            to.filter = Some(parse("ends <= '2026-01-31 12:00:00'"));
        }),
        case("a column that the log does not hold", |to| to.quantities[0].1 = parse("total")),
        case("a key made of a float", |to| to.item = parse("'w-' || weight")),
        case("a filter that no deletion decides", |to| {
            to.table = TableName::new("public", "keyless");
            to.filter = Some(parse("active"));
        }),
        case("two things at once", |to| {
            to.item = parse("article");
            to.active = Some(parse("enabled"));
        }),
    ]
}

fn of_lookups() -> Vec<Case> {
    vec![
        case("a looked-up table that is not there", |to| {
            to.lookups = vec![lookup("article", ("id", "product"), &[("code", "code")])];
        }),
        case("a looked-up table without a primary key", |to| {
            to.lookups = vec![lookup("keyless", ("id", "product"), &[("code", "sku || ''")])];
        }),
        case("lookups of a table without a primary key", |to| {
            to.table = TableName::new("public", "keyless");
            to.lookups = vec![product()];
        }),
        case("a lookup by a column that is not there", |to| {
            to.lookups = vec![lookup("product", ("product_id", "product"), &[("code", "code")])];
        }),
        case("a lookup with a column that is not there", |to| {
            to.lookups = vec![lookup("product", ("id", "product_id"), &[("code", "code")])];
        }),
        case("a looked-up column that is not there", |to| {
            to.lookups = vec![lookup("product", ("id", "product"), &[("code", "codes")])];
        }),
        case("a number looked up by text", |to| {
            to.lookups = vec![lookup("product", ("id", "sku"), &[("code", "code")])];
        }),
        case("a looked-up name that is a column", |to| {
            to.lookups = vec![lookup("product", ("id", "product"), &[("sku", "code")])];
        }),
        case("a looked-up text used as a number", |to| {
            to.lookups = vec![product()];
            to.quantities[0].1 = parse("qty + code");
        }),
        case("a looked-up name that nobody gives", |to| {
            to.lookups = vec![product()];
            to.sku = Some(parse("codes"));
        }),
        case("a row that looks for itself", |to| {
            to.lookups = vec![lookup("stock", ("id", "id"), &[("code", "sku")])];
        }),
        case("a lookup that is filtered by a number", |to| {
            to.lookups = vec![Lookup { filter: Some(parse("id")), ..product() }];
        }),
        case("lookups in a circle", |to| {
            let one = lookup("product", ("id", "two"), &[("one", "id")]);
            to.lookups = vec![one, lookup("product", ("id", "one"), &[("two", "id")])];
        }),
    ]
}

fn of_sums() -> Vec<Case> {
    vec![
        case("a sum of a column that is not there", |to| {
            to.sum = vec!["quantity".to_owned()];
            to.quantities[0].1 = parse("quantity");
        }),
        case("a sum of booleans", |to| {
            to.sum = vec!["qty".to_owned(), "active".to_owned()];
        }),
        case("sums over a table without a primary key", |to| {
            to.table = TableName::new("public", "keyless");
            to.sum = vec!["qty".to_owned()];
        }),
    ]
}

#[test]
fn words_and_times_that_are_compared_fit() {
    for filter in [
        "state = 'yes'",
        "ends IS NOT NULL",
        "ends > '2026-01-31T12:00:00'",
        "ends = '0000-00-00 00:00:00'",
        "sku = '2026-01-31 12:00:00'",
    ] {
        let definition = definition("id", |to| to.filter = Some(parse(filter)));
        assert!(Plan::compile(&[definition], &tables(), 1).is_ok(), "{filter}");
    }
}

#[test]
fn every_mapping_that_does_not_fit_its_tables_is_told_with_its_fix() {
    let cases = [of_fields(), of_lookups(), of_sums()].into_iter().flatten();
    let lines = cases.map(|(name, change)| format!("# {name}\n{}\n", told(change)));
    insta::with_settings!({ omit_expression => true }, {
        insta::assert_snapshot!("broken", lines.collect::<String>());
    });
}
