use super::tail::{Seen, Tail};
use super::{Backend, capture, insert, items};
use crate::{Columns, Op, Severity};

fn has(image: Option<&String>, wanted: &str) -> bool {
    image.is_some_and(|image| image.split(' ').any(|value| value == wanted))
}

pub(super) async fn inserts_updates_and_deletes_arrive_in_the_order_they_happened(
    backend: &dyn Backend,
) {
    let mut tail = Tail::from_now_on(&*backend.connector(), items(backend)).await;
    backend
        .transaction(&[
            "INSERT INTO item VALUES (1, 5, 'a')",
            "UPDATE item SET qty = 6 WHERE id = 1",
            "INSERT INTO item VALUES (2, 1, 'b')",
            "DELETE FROM item WHERE id = 1",
        ])
        .await;
    let seen = tail.transaction().await;
    let wanted: [(Op, Option<&str>); 4] = [
        (Op::Insert, Some("id=1 qty=5 note='a'")),
        (Op::Update, Some("id=1 qty=6 note='a'")),
        (Op::Insert, Some("id=2 qty=1 note='b'")),
        (Op::Delete, None),
    ];
    assert_eq!(seen.len(), wanted.len(), "{seen:?}");
    for (place, (seen, (wanted_op, wanted_after))) in (0..).zip(seen.iter().zip(wanted)) {
        let Seen::Row { table, op, ordinal, before, after } = seen else { panic!("{seen:?}") };
        assert_eq!((table.as_str(), *op, *ordinal), ("item", wanted_op, place));
        assert_eq!(after.as_deref(), wanted_after);
        assert!(*op != Op::Insert || before.is_none(), "an insert has nothing before it");
        assert!(*op != Op::Delete || has(before.as_ref(), "id=1"), "{before:?}");
    }
    tail.close().await;
}

pub(super) async fn a_key_change_shows_the_old_key_and_the_new(backend: &dyn Backend) {
    backend.transaction(&["INSERT INTO item VALUES (1, 5, 'a')"]).await;
    let mut tail = Tail::from_now_on(&*backend.connector(), items(backend)).await;
    backend.transaction(&["UPDATE item SET id = 2 WHERE id = 1"]).await;
    let (op, before, after) = tail.one_row().await;
    assert_eq!(op, Op::Update);
    assert!(has(before.as_ref(), "id=1"), "{before:?}");
    assert_eq!(after.as_deref(), Some("id=2 qty=5 note='a'"));
    tail.close().await;
}

pub(super) async fn null_is_null_and_what_is_not_known_is_absent(backend: &dyn Backend) {
    backend.transaction(&["INSERT INTO item VALUES (1, 5, 'a')"]).await;
    let mut tail = Tail::from_now_on(&*backend.connector(), items(backend)).await;
    backend.transaction(&["INSERT INTO item (id) VALUES (2)"]).await;
    assert_eq!(tail.one_row().await.2.as_deref(), Some("id=2 qty=null note=null"));
    backend.transaction(&["DELETE FROM item WHERE id = 1"]).await;
    let (_, before, _) = tail.one_row().await;
    let known = has(before.as_ref(), "qty=5") || has(before.as_ref(), "qty=absent");
    assert!(known, "the value was 5, not what {before:?} says");
    tail.close().await;
}

