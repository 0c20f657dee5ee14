use connector_api::Result;

use super::channel::Channel;
use super::fault::ServerMessage;

/// What an answer may take, bytes: what is asked for here takes a few lines.
const LARGEST_ANSWER: usize = 16 << 20;
const MOST_COLUMNS: u64 = 4096;

const DONE: u8 = 0x00;
const FILE: u8 = 0xfb;
const END: u8 = 0xfe;
const FAILED: u8 = 0xff;
/// What begins with [`END`] and is longer is a row.
const LONGEST_END: usize = 8;
/// The length of a value that is NULL.
const NULL: u8 = 0xfb;

/// The answer to a query: its rows, or what the server said instead.
pub(super) type Answer = std::result::Result<Vec<Vec<Option<String>>>, ServerMessage>;

/// Reads the answer to a query in the text protocol.
pub(super) async fn read(channel: &mut Channel) -> Result<Answer> {
    let head = channel.packet().await?;
    let columns = match head.split_first() {
        Some((&DONE, _)) => return Ok(Ok(Vec::new())),
        Some((&FAILED, body)) => return Ok(Err(ServerMessage::read(body))),
        None | Some((&FILE, _)) => return Err(channel.nonsense("no answer to a question")),
        Some(_) => number(&head).map(|(columns, _)| columns),
    };
    let columns = columns.filter(|columns| (1..=MOST_COLUMNS).contains(columns));
    let Some(columns) = columns else { return Err(channel.nonsense("a table without a shape")) };
    for _ in 0..columns {
        channel.packet().await?;
    }
    if !is_end(&channel.packet().await?) {
        return Err(channel.nonsense("more columns than it has"));
    }
    let (mut rows, mut bytes) = (Vec::new(), 0_usize);
    loop {
        let packet = channel.packet().await?;
        if is_end(&packet) {
            return Ok(Ok(rows));
        }
        if let Some((&FAILED, body)) = packet.split_first() {
            return Ok(Err(ServerMessage::read(body)));
        }
        bytes += packet.len();
        if bytes > LARGEST_ANSWER {
            return Err(channel.nonsense("an answer that is too long"));
        }
        let columns = usize::try_from(columns).unwrap_or_default();
        let row = row(&packet, columns).ok_or_else(|| channel.nonsense("a row without a shape"))?;
        rows.push(row);
    }
}

fn is_end(packet: &[u8]) -> bool {
    packet.first() == Some(&END) && packet.len() <= LONGEST_END
}

fn row(mut packet: &[u8], columns: usize) -> Option<Vec<Option<String>>> {
    let mut values = Vec::with_capacity(columns);
    for _ in 0..columns {
        if let Some((&NULL, rest)) = packet.split_first() {
            values.push(None);
            packet = rest;
            continue;
        }
        let (len, rest) = number(packet)?;
        let (text, rest) = rest.split_at_checked(usize::try_from(len).ok()?)?;
        values.push(Some(String::from_utf8_lossy(text).into_owned()));
        packet = rest;
    }
    packet.is_empty().then_some(values)
}

/// A number that says its own length, and what is behind it.
fn number(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (&first, rest) = bytes.split_first()?;
    let len = match first {
        0xfc => 2,
        0xfd => 3,
        0xfe => 8,
        0xfb | 0xff => return None,
        small => return Some((u64::from(small), rest)),
    };
    let (digits, rest) = rest.split_at_checked(len)?;
    let mut wide = [0; 8];
    wide[..len].copy_from_slice(digits);
    Some((u64::from_le_bytes(wide), rest))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_row_is_a_run_of_texts() {
        let bytes = b"\x03abc\xfb\x00\xfc\x02\x00de";
        let wanted = [Some("abc"), None, Some(""), Some("de")].map(|text| text.map(str::to_owned));
        assert_eq!(row(bytes, 4).unwrap(), wanted);
        assert_eq!(row(bytes, 3), None);
        assert_eq!(row(bytes, 5), None);
        assert_eq!(row(b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff", 1), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_row_or_none(
            bytes in prop::collection::vec(any::<u8>(), 0..60), columns in 0usize..6,
        ) {
            let _ = row(&bytes, columns);
        }
    }
}
