use std::sync::Arc;

use connector_api::TableSchema;

use super::*;
use crate::snapshot::shape::ReadColumn;

fn key(name: &str, place: usize, type_name: &str) -> KeyColumn {
    KeyColumn {
        name: name.to_owned(),
        place,
        type_name: type_name.to_owned(),
        collation: None,
        greater: ">".to_owned(),
        less: "<".to_owned(),
    }
}

fn shape(key: Vec<KeyColumn>) -> Shape {
    let name = TableName::new("public", "Stock \"1\"");
    let read = |name: &str| ReadColumn { name: name.to_owned(), reading: None };
    Shape {
        name: name.clone(),
        oid: "1".to_owned(),
        mark: String::new(),
        schema: Arc::new(TableSchema { name, columns: Vec::new() }),
        partitioned: false,
        read: ["a", "on"].map(read).into(),
        key,
        visible: Vec::new(),
        published: None,
    }
}

fn after(values: &[&str]) -> Vec<String> {
    values.iter().map(|&value| value.to_owned()).collect()
}

#[test]
fn a_chunk_begins_behind_the_last_key() {
    let shape = shape(vec![key("on", 1, "\"char\""), key("a", 0, "integer")]);
    let query = Query::of(&shape, None, Some(&after(&["it's", "-5"])), 7);
    assert_eq!(
        query.sql,
        "SELECT \"a\", \"on\" FROM ONLY \"public\".\"Stock \"\"1\"\"\" WHERE ROW(\"on\", \"a\") > \
         ROW('it''s'::\"char\", '-5'::integer) ORDER BY \"on\", \"a\" LIMIT 7"
    );
    assert!(!query.marks);
    let first = Query::of(&shape, None, None, 7).sql;
    assert!(first.contains("\" ORDER BY"), "{first}");
}

#[test]
fn a_table_without_a_key_is_read_as_it_is() {
    let mut shape = shape(Vec::new());
    shape.published = Some("(a > 0)".to_owned());
    shape.partitioned = true;
    let query = Query::of(&shape, None, None, 7);
    let wanted = "SELECT \"a\", \"on\" FROM \"public\".\"Stock \"\"1\"\"\" WHERE ((a > 0))";
    assert_eq!((query.sql.as_str(), query.marks), (wanted, false));
}

#[test]
fn a_filter_is_judged_of_no_more_rows_than_a_chunk_has() {
    let mut shape = shape(vec![key("a", 0, "integer")]);
    shape.published = Some("(a > 0)".to_owned());
    let query = Query::of(&shape, Some(&Condition::Any(Vec::new())), None, 7);
    assert_eq!(
        query.sql,
        "SELECT \"a\", \"on\", \"is wanted\" FROM (SELECT \"a\", \"on\", \"is wanted\", lead(true) \
         OVER (ORDER BY \"a\") AS \"has next\" FROM (SELECT \"a\", \"on\", (((a > 0)) AND false) \
         IS TRUE AS \"is wanted\" FROM ONLY \"public\".\"Stock \"\"1\"\"\" ORDER BY \"a\" LIMIT 7) \
         AS looked_at) AS known WHERE \"is wanted\" OR \"has next\" IS NULL ORDER BY \"a\""
    );
    assert!(query.marks);
}

#[test]
fn an_index_of_its_own_order_is_followed() {
    let mut sku = key("on", 1, "text");
    sku.collation = Some("pg_catalog.\"C\"".to_owned());
    sku.greater = "OPERATOR(extensions.>)".to_owned();
    sku.less = "OPERATOR(extensions.<)".to_owned();
    let shape = shape(vec![sku, key("a", 0, "integer")]);
    let query = Query::of(&shape, None, Some(&after(&["x", "5"])), 7);
    let on = "\"on\" COLLATE pg_catalog.\"C\"";
    let greater = "OPERATOR(extensions.>) 'x'::text";
    let wanted = format!(
        "WHERE (({on} {greater}) OR (NOT {on} {greater} AND NOT {on} OPERATOR(extensions.<) \
         'x'::text AND \"a\" > '5'::integer)) ORDER BY {on} USING OPERATOR(extensions.<), \"a\" \
         LIMIT 7"
    );
    assert!(query.sql.ends_with(&wanted), "{}", query.sql);
}
