//! Any changes come out as they went in, read from the start or from any place in between.

use proptest::prelude::*;

use super::*;

/// One change: the number of its row, and its note.
#[derive(Debug, Clone)]
enum Change {
    Insert(i32, Option<String>),
    Update(i32, Option<String>),
    /// With the note unchanged out of line; the old row whole, or not there.
    Unchanged(i32, Option<String>),
    Moved(i32, i32),
    Delete(i32),
    DeleteWhole(i32, Option<String>),
    Truncate,
}

fn change() -> impl Strategy<Value = Change> {
    let note = || prop::option::of(".{0,12}");
    prop_oneof![
        (any::<i32>(), note()).prop_map(|(id, note)| Change::Insert(id, note)),
        (any::<i32>(), note()).prop_map(|(id, note)| Change::Update(id, note)),
        (any::<i32>(), note()).prop_map(|(id, note)| Change::Unchanged(id, note)),
        (any::<i32>(), any::<i32>()).prop_map(|(old, new)| Change::Moved(old, new)),
        any::<i32>().prop_map(Change::Delete),
        (any::<i32>(), note()).prop_map(|(id, note)| Change::DeleteWhole(id, note)),
        Just(Change::Truncate),
    ]
}

fn wire(id: i32, note: Option<&String>) -> [Wire; 2] {
    [text(&id.to_string()), note.map_or(Wire::Null, |note| text(note))]
}

fn encoded(change: &Change) -> Vec<u8> {
    match change {
        Change::Insert(id, note) => insert(STOCK, &wire(*id, note.as_ref())),
        Change::Update(id, note) => update(STOCK, None, &wire(*id, note.as_ref())),
        Change::Unchanged(id, note) => {
            let old = wire(*id, note.as_ref());
            let old = note.is_some().then_some((Old::Whole, &old[..]));
            update(STOCK, old, &[text(&id.to_string()), Wire::Unchanged])
        }
        Change::Moved(old, new) => {
            update(STOCK, Some((Old::Key, &wire(*old, None))), &wire(*new, None))
        }
        Change::Delete(id) => delete(STOCK, Old::Key, &wire(*id, None)),
        Change::DeleteWhole(id, note) => delete(STOCK, Old::Whole, &wire(*id, note.as_ref())),
        Change::Truncate => truncate(&[STOCK], 0),
    }
}

/// What a consumer sees of a change at a place in its transaction.
fn wanted(ordinal: usize, change: &Change) -> String {
    let row = |id: &i32, note: Value<'_>| format!("{:?}", [Value::Int(i64::from(*id)), note]);
    let known = |id: &i32, note: &Option<String>| {
        row(id, note.as_ref().map_or(Value::Null, |note| Value::Text(note)))
    };
    let none = || "-".to_owned();
    let (op, before, after) = match change {
        Change::Insert(id, note) => ("insert", none(), known(id, note)),
        Change::Update(id, note) => ("update", none(), known(id, note)),
        Change::Unchanged(id, None) => ("update", none(), row(id, Value::Absent)),
        Change::Unchanged(id, note) => ("update", known(id, note), known(id, note)),
        Change::Moved(old, new) => ("update", row(old, Value::Absent), row(new, Value::Null)),
        Change::Delete(id) => ("delete", row(id, Value::Absent), none()),
        Change::DeleteWhole(id, note) => ("delete", known(id, note), none()),
        Change::Truncate => return format!("{ordinal} Truncate public.stock"),
    };
    format!("{ordinal} {op} public.stock {before} -> {after}")
}

proptest! {
    #[test]
    fn rows_come_out_as_they_went_in_from_any_place_on(
        changes in prop::collection::vec(change(), 1..30), at in any::<prop::sample::Index>(),
    ) {
        let captured = capture(&[whole("stock")]);
        let mut all = vec![relation(STOCK, "stock", &[(true, "id", INT), (false, "note", TEXT)])];
        all.extend(changes.iter().map(encoded));
        let done = at.index(changes.len() + 1);
        let rows = u32::try_from(done).unwrap();
        let from = point((rows > 0).then_some(("7", rows)), &captured);
        let mut stream = Stream::resumed(&from, &captured);
        stream.feed(&transaction(7, all));
        let mut found = lines(&stream.batches());
        found.retain(|line| line.starts_with(|c: char| c.is_ascii_digit()));
        let wanted: Vec<String> =
            changes.iter().enumerate().skip(done).map(|(at, change)| wanted(at, change)).collect();
        prop_assert_eq!(found, wanted);
    }
}
