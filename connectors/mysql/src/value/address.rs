//! MariaDB's types for addresses and UUIDs, which the log carries as BINARY.

use std::fmt::Write;
use std::net::Ipv4Addr;

use connector_api::{BatchBuilder, TextKind};

use super::Unreadable;

/// Which of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Address {
    Inet4,
    Inet6,
    Uuid,
}

impl Address {
    pub(super) fn named(type_name: &str) -> Option<Self> {
        [("inet4", Self::Inet4), ("inet6", Self::Inet6), ("uuid", Self::Uuid)]
            .into_iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(type_name))
            .map(|(_, address)| address)
    }

    /// Like every BINARY it comes without the zeros at its end.
    pub(super) fn push(
        self,
        raw: &[u8],
        scratch: &mut String,
        out: &mut BatchBuilder,
    ) -> Result<(), Unreadable> {
        scratch.clear();
        match self {
            Self::Inet4 => {
                let address = Ipv4Addr::from(padded("inet4", raw)?);
                write!(scratch, "{address}").expect("a string takes everything");
            }
            Self::Inet6 => print_inet6(padded("inet6", raw)?, scratch),
            Self::Uuid => print_uuid(padded("uuid", raw)?, scratch),
        }
        out.push_text(TextKind::Text, scratch);
        Ok(())
    }
}

fn padded<const N: usize>(type_name: &'static str, raw: &[u8]) -> Result<[u8; N], Unreadable> {
    let mut whole = [0; N];
    let start = whole
        .get_mut(..raw.len())
        .ok_or(Unreadable::Malformed { type_name, what: "there are too many" })?;
    start.copy_from_slice(raw);
    Ok(whole)
}

fn print_uuid(bytes: [u8; 16], out: &mut String) {
    for (nth, byte) in bytes.into_iter().enumerate() {
        if matches!(nth, 4 | 6 | 8 | 10) {
            out.push('-');
        }
        write!(out, "{byte:02x}").expect("a string takes everything");
    }
}

/// The server's form: the first of the longest runs of zeros is left out even when it is one word
/// long, and an IPv4 address stays one at the end of `::` and `::ffff:`.
fn print_inet6(bytes: [u8; 16], out: &mut String) {
    let words: [u16; 8] =
        std::array::from_fn(|nth| u16::from_be_bytes([bytes[2 * nth], bytes[2 * nth + 1]]));
    let run = |start: usize| words[start..].iter().take_while(|word| **word == 0).count();
    let mut gap = 0..0;
    for start in 0..words.len() {
        if run(start) > gap.len() {
            gap = start..start + run(start);
        }
    }
    let ipv4 = gap.start == 0 && (gap.len() == 6 || gap.len() == 5 && words[5] == 0xffff);
    let mut nth = 0;
    while nth < words.len() {
        if !gap.is_empty() && nth == gap.start {
            out.push_str(if nth == 0 { "::" } else { ":" });
            nth = gap.end;
            continue;
        }
        if nth == 6 && ipv4 {
            let address = Ipv4Addr::new(bytes[12], bytes[13], bytes[14], bytes[15]);
            write!(out, "{address}").expect("a string takes everything");
            return;
        }
        write!(out, "{:x}", words[nth]).expect("a string takes everything");
        nth += 1;
        if nth < words.len() {
            out.push(':');
        }
    }
}
