use connector_api::TableName;

/// A name as SQL: quoted where it has to be.
pub(crate) fn identifier(name: &str) -> String {
    let plain = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        && !RESERVED.contains(&name);
    if plain { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

/// A table's name as SQL.
pub(crate) fn qualified(name: &TableName) -> String {
    format!("{}.{}", identifier(&name.schema), identifier(&name.table))
}

/// A text as SQL.
pub(crate) fn literal(text: &str) -> String {
    let escapes = if text.contains('\\') { "E" } else { "" };
    format!("{escapes}'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

/// Names that shops give to tables and columns although SQL keeps them for itself.
const RESERVED: [&str; 25] = [
    "all",
    "analyse",
    "analyze",
    "any",
    "array",
    "both",
    "case",
    "check",
    "column",
    "default",
    "desc",
    "do",
    "end",
    "for",
    "from",
    "grant",
    "group",
    "limit",
    "offset",
    "order",
    "primary",
    "references",
    "table",
    "user",
    "where",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_where_sql_needs_it() {
        assert_eq!(identifier("stock_2"), "stock_2");
        assert_eq!(identifier("Stock"), "\"Stock\"");
        assert_eq!(identifier("2nd"), "\"2nd\"");
        assert_eq!(identifier("order"), "\"order\"");
        assert_eq!(identifier("a\"b"), "\"a\"\"b\"");
        assert_eq!(qualified(&TableName::new("public", "Stock")), "public.\"Stock\"");
    }

    #[test]
    fn texts_are_quoted_always() {
        assert_eq!(literal("a'b"), "'a''b'");
        assert_eq!(literal("a\\b"), "E'a\\\\b'");
    }
}