pub(super) async fn what_was_rolled_back_is_never_seen(backend: &dyn Backend) {
    let mut tail = Tail::from_now_on(&*backend.connector(), items(backend)).await;
    backend.rolled_back(&["INSERT INTO item VALUES (1, 1, 'gone')"]).await;
    backend
        .transaction(&[
            "INSERT INTO item VALUES (2, 2, 'b')",
            "SAVEPOINT s",
            "INSERT INTO item VALUES (3, 3, 'gone')",
            "ROLLBACK TO SAVEPOINT s",
            "INSERT INTO item VALUES (4, 4, 'd')",
        ])
        .await;
    let seen = tail.transaction().await;
    let rows: Vec<(u32, Option<&str>)> = seen
        .iter()
        .map(|seen| match seen {
            Seen::Row { ordinal, after, .. } => (*ordinal, after.as_deref()),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(rows, [(0, Some("id=2 qty=2 note='b'")), (1, Some("id=4 qty=4 note='d'"))]);
    tail.close().await;
}

pub(super) async fn a_changed_table_says_so_before_its_next_row(backend: &dyn Backend) {
    let mut tail = Tail::from_now_on(&*backend.connector(), items(backend)).await;
    backend.transaction(&["INSERT INTO item VALUES (1, 1, 'a')"]).await;
    assert_eq!(tail.one_row().await.2.as_deref(), Some("id=1 qty=1 note='a'"));
    backend.transaction(&["ALTER TABLE item ADD extra INT"]).await;
    backend.transaction(&["INSERT INTO item VALUES (2, 2, 'b', 9)"]).await;
    let columns = ["id", "qty", "note", "extra"].map(str::to_owned).to_vec();
    // Inside the row's transaction or outside of any; and so for what rows that are there hold in
    // the new column.
    let (before, row) = until_a_row(&mut tail).await;
    assert!(before.contains(&Seen::Shape(columns)), "{before:?}");
    assert!(before.contains(&Seen::Unreadable { table: "item".to_owned() }), "{before:?}");
    assert_eq!(row.as_deref(), Some("id=2 qty=2 note='b' extra=9"));
    tail.close().await;
}

/// What is told before the next row, and that row.
async fn until_a_row(tail: &mut Tail) -> (Vec<Seen>, Option<String>) {
    let mut before = Vec::new();
    loop {
        match tail.next().await {
            Seen::Row { after, .. } => return (before, after),
            seen => before.push(seen),
        }
    }
}

pub(super) async fn a_table_that_changed_before_its_first_row_says_so_before_that(
    backend: &dyn Backend,
) {
    backend.transaction(&["INSERT INTO item VALUES (1, 1, 'a')"]).await;
    let mut tail = Tail::from_now_on(&*backend.connector(), items(backend)).await;
    backend.transaction(&["ALTER TABLE item DROP COLUMN qty"]).await;
    backend.transaction(&["ALTER TABLE item ADD COLUMN qty INT DEFAULT 7"]).await;
    backend.transaction(&["INSERT INTO item VALUES (2, 'b', 9)"]).await;
    let (before, row) = until_a_row(&mut tail).await;
    assert!(before.contains(&Seen::Unreadable { table: "item".to_owned() }), "{before:?}");
    assert_eq!(row.as_deref(), Some("id=2 note='b' qty=9"));
    tail.close().await;
}

pub(super) async fn a_table_that_was_made_again_is_cleared_though_no_row_of_the_old_one_came(
    backend: &dyn Backend,
) {
    backend.transaction(&["INSERT INTO item VALUES (1, 1, 'a')"]).await;
    let mut tail = Tail::from_now_on(&*backend.connector(), items(backend)).await;
    for id in 2..5 {
        backend.transaction(&["DROP TABLE item"]).await;
        let made = "CREATE TABLE item (id INT PRIMARY KEY, qty INT, note VARCHAR(200))";
        backend.transaction(&[made]).await;
        backend.transaction(&[&insert(id, id + 1)]).await;
        let (before, row) = until_a_row(&mut tail).await;
        let cleared = |seen: &Seen| matches!(seen, Seen::Cleared { table, .. } if table == "item");
        assert!(before.iter().any(cleared), "{before:?}");
        assert_eq!(row, Some(format!("id={id} qty={id} note='n{id}'")));
        assert_eq!(tail.next().await, Seen::Commit);
        // Also by who has read no row of it in this connection.
        let point = tail.point.clone();
        tail.close().await;
        backend.released().await;
        tail = Tail::open(&*backend.connector(), point).await;
    }
    tail.close().await;
}

pub(super) async fn a_truncated_table_is_cleared_in_its_place(backend: &dyn Backend) {
    let mut tail = Tail::from_now_on(&*backend.connector(), items(backend)).await;
    backend.transaction(&["INSERT INTO item VALUES (1, 1, 'a')"]).await;
    backend.transaction(&["TRUNCATE TABLE item"]).await;
    backend.transaction(&["INSERT INTO item VALUES (1, 2, 'b')"]).await;
    assert_eq!(tail.one_row().await.2.as_deref(), Some("id=1 qty=1 note='a'"));
    let cleared = Seen::Cleared { table: "item".to_owned(), ordinal: 0 };
    assert_eq!(tail.transaction().await, [cleared]);
    assert_eq!(tail.one_row().await.2.as_deref(), Some("id=1 qty=2 note='b'"));
    tail.close().await;
}

pub(super) async fn only_captured_tables_and_columns_arrive(backend: &dyn Backend) {
    let wanted = Columns::Only(vec!["note".to_owned(), "id".to_owned()]);
    let capture = capture(backend, "item", wanted);
    let mut tail = Tail::from_now_on(&*backend.connector(), capture).await;
    backend
        .transaction(&[
            "INSERT INTO other VALUES (1, 1)",
            "INSERT INTO item VALUES (1, 5, 'a')",
            "UPDATE other SET qty = 2",
            "DELETE FROM item",
        ])
        .await;
    let seen = tail.transaction().await;
    let [Seen::Row { ordinal: 0, after, .. }, Seen::Row { ordinal: 1, before, .. }] = &seen[..]
    else {
        panic!("{seen:?}");
    };
    assert_eq!(after.as_deref(), Some("id=1 note='a'"), "in the table's own order");
    assert!(!before.as_ref().is_some_and(|image| image.contains("qty")), "{before:?}");
    tail.close().await;
}

pub(super) async fn a_survey_describes_the_captured_tables(backend: &dyn Backend) {
    let survey = backend.connector().survey(&items(backend), None).await.expect("a survey");
    let blockers = survey.findings.iter().filter(|found| found.severity == Severity::Blocker);
    assert_eq!(blockers.count(), 0, "{:?}", survey.findings);
    let [table] = &survey.tables[..] else { panic!("{:?}", survey.tables) };
    assert_eq!(
        (table.name.table.as_str(), &table.primary_key[..]),
        ("item", &["id".to_owned()][..])
    );
    let names: Vec<&str> = table.columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(names, ["id", "qty", "note"]);
    assert!(table.columns.iter().all(|column| column.logged));
}
