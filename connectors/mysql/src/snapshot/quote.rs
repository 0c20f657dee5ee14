//! Names and values as SQL that means the same under every `sql_mode`.

use std::fmt::Write as _;

use connector_api::TableName;

/// A column's name.
pub(super) fn column(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// A table's name.
pub(super) fn table(name: &TableName) -> String {
    format!("{}.{}", column(&name.schema), column(&name.table))
}

/// Bytes as the digits of a hexadecimal literal.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes everything");
        text
    })
}

/// Whether this is a plain number that every server takes as an exact one.
pub(super) fn number(text: &str) -> bool {
    const DIGITS_MAX: usize = 65;
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let are_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    are_digits(whole) && are_digits(fraction) && digits.len() <= DIGITS_MAX + 1
}
