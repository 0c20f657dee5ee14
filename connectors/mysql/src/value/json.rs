//! MySQL's binary JSON, printed as the server prints it.
//!
//! A document is a type byte and a value. An object or array begins with its number of members
//! and its size, then for each key of an object its place and length, then for each member its
//! type and its place, or the value itself where that is no larger than a place. Places count from
//! the start of the object or array. `large` ones have numbers of four bytes instead of two.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::Unreadable;
use super::cursor::little_endian;
use super::layout::code;
use super::number::{self, Decimal};
use super::temporal::{Line, Packed};

/// The server stores no deeper documents.
const DEPTH_MAX: usize = 100;
/// The server breaks base64 into lines of 76 characters.
const BASE64_LINE_BYTES: usize = 57;

mod kind {
    pub(super) const SMALL_OBJECT: u8 = 0;
    pub(super) const LARGE_OBJECT: u8 = 1;
    pub(super) const SMALL_ARRAY: u8 = 2;
    pub(super) const LARGE_ARRAY: u8 = 3;
    pub(super) const LITERAL: u8 = 4;
    pub(super) const INT16: u8 = 5;
    pub(super) const UINT16: u8 = 6;
    pub(super) const INT32: u8 = 7;
    pub(super) const UINT32: u8 = 8;
    pub(super) const INT64: u8 = 9;
    pub(super) const UINT64: u8 = 10;
    pub(super) const DOUBLE: u8 = 11;
    pub(super) const STRING: u8 = 12;
    pub(super) const OPAQUE: u8 = 15;
}

/// Appends the document's text. Nothing at all is one that the server reads as null.
pub(super) fn print(raw: &[u8], out: &mut String) -> Result<(), Unreadable> {
    let Some((&kind, value)) = raw.split_first() else {
        out.push_str("null");
        return Ok(());
    };
    // No member becomes as much longer by being printed. Places that overlap would let a short
    // document grow without end.
    let len_max = out.len() + 8 * raw.len() + 64;
    Printer { out, len_max }.value(kind, value, 0)
}

struct Printer<'o> {
    out: &'o mut String,
    len_max: usize,
}

fn malformed(what: &'static str) -> Unreadable {
    Unreadable::Malformed { type_name: "json", what }
}

fn outside() -> Unreadable {
    malformed("a place lies outside of it")
}

fn part(data: &[u8], start: usize, len: usize) -> Result<&[u8], Unreadable> {
    let end = start.checked_add(len).ok_or_else(outside)?;
    data.get(start..end).ok_or_else(outside)
}

/// A number of up to four bytes.
fn number(data: &[u8], start: usize, width: usize) -> Result<usize, Unreadable> {
    Ok(little_endian(part(data, start, width)?) as usize)
}

/// A length, seven bits a byte, the lowest first, and what it is the length of.
fn counted(data: &[u8]) -> Result<&[u8], Unreadable> {
    let mut len = 0u64;
    for (nth, byte) in data.iter().enumerate().take(5) {
        len |= u64::from(byte & 0x7f) << (7 * nth);
        if byte & 0x80 == 0 {
            let len = usize::try_from(len).map_err(|_| outside())?;
            return part(data, nth + 1, len);
        }
    }
    Err(malformed("a length does not end"))
}

/// What is held in the place of a place.
fn is_inlined(kind: u8, large: bool) -> bool {
    match kind {
        kind::LITERAL | kind::INT16 | kind::UINT16 => true,
        kind::INT32 | kind::UINT32 => large,
        _ => false,
    }
}

