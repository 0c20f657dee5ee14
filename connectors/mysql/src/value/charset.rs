//! From the bytes of a character set to text.

mod collation;
mod single_byte;

use std::borrow::Cow;

use connector_api::{BatchBuilder, TextKind};
use encoding_rs::{DecoderResult, Encoding};

use super::Unreadable;
use single_byte::Upper;

/// The character set of a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charset {
    /// What is known of it: the server's name, or the number of a collation.
    name: String,
    coding: Option<Coding>,
}

/// How a character set writes text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coding {
    /// No text at all.
    Binary,
    /// ASCII and nothing else.
    Ascii,
    /// Both of MySQL's.
    Utf8,
    /// Two bytes a character, the high one first; pairs of surrogates only in UTF-16.
    Utf16 { low_first: bool, pairs: bool },
    /// Four bytes a character, the high one first.
    Utf32,
    /// ASCII and a table.
    Table(&'static Upper),
    /// As the web reads it, but for a few characters.
    Web(&'static Encoding, Swaps),
}

/// What the web makes of a character, and what the servers make of it.
pub(crate) type Swaps = &'static [(char, char)];

/// JIS characters, which Microsoft maps to others.
const JIS: Swaps = &[
    ('\u{ff3c}', '\\'),
    ('\u{ff5e}', '\u{301c}'),
    ('\u{2225}', '\u{2016}'),
    ('\u{ff0d}', '\u{2212}'),
    ('\u{ffe0}', '\u{a2}'),
    ('\u{ffe1}', '\u{a3}'),
    ('\u{ffe2}', '\u{ac}'),
];
const BIG5: Swaps = &[
    ('\u{2027}', '\u{2022}'),
    ('\u{fe51}', '\u{ff64}'),
    ('\u{af}', '\u{203e}'),
    ('\u{ff5e}', '\u{223c}'),
    ('\u{2295}', '\u{2641}'),
    ('\u{2299}', '\u{2609}'),
    ('\u{2215}', '\u{ff0f}'),
    ('\u{fe68}', '\u{ff3c}'),
    ('\u{ffe5}', '\u{a5}'),
    ('\u{ffe0}', '\u{a2}'),
    ('\u{ffe1}', '\u{a3}'),
];
const CP866: Swaps = &[('\u{2116}', '\u{207f}'), ('\u{a4}', '\u{b2}')];
const GB2312: Swaps = &[('\u{b7}', '\u{30fb}'), ('\u{2014}', '\u{2015}')];
const GREEK: Swaps = &[('\u{2018}', '\u{2bd}'), ('\u{2019}', '\u{2bc}')];
const HEBREW: Swaps = &[('\u{af}', '\u{203e}')];
const KOI8U: Swaps = &[('\u{2219}', '\u{2022}'), ('\u{45e}', '\u{255d}'), ('\u{40e}', '\u{256c}')];
/// The web reads Microsoft's extension of it.
const TIS620: Swaps = &[
    ('\u{20ac}', '\u{80}'),
    ('\u{2026}', '\u{85}'),
    ('\u{2018}', '\u{91}'),
    ('\u{2019}', '\u{92}'),
    ('\u{201c}', '\u{93}'),
    ('\u{201d}', '\u{94}'),
    ('\u{2022}', '\u{95}'),
    ('\u{2013}', '\u{96}'),
    ('\u{2014}', '\u{97}'),
];

const UTF16: Coding = Coding::Utf16 { low_first: false, pairs: true };

/// `None` for a character set that cannot be converted.
fn coding(name: &str) -> Option<Coding> {
    Some(match name {
        "binary" => Coding::Binary,
        "ascii" => Coding::Ascii,
        "utf8" | "utf8mb3" | "utf8mb4" => Coding::Utf8,
        "ucs2" => Coding::Utf16 { low_first: false, pairs: false },
        "utf16" => UTF16,
        "utf16le" => Coding::Utf16 { low_first: true, pairs: true },
        "utf32" => Coding::Utf32,
        "cp850" => Coding::Table(&single_byte::CP850),
        "cp852" => Coding::Table(&single_byte::CP852),
        "latin5" => Coding::Table(&single_byte::LATIN5),
        "macce" => Coding::Table(&single_byte::MACCE),
        "latin1" => Coding::Web(encoding_rs::WINDOWS_1252, &[]),
        "latin2" => Coding::Web(encoding_rs::ISO_8859_2, &[]),
        "latin7" => Coding::Web(encoding_rs::ISO_8859_13, &[]),
        "cp1250" => Coding::Web(encoding_rs::WINDOWS_1250, &[]),
        "cp1251" => Coding::Web(encoding_rs::WINDOWS_1251, &[]),
        "cp1256" => Coding::Web(encoding_rs::WINDOWS_1256, &[]),
        "cp1257" => Coding::Web(encoding_rs::WINDOWS_1257, &[]),
        "cp866" => Coding::Web(encoding_rs::IBM866, CP866),
        "greek" => Coding::Web(encoding_rs::ISO_8859_7, GREEK),
        "hebrew" => Coding::Web(encoding_rs::ISO_8859_8, HEBREW),
        "koi8r" => Coding::Web(encoding_rs::KOI8_R, &[]),
        "koi8u" => Coding::Web(encoding_rs::KOI8_U, KOI8U),
        "macroman" => Coding::Web(encoding_rs::MACINTOSH, &[]),
        "tis620" => Coding::Web(encoding_rs::WINDOWS_874, TIS620),
        "big5" => Coding::Web(encoding_rs::BIG5, BIG5),
        "gbk" => Coding::Web(encoding_rs::GBK, &[]),
        "gb2312" => Coding::Web(encoding_rs::GBK, GB2312),
        "gb18030" => Coding::Web(encoding_rs::GB18030, &[]),
        "euckr" => Coding::Web(encoding_rs::EUC_KR, &[]),
        "cp932" => Coding::Web(encoding_rs::SHIFT_JIS, &[]),
        "eucjpms" => Coding::Web(encoding_rs::EUC_JP, &[]),
        "sjis" => Coding::Web(encoding_rs::SHIFT_JIS, JIS),
        "ujis" => Coding::Web(encoding_rs::EUC_JP, JIS),
        _ => return None,
    })
}

impl Charset {
    /// By the server's name, as `information_schema` spells it.
    pub fn named(name: &str) -> Self {
        let name = name.to_ascii_lowercase();
        Self { coding: coding(&name), name }
    }

    /// By the number MySQL gives a collation of it.
    pub fn of_mysql(collation: u16) -> Self {
        Self::of_collation(collation, collation::charset_of_mysql(collation))
    }

    /// By the number MariaDB gives a collation of it.
    pub fn of_mariadb(collation: u16) -> Self {
        Self::of_collation(collation, collation::charset_of_mariadb(collation))
    }

    fn of_collation(id: u16, name: Option<&str>) -> Self {
        match name {
            Some(name) => Self::named(name),
            None => Self { name: format!("of collation {id}"), coding: None },
        }
    }

    /// The text of a statement in UTF-8, as far as names are concerned: what stands in the quotes
    /// of a string may be bytes of any sort. `None` when nobody can convert it.
    pub(crate) fn statement<'t>(&self, raw: &'t [u8]) -> Option<Cow<'t, [u8]>> {
        let coding = self.coding?;
        if matches!(coding, Coding::Utf8 | Coding::Ascii | Coding::Binary) {
            return Some(Cow::Borrowed(raw));
        }
        let mut scratch = String::new();
        let text = match (coding.text(raw, &mut scratch), coding) {
            (Some(text), _) => text.to_owned(),
            (None, Coding::Web(encoding, _)) => {
                encoding.decode_without_bom_handling(raw).0.into_owned()
            }
            (None, _) => return None,
        };
        Some(Cow::Owned(text.into_bytes()))
    }

    pub(super) fn coding(&self) -> Result<Coding, Unreadable> {
        self.coding.ok_or_else(|| Unreadable::Charset { name: self.name.clone() })
    }
}

