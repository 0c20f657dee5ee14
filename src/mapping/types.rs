use super::expression::ColumnKind;

pub(super) fn base_of(type_name: &str) -> &str {
    let base = type_name.split('(').next().unwrap_or(type_name).trim();
    base.split(" unsigned").next().unwrap_or(base)
}

pub(super) fn is_whole(type_name: &str) -> bool {
    let base = base_of(type_name);
    matches!(base, "smallint" | "integer" | "bigint" | "tinyint" | "mediumint" | "int")
}

pub(super) fn is_float(type_name: &str) -> bool {
    matches!(base_of(type_name), "real" | "double precision" | "float" | "double")
}

/// What a column's values are to expressions. A type not listed is found out value by value.
pub(super) fn kind_of(type_name: &str) -> ColumnKind {
    match base_of(type_name) {
        "smallint" | "integer" | "bigint" | "numeric" | "real" | "double precision" | "decimal"
        | "tinyint" | "mediumint" | "int" | "float" | "double" => ColumnKind::Number,
        "text" | "character varying" | "character" | "uuid" | "varchar" | "char" | "longtext"
        | "mediumtext" | "tinytext" => ColumnKind::Text,
        "boolean" => ColumnKind::Bool,
        _ => ColumnKind::Unknown,
    }
}

/// A day and a time of that day: values are written in ISO 8601.
pub(super) fn is_moment(type_name: &str) -> bool {
    base_of(type_name) == "datetime" || type_name.starts_with("timestamp")
}

/// Whether values are read as texts that no condition takes for true, whatever they stand for.
/// Beside a number some of them are numbers, so that their kind is found out value by value.
pub(super) fn is_text_alone(type_name: &str) -> bool {
    let base = base_of(type_name);
    is_moment(type_name)
        || matches!(base, "enum" | "set" | "json" | "jsonb" | "date" | "bytea" | "binary")
        || base.starts_with("time")
        || base.ends_with("blob")
}