impl Printer<'_> {
    fn value(&mut self, kind: u8, data: &[u8], depth: usize) -> Result<(), Unreadable> {
        let int = |len| part(data, 0, len).map(number::int);
        let uint = |len| part(data, 0, len).map(little_endian);
        match kind {
            kind::SMALL_OBJECT => return self.members(data, true, false, depth + 1),
            kind::LARGE_OBJECT => return self.members(data, true, true, depth + 1),
            kind::SMALL_ARRAY => return self.members(data, false, false, depth + 1),
            kind::LARGE_ARRAY => return self.members(data, false, true, depth + 1),
            kind::LITERAL => self.out.push_str(match data.first() {
                Some(0) => "null",
                Some(1) => "true",
                Some(2) => "false",
                _ => return Err(malformed("a literal is not known")),
            }),
            kind::INT16 => self.print(int(2)?),
            kind::INT32 => self.print(int(4)?),
            kind::INT64 => self.print(int(8)?),
            kind::UINT16 => self.print(uint(2)?),
            kind::UINT32 => self.print(uint(4)?),
            kind::UINT64 => self.print(uint(8)?),
            kind::DOUBLE => {
                let value = number::double(part(data, 0, 8)?);
                if !value.is_finite() {
                    return Err(malformed("a number is not finite"));
                }
                number::print_double(value, self.out);
            }
            kind::STRING => return self.string(counted(data)?),
            kind::OPAQUE => return self.opaque(data),
            _ => return Err(malformed("a type is not known")),
        }
        Ok(())
    }

    fn print(&mut self, number: impl std::fmt::Display) {
        write!(self.out, "{number}").expect("a string takes everything");
    }

    fn members(
        &mut self,
        data: &[u8],
        object: bool,
        large: bool,
        depth: usize,
    ) -> Result<(), Unreadable> {
        if depth > DEPTH_MAX {
            return Err(malformed("it is deeper than a server stores"));
        }
        let width = if large { 4 } else { 2 };
        let count = number(data, 0, width)?;
        let data = part(data, 0, number(data, width, width)?)?;
        let (key_len, entry_len) = (if object { width + 2 } else { 0 }, width + 1);
        let (keys, entries) = (2 * width, 2 * width + count * key_len);
        let head_len = entries + count * entry_len;
        part(data, 0, head_len)?;
        self.out.push(if object { '{' } else { '[' });
        for nth in 0..count {
            if nth > 0 {
                self.out.push_str(", ");
            }
            if object {
                let key = keys + nth * key_len;
                let start = number(data, key, width)?;
                self.string(part(data, start, number(data, key + width, 2)?)?)?;
                self.out.push_str(": ");
            }
            let entry = entries + nth * entry_len;
            let kind = number(data, entry, 1)? as u8;
            let value = if is_inlined(kind, large) {
                part(data, entry + 1, width)?
            } else {
                let start = number(data, entry + 1, width)?;
                let behind_head = start >= head_len;
                data.get(start..).filter(|_| behind_head).ok_or_else(outside)?
            };
            self.value(kind, value, depth)?;
            if self.out.len() > self.len_max {
                return Err(malformed("its parts overlap"));
            }
        }
        self.out.push(if object { '}' } else { ']' });
        Ok(())
    }

    fn string(&mut self, raw: &[u8]) -> Result<(), Unreadable> {
        let text = std::str::from_utf8(raw).map_err(|_| malformed("a text is not UTF-8"))?;
        self.out.push('"');
        let mut plain = 0;
        for (at, byte) in text.bytes().enumerate() {
            let escape = match byte {
                b'"' => "\\\"",
                b'\\' => "\\\\",
                0x08 => "\\b",
                0x0c => "\\f",
                b'\n' => "\\n",
                b'\r' => "\\r",
                b'\t' => "\\t",
                0..0x20 => "",
                _ => continue,
            };
            self.out.push_str(&text[plain..at]);
            plain = at + 1;
            match escape {
                "" => write!(self.out, "\\u{byte:04x}").expect("a string takes everything"),
                escape => self.out.push_str(escape),
            }
        }
        self.out.push_str(&text[plain..]);
        self.out.push('"');
        Ok(())
    }

    /// A value of an SQL type that JSON does not have.
    fn opaque(&mut self, data: &[u8]) -> Result<(), Unreadable> {
        let (&sql_type, rest) = data.split_first().ok_or_else(outside)?;
        let value = counted(rest)?;
        let packed = match sql_type {
            code::NEWDECIMAL => return self.decimal(value),
            code::VAR_STRING => return self.string(value),
            code::DATE => Packed::Date,
            code::TIME => Packed::Time,
            code::DATETIME | code::TIMESTAMP => Packed::DateTime,
            _ => {
                self.base64(sql_type, value);
                return Ok(());
            }
        };
        if value.len() != 8 {
            return Err(malformed("a date or time has another length"));
        }
        let mut line = Line::new();
        packed.print(number::int(value), &mut line)?;
        self.out.extend(["\"", line.text(), "\""]);
        Ok(())
    }

    fn decimal(&mut self, value: &[u8]) -> Result<(), Unreadable> {
        let impossible = || malformed("a decimal is not one");
        let [precision, scale, digits @ ..] = value else { return Err(impossible()) };
        let decimal = Decimal::new(*precision, *scale).ok_or_else(impossible)?;
        if digits.len() != decimal.len() {
            return Err(impossible());
        }
        self.out.push_str(decimal.text(digits)?.text());
        Ok(())
    }

    fn base64(&mut self, sql_type: u8, value: &[u8]) {
        write!(self.out, "\"base64:type{sql_type}:").expect("a string takes everything");
        for (nth, line) in value.chunks(BASE64_LINE_BYTES).enumerate() {
            if nth > 0 {
                self.out.push_str("\\n");
            }
            STANDARD.encode_string(line, self.out);
        }
        self.out.push('"');
    }
}

#[cfg(test)]
mod tests;
