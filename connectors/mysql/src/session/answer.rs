use connector_api::Result;

use super::channel::Channel;
use super::column::ResultColumn;
use super::fault::ServerMessage;
use super::length;

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

/// The rows of an answer, as text.
#[derive(Debug, Default)]
pub(crate) struct Table {
    columns: Vec<ResultColumn>,
    pub(crate) rows: Vec<Row>,
}

/// The values of a row, as text; `None` for NULL.
pub(crate) type Row = Vec<Option<String>>;

impl Table {
    /// Where the column of this name stands, in either case.
    pub(crate) fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name.eq_ignore_ascii_case(name))
    }

    /// The first row; nothing when there is none.
    pub(crate) fn first(self) -> Row {
        self.rows.into_iter().next().unwrap_or_default()
    }
}

/// The answer to a question, or what the server said instead.
pub(crate) type Answer<T> = std::result::Result<T, ServerMessage>;

/// What an answer begins with: its columns. There are none where it has no rows.
pub(super) async fn columns(channel: &mut Channel) -> Result<Answer<Vec<ResultColumn>>> {
    let head = channel.packet().await?;
    let count = match head.split_first() {
        Some((&DONE, _)) => return Ok(Ok(Vec::new())),
        Some((&FAILED, body)) => return Ok(Err(ServerMessage::read(body))),
        None | Some((&FILE, _)) => return Err(channel.nonsense("no answer to a question")),
        Some(_) => length::number(&head).map(|(count, _)| count),
    };
    let count = count.filter(|count| (1..=MOST_COLUMNS).contains(count));
    let Some(count) = count else { return Err(channel.nonsense("a table without a shape")) };
    described(channel, count).await.map(Ok)
}

/// So many columns, and what ends them.
pub(super) async fn described(channel: &mut Channel, count: u64) -> Result<Vec<ResultColumn>> {
    let mut columns = Vec::new();
    for _ in 0..count {
        let column = ResultColumn::read(&channel.packet().await?);
        columns.push(column.ok_or_else(|| channel.nonsense("a column without a shape"))?);
    }
    if !is_end(&channel.packet().await?) {
        return Err(channel.nonsense("more columns than it has"));
    }
    Ok(columns)
}

/// Reads the answer to a query in the text protocol.
pub(super) async fn read(channel: &mut Channel) -> Result<Answer<Table>> {
    let columns = match columns(channel).await? {
        Ok(columns) if columns.is_empty() => return Ok(Ok(Table::default())),
        Ok(columns) => columns,
        Err(told) => return Ok(Err(told)),
    };
    let (mut rows, mut bytes) = (Vec::new(), 0_usize);
    loop {
        let packet = channel.packet().await?;
        if is_end(&packet) {
            return Ok(Ok(Table { columns, rows }));
        }
        if let Some((&FAILED, body)) = packet.split_first() {
            return Ok(Err(ServerMessage::read(body)));
        }
        bytes += packet.len();
        if bytes > LARGEST_ANSWER {
            return Err(channel.nonsense("an answer that is too long"));
        }
        let row = row(&packet, columns.len());
        rows.push(row.ok_or_else(|| channel.nonsense("a row without a shape"))?);
    }
}

fn is_end(packet: &[u8]) -> bool {
    packet.first() == Some(&END) && packet.len() <= LONGEST_END
}

fn row(mut packet: &[u8], columns: usize) -> Option<Row> {
    let mut values = Vec::with_capacity(columns);
    for _ in 0..columns {
        if let Some((&NULL, rest)) = packet.split_first() {
            values.push(None);
            packet = rest;
            continue;
        }
        let (text, rest) = length::prefixed(packet)?;
        values.push(Some(String::from_utf8_lossy(text).into_owned()));
        packet = rest;
    }
    packet.is_empty().then_some(values)
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
