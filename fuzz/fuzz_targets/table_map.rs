//! Any shape of a table is read or refused, and a value of any column of it takes what its type
//! says and no more. Input: the family, the length of the shape in two bytes, the shape, values.
#![no_main]

use connector_mysql::log::{Event, Flavor, Frame, HEADER_BYTES, Header, Kind};
use connector_mysql::value::{Charset, ColumnType, Cursor, Definition};
use libfuzzer_sys::fuzz_target;

/// The columns a server can give a table.
const COLUMNS_MAX: usize = 4096;

fuzz_target!(|data: &[u8]| {
    let Some(([family, low, high], rest)) = data.split_first_chunk::<3>() else { return };
    let flavor = if family % 2 == 0 { Flavor::MySql } else { Flavor::MariaDb };
    let len = usize::from(u16::from_le_bytes([*low, *high])).min(rest.len());
    let (body, values) = rest.split_at(len);
    let mut header = [0; HEADER_BYTES];
    header[4] = Kind::TABLE_MAP.0;
    header[9..13].copy_from_slice(&((HEADER_BYTES + body.len()) as u32).to_le_bytes());
    let header = Header::read(&header).expect("it is whole");
    let Ok(Event::TableMap(map)) = (Frame { header, body, flavor }).event() else { return };
    let Ok(mut columns) = map.columns() else { return };
    assert!(columns.len() == map.types.len() && columns.len() <= COLUMNS_MAX);
    let bare = columns.clone();
    if map.describe(&mut columns).is_err() {
        return;
    }
    let mut cursor = Cursor::new(values);
    for (column, bare) in columns.iter().zip(&bare) {
        assert_eq!((column.kind, column.meta), (bare.kind, bare.meta));
        let labels: Option<Vec<Vec<u8>>> =
            column.labels.as_ref().map(|labels| labels.iter().map(|it| it.to_vec()).collect());
        let definition = Definition {
            code: column.kind,
            metadata: column.meta,
            unsigned: column.is_unsigned.unwrap_or(false),
            charset: column.collation.and_then(|number| charset(number, flavor)),
            labels: labels.as_deref(),
            type_name: "",
        };
        let Ok(column) = ColumnType::new(&definition) else { continue };
        let before = cursor.rest().len();
        let _ = column.skip(&mut cursor);
        assert!(cursor.rest().len() <= before);
    }
});

fn charset(number: u32, flavor: Flavor) -> Option<Charset> {
    let number = u16::try_from(number).ok()?;
    Some(match flavor {
        Flavor::MySql => Charset::of_mysql(number),
        Flavor::MariaDb => Charset::of_mariadb(number),
    })
}