impl Coding {
    /// Adds a text to the row being built. Bytes that are none in this character set stay bytes:
    /// nothing is lost, and nothing passes for what it is not.
    pub(super) fn push(self, raw: &[u8], scratch: &mut String, out: &mut BatchBuilder) {
        match self.text(raw, scratch) {
            Some(text) => out.push_text(TextKind::Text, text),
            None => out.push_bytes(raw),
        }
    }

    /// The text of `raw`, in place or converted into `scratch`.
    pub(super) fn text<'t>(self, raw: &'t [u8], scratch: &'t mut String) -> Option<&'t str> {
        let as_is = match self {
            Coding::Binary => return None,
            Coding::Utf8 => return std::str::from_utf8(raw).ok(),
            Coding::Ascii | Coding::Table(_) | Coding::Web(..) => raw.is_ascii(),
            Coding::Utf16 { .. } | Coding::Utf32 => false,
        };
        if as_is {
            return std::str::from_utf8(raw).ok();
        }
        scratch.clear();
        let valid = match self {
            Coding::Binary | Coding::Ascii | Coding::Utf8 => false,
            Coding::Utf16 { low_first, pairs } => utf16(raw, low_first, pairs, scratch),
            Coding::Utf32 => utf32(raw, scratch),
            Coding::Table(upper) => {
                scratch.extend(raw.iter().map(|&byte| match byte {
                    0x80.. => upper[usize::from(byte - 0x80)],
                    ascii => char::from(ascii),
                }));
                true
            }
            Coding::Web(encoding, swaps) => {
                let valid = web(encoding, raw, scratch);
                if scratch.contains(|char| swapped(char, swaps).is_some()) {
                    let chars = scratch.chars();
                    *scratch = chars.map(|char| swapped(char, swaps).unwrap_or(char)).collect();
                }
                valid
            }
        };
        valid.then_some(scratch.as_str())
    }
}

fn utf16(raw: &[u8], low_first: bool, pairs: bool, out: &mut String) -> bool {
    let (units, rest) = raw.as_chunks::<2>();
    let units = units.iter().map(|unit| match low_first {
        true => u16::from_le_bytes(*unit),
        false => u16::from_be_bytes(*unit),
    });
    for char in char::decode_utf16(units) {
        match char {
            Ok(char) if pairs || char.len_utf16() == 1 => out.push(char),
            _ => return false,
        }
    }
    rest.is_empty()
}

fn utf32(raw: &[u8], out: &mut String) -> bool {
    let (units, rest) = raw.as_chunks::<4>();
    for unit in units {
        let Some(char) = char::from_u32(u32::from_be_bytes(*unit)) else { return false };
        out.push(char);
    }
    rest.is_empty()
}

fn web(encoding: &'static Encoding, raw: &[u8], out: &mut String) -> bool {
    let mut decoder = encoding.new_decoder_without_bom_handling();
    let Some(space) = decoder.max_utf8_buffer_length_without_replacement(raw.len()) else {
        return false;
    };
    out.reserve(space);
    let (result, read) = decoder.decode_to_string_without_replacement(raw, out, true);
    result == DecoderResult::InputEmpty && read == raw.len()
}

fn swapped(char: char, swaps: Swaps) -> Option<char> {
    swaps.iter().find(|(web, _)| *web == char).map(|(_, server)| *server)
}

#[cfg(test)]
mod tests;
