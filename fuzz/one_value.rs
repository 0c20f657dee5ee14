//! One value of a type, decoded on its own.

use connector_api::{
    BatchBuilder, BeginText, Column, Op, Position, SourceEvent, TableName, TableSchema, Value,
};
use connector_mysql::value::{ColumnType, Cursor, Definition, Scratch};

/// Reads `bytes` as a value of a type, if they are one. Whatever comes of it, the value is as long
/// as it is to who steps over it.
pub fn read(code: u8, metadata: u16, type_name: &str, bytes: &[u8], check: impl FnOnce(Value<'_>)) {
    let definition =
        Definition { code, metadata, unsigned: false, charset: None, labels: None, type_name };
    let Ok(column) = ColumnType::new(&definition) else { return };
    let mut out = BatchBuilder::new(&Position::new("start"));
    let name = TableName::new("shop", "stock");
    let only = Column { name: "v".into(), type_name: type_name.into(), identity: false };
    let schema = TableSchema { name, columns: vec![only] }.into();
    out.begin(BeginText { coordinate: 1, committed_at_us: 0, txid: "1", position: "1" });
    let table = out.table(&schema);
    let image = out.image();
    let (mut decoded, mut stepped) = (Cursor::new(bytes), Cursor::new(bytes));
    let done = column.decode(&mut decoded, &mut Scratch::default(), &mut out);
    let is_there = column.skip(&mut stepped).is_ok();
    if is_there {
        assert_eq!(decoded.rest().len(), stepped.rest().len());
    }
    if done.is_err() {
        return;
    }
    assert!(is_there);
    out.row(table, Op::Insert, None, Some(image));
    out.commit("2");
    let batch = out.take();
    for event in batch.events() {
        if let SourceEvent::Row(row) = event {
            return check(batch.after(row).expect("it was given").get(0));
        }
    }
    panic!("the row was lost");
}
