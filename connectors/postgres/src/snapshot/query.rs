use connector_api::{Condition, TableName};

use super::filter;
use super::shape::{KeyColumn, Shape};
use crate::doctor::literal;

/// A name as SQL, quoted whether it has to be or not.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn qualified(table: &TableName) -> String {
    format!("{}.{}", quoted(&table.schema), quoted(&table.table))
}

/// What is asked for one chunk. A plain query: the server's statistics of queries count it as one
/// whatever its literals, which they do not for COPY before 16.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Query {
    /// The query.
    pub(super) sql: String,
    /// Whether each row ends in a column that says whether it is wanted.
    pub(super) marks: bool,
}

impl Query {
    /// The next rows behind the key `after`, at most `rows` of them, wanted or not; all wanted
    /// ones of a table without a key.
    pub(super) fn of(
        shape: &Shape,
        filter: Option<&Condition>,
        after: Option<&[String]>,
        rows: u32,
    ) -> Self {
        let filter = filter.and_then(|filter| filter::render(filter, &shape.visible));
        let published = shape.published.as_ref().map(|published| format!("({published})"));
        let wanted: Vec<String> = published.into_iter().chain(filter).collect();
        let wanted = (!wanted.is_empty()).then(|| wanted.join(" AND "));
        // The rows of an heir come under its own name.
        let only = if shape.partitioned { "" } else { "ONLY " };
        let from = format!("FROM {only}{}", qualified(&shape.name));
        let columns = columns(shape);
        if shape.key.is_empty() {
            let wanted = wanted.map(|wanted| format!(" WHERE {wanted}")).unwrap_or_default();
            return Self { sql: format!("SELECT {columns} {from}{wanted}"), marks: false };
        }
        let behind = after.map(|after| format!(" WHERE {}", behind(&shape.key, after)));
        let behind = behind.unwrap_or_default();
        let order = order(&shape.key);
        let Some(wanted) = wanted else {
            let sql = format!("SELECT {columns} {from}{behind} ORDER BY {order} LIMIT {rows}");
            return Self { sql, marks: false };
        };
        // However few are wanted, no more are looked at; and the last of them always comes, to say
        // where it goes on.
        let looked_at = format!(
            "SELECT {columns}, ({wanted}) IS TRUE AS \"is wanted\" {from}{behind} \
             ORDER BY {order} LIMIT {rows}"
        );
        let sql = format!(
            "SELECT {columns}, \"is wanted\" FROM (SELECT {columns}, \"is wanted\", \
             lead(true) OVER (ORDER BY {order}) AS \"has next\" FROM ({looked_at}) AS looked_at) \
             AS known WHERE \"is wanted\" OR \"has next\" IS NULL ORDER BY {order}"
        );
        Self { sql, marks: true }
    }
}

fn columns(shape: &Shape) -> String {
    let columns: Vec<String> = shape.read.iter().map(|column| quoted(&column.name)).collect();
    columns.join(", ")
}

/// A column of the key as the index has it.
fn indexed(column: &KeyColumn) -> String {
    let name = quoted(&column.name);
    match &column.collation {
        Some(collation) => format!("{name} COLLATE {collation}"),
        None => name,
    }
}

fn order(key: &[KeyColumn]) -> String {
    let column = |column: &KeyColumn| match &*column.less {
        "<" => indexed(column),
        less => format!("{} USING {less}", indexed(column)),
    };
    key.iter().map(column).collect::<Vec<_>>().join(", ")
}

/// SQL: a key is greater than this one.
fn behind(key: &[KeyColumn], after: &[String]) -> String {
    let value =
        |(column, text): (&KeyColumn, &String)| format!("{}::{}", literal(text), column.type_name);
    let values: Vec<String> = key.iter().zip(after).map(value).collect();
    let names: Vec<String> = key.iter().map(indexed).collect();
    if key.iter().all(|column| column.greater == key[0].greater) {
        let (names, values) = (names.join(", "), values.join(", "));
        return format!("ROW({names}) {} ROW({values})", key[0].greater);
    }
    // A row is compared by operators of one name only.
    let steps = (0..key.len()).map(|last| {
        let equal = |at: usize| {
            let (name, value, column) = (&names[at], &values[at], &key[at]);
            format!("NOT {name} {} {value} AND NOT {name} {} {value}", column.greater, column.less)
        };
        let mut step: Vec<String> = (0..last).map(equal).collect();
        step.push(format!("{} {} {}", names[last], key[last].greater, values[last]));
        format!("({})", step.join(" AND "))
    });
    format!("({})", steps.collect::<Vec<_>>().join(" OR "))
}

#[cfg(test)]
mod tests;
