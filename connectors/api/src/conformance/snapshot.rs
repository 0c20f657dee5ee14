use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::tail::{SOON, Seen, Tail, image};
use super::{Backend, insert, items};
use crate::{
    Chunk, ChunkRequest, Comparison, Condition, Cursor, Literal, Op, Position, SnapshotReader,
    SourceEvent, TableName,
};

/// Time between two questions how far a stream has come.
const A_MOMENT: Duration = Duration::from_millis(20);

/// The columns of `item`.
const ALL: [&str; 3] = ["id", "qty", "note"];

/// Reads `item` as one seller's snapshot does.
struct Shelf {
    reader: Box<dyn SnapshotReader>,
    table: TableName,
    columns: Vec<String>,
    filter: Option<Condition>,
}

impl Shelf {
    async fn open(backend: &dyn Backend, columns: &[&str]) -> Self {
        let reader = backend.connector().snapshot_reader().await.expect("a reader");
        let table = TableName::new(backend.schema(), "item");
        let columns = columns.iter().map(|&name| name.to_owned()).collect();
        Self { reader, table, columns, filter: None }
    }

    async fn settle(&mut self, position: &Position) {
        let settled = tokio::time::timeout(SOON, self.reader.settle(position)).await;
        settled.expect("settles in time").expect("settles");
    }

    async fn chunk(&mut self, after: Option<&Cursor>, rows: u32) -> Chunk {
        let request = ChunkRequest {
            table: &self.table,
            columns: &self.columns,
            filter: self.filter.as_ref(),
            after,
            rows,
        };
        let read = tokio::time::timeout(SOON, self.reader.chunk(&request)).await;
        read.expect("a chunk in time").expect("a chunk")
    }

    /// The rows of all chunks from the first to the last, as they came.
    async fn whole(&mut self, rows: u32) -> Vec<String> {
        let mut all = Vec::new();
        let mut after = None;
        loop {
            let chunk = self.chunk(after.as_ref(), rows).await;
            let came = lines(&chunk);
            assert!(came.len() <= rows as usize, "{} rows, not {rows} at most", came.len());
            all.extend(came);
            after = chunk.next;
            if after.is_none() {
                return all;
            }
        }
    }
}

/// The rows of a chunk, which is one transaction of inserts in one piece.
fn lines(chunk: &Chunk) -> Vec<String> {
    let batch = &chunk.rows;
    assert!(batch.partial().is_none(), "a chunk is not cut");
    let last = batch.events().len().saturating_sub(1);
    let mut lines = Vec::new();
    for (place, event) in batch.events().iter().enumerate() {
        match event {
            SourceEvent::Begin(_) => assert_eq!(place, 0),
            SourceEvent::Commit => assert_eq!(place, last),
            SourceEvent::Row(row) => {
                let ordinal = u32::try_from(lines.len()).expect("few rows");
                assert_eq!((row.op, row.ordinal), (Op::Insert, ordinal));
                assert!(batch.before(row).is_none(), "an insert has nothing before it");
                let after = batch.after(row).expect("an insert has a row");
                lines.push(image(batch.table(row.table), after));
            }
            other => panic!("{other:?} in a chunk"),
        }
    }
    lines
}

/// The rows of a stream's next transaction.
async fn streamed(tail: &mut Tail) -> Vec<String> {
    let row = |seen| match seen {
        Seen::Row { after: Some(after), .. } => after,
        other => panic!("{other:?}"),
    };
    tail.transaction().await.into_iter().map(row).collect()
}

fn sorted(mut lines: Vec<String>) -> Vec<String> {
    lines.sort();
    lines
}

async fn item_anew(backend: &dyn Backend, columns: &str) {
    backend.released().await;
    backend.forget().await;
    backend.transaction(&["DROP TABLE item"]).await;
    backend.transaction(&[&format!("CREATE TABLE item ({columns})")]).await;
}

pub(super) async fn chunks_give_every_row_once_whatever_its_key_and_as_the_stream_gives_it(
    backend: &dyn Backend,
) {
    for (key, values) in backend.keys() {
        let columns = format!("id {key} NOT NULL PRIMARY KEY, qty INT, note VARCHAR(200)");
        item_anew(backend, &columns).await;
        let mut tail = Tail::from_now_on(&*backend.connector(), items(backend)).await;
        let row = |(place, value): (usize, &&str)| match place % 3 {
            0 => format!("({value}, NULL, 'n{place}')"),
            _ => format!("({value}, {place}, NULL)"),
        };
        let rows: Vec<String> = values.iter().enumerate().map(row).collect();
        backend.transaction(&[&format!("INSERT INTO item VALUES {}", rows.join(","))]).await;
        let wanted = sorted(streamed(&mut tail).await);
        assert_eq!(wanted.len(), values.len());
        let mut shelf = Shelf::open(backend, &ALL).await;
        shelf.settle(&tail.point.position).await;
        for rows in [1, 2, 1000] {
            assert_eq!(sorted(shelf.whole(rows).await), wanted, "{key}, {rows} at a time");
        }
        tail.close().await;
    }
}

pub(super) async fn chunks_of_a_key_of_several_columns_give_every_row_once(backend: &dyn Backend) {
    let columns = "id INT NOT NULL, qty INT NOT NULL, note VARCHAR(50) NOT NULL, extra INT, \
                   PRIMARY KEY (qty, note, id)";
    item_anew(backend, columns).await;
    let mut tail = Tail::from_now_on(&*backend.connector(), items(backend)).await;
    let mut rows = Vec::new();
    for place in 0..60 {
        let (qty, note) = (place % 3 - 1, ["", "a", "b''c", "é"][place as usize / 3 % 4]);
        rows.push(format!("({place}, {qty}, '{note}', {place})"));
    }
    backend.transaction(&[&format!("INSERT INTO item VALUES {}", rows.join(","))]).await;
    let wanted = sorted(streamed(&mut tail).await);
    let mut shelf = Shelf::open(backend, &["id", "qty", "note", "extra"]).await;
    shelf.settle(&tail.point.position).await;
    for rows in [1, 7, 60, 61] {
        assert_eq!(sorted(shelf.whole(rows).await), wanted, "{rows} at a time");
    }
    tail.close().await;
}

pub(super) async fn a_table_without_a_key_is_read_at_once(backend: &dyn Backend) {
    item_anew(backend, "id INT, qty INT, note VARCHAR(200)").await;
    let mut tail = Tail::from_now_on(&*backend.connector(), items(backend)).await;
    backend.transaction(&["INSERT INTO item VALUES (1,1,'a'),(1,1,'a'),(NULL,NULL,NULL)"]).await;
    let wanted = sorted(streamed(&mut tail).await);
    let mut shelf = Shelf::open(backend, &ALL).await;
    shelf.settle(&tail.point.position).await;
    let chunk = shelf.chunk(None, 2).await;
    assert_eq!((sorted(lines(&chunk)), chunk.next), (wanted, None));
    tail.close().await;
}

pub(super) async fn an_empty_table_is_one_chunk_without_rows(backend: &dyn Backend) {
    let mut shelf = Shelf::open(backend, &ALL).await;
    let chunk = shelf.chunk(None, 10).await;
    assert_eq!((lines(&chunk), chunk.next), (Vec::new(), None));
}

pub(super) async fn a_chunk_holds_the_wanted_columns_alone(backend: &dyn Backend) {
    backend.transaction(&[&insert(0, 5)]).await;
    let wanted: Vec<String> = (0..5).map(|id| format!("qty={id} note='n{id}'")).collect();
    // In the table's own order, and the key is not among them.
    let mut shelf = Shelf::open(backend, &["note", "qty"]).await;
    assert_eq!(shelf.whole(2).await, wanted);
}

pub(super) async fn a_cursor_outlives_its_row(backend: &dyn Backend) {
    backend.transaction(&[&insert(0, 9)]).await;
    let mut shelf = Shelf::open(backend, &ALL).await;
    let first = shelf.chunk(None, 3).await;
    assert_eq!(lines(&first).len(), 3);
    backend.transaction(&["DELETE FROM item WHERE id IN (1, 2, 3)"]).await;
    // As a process does that comes back later.
    let text = first.next.expect("more rows").as_str().to_owned();
    let mut shelf = Shelf::open(backend, &ALL).await;
    let second = shelf.chunk(Some(&Cursor::new(text)), 3).await;
    let wanted: Vec<String> = (4..7).map(|id| format!("id={id} qty={id} note='n{id}'")).collect();
    assert_eq!(lines(&second), wanted);
    backend.transaction(&["DELETE FROM item"]).await;
    let last = shelf.chunk(second.next.as_ref(), 3).await;
    assert_eq!((lines(&last), last.next), (Vec::new(), None));
}

pub(super) async fn what_was_streamed_before_settling_is_seen(backend: &dyn Backend) {
    let mut tail = Tail::from_now_on(&*backend.connector(), items(backend)).await;
    let mut shelf = Shelf::open(backend, &ALL).await;
    let mut rows = Vec::new();
    for id in 0..20 {
        backend.transaction(&[&insert(id, id + 1)]).await;
        rows.extend(streamed(&mut tail).await);
        shelf.settle(&tail.point.position).await;
        let chunk = shelf.chunk(None, 1000).await;
        assert_eq!(lines(&chunk), rows);
        for (coordinate, txid) in tail.coordinates.iter().zip(&tail.txids) {
            let sees = chunk.fence.sight.sees(*coordinate, txid);
            assert!(sees, "transaction {txid} in {:?}", chunk.fence);
        }
    }
    tail.close().await;
}

pub(super) async fn a_transaction_that_is_open_is_not_seen_and_the_fence_says_so(
    backend: &dyn Backend,
) {
    let connector = backend.connector();
    let mut tail = Tail::from_now_on(&*connector, items(backend)).await;
    let mut shelf = Shelf::open(backend, &ALL).await;
    backend.transaction(&[&insert(1, 2)]).await;
    streamed(&mut tail).await;
    let change = "UPDATE item SET qty = 5 WHERE id = 1";
    let open = backend.left_open(&[&insert(2, 3), change]).await;
    // Later, and over earlier.
    backend.transaction(&[&insert(3, 4)]).await;
    streamed(&mut tail).await;
    let before = shelf.chunk(None, 1000).await;
    assert_eq!(lines(&before), ["id=1 qty=1 note='n1'", "id=3 qty=3 note='n3'"]);
    open.commit().await;
    streamed(&mut tail).await;
    let sees = |chunk: &Chunk, place: usize| {
        chunk.fence.sight.sees(tail.coordinates[place], &tail.txids[place])
    };
    assert!(!sees(&before, 2), "{:?} in {:?}", tail.txids, before.fence);
    shelf.settle(&tail.point.position).await;
    let after = shelf.chunk(None, 1000).await;
    let wanted = ["id=1 qty=5 note='n1'", "id=2 qty=2 note='n2'", "id=3 qty=3 note='n3'"];
    assert_eq!(lines(&after), wanted);
    for place in 0..3 {
        assert!(sees(&after, place), "{place} of {:?} in {:?}", tail.txids, after.fence);
    }
    assert!(before.fence.read_at_us <= after.fence.read_at_us);
    assert!(connector.covers(&after.fence.high, &before.fence.high));
    tail.close().await;
}

pub(super) async fn a_stream_reaches_the_fence_of_a_chunk_and_what_was_seen_lies_before_it(
    backend: &dyn Backend,
) {
    let connector = backend.connector();
    let mut tail = Tail::from_now_on(&*connector, items(backend)).await;
    let mut shelf = Shelf::open(backend, &ALL).await;
    let mut chunks = Vec::new();
    for id in 0..10 {
        let open = backend.left_open(&[&insert(100 + id, 101 + id)]).await;
        backend.transaction(&[&insert(id, id + 1)]).await;
        chunks.push(shelf.chunk(None, 1000).await);
        backend.transaction(&[&format!("INSERT INTO other VALUES ({id}, 1)")]).await;
        open.commit().await;
        chunks.push(shelf.chunk(None, 1000).await);
        reach(&mut tail, backend, &chunks[chunks.len() - 1].fence.high).await;
    }
    let mut rows = Vec::new();
    while rows.len() < 20 {
        rows.extend(streamed(&mut tail).await);
    }
    for chunk in &chunks {
        let high = connector.coordinate(&chunk.fence.high).expect("a place of the log");
        let seen: BTreeSet<String> = lines(chunk).into_iter().collect();
        for (place, row) in rows.iter().enumerate() {
            let (coordinate, txid) = (tail.coordinates[place], &tail.txids[place]);
            let sees = chunk.fence.sight.sees(coordinate, txid);
            assert!(seen.contains(row) || !sees, "{row} in {:?}", chunk.fence);
            let lies_before = coordinate < high;
            assert!(lies_before || !seen.contains(row), "{row} behind {:?}", chunk.fence);
        }
    }
    tail.close().await;
}

/// Reads until the stream has covered `target`, which lies behind the last change of the table.
async fn reach(tail: &mut Tail, backend: &dyn Backend, target: &Position) {
    let connector = backend.connector();
    let begun = Instant::now();
    while !connector.covers(&tail.point.position, target) {
        assert!(begun.elapsed() < SOON, "at {}, and not {target}", tail.point.position);
        tail.stream.hurry();
        if let Ok(batch) = tokio::time::timeout(A_MOMENT, tail.stream.read()).await {
            tail.take(&batch.expect("the stream goes on"));
        }
    }
}

fn compare(column: &str, comparison: Comparison, literal: Literal) -> Condition {
    Condition::Compare { column: column.to_owned(), comparison, literal }
}

/// Conditions, each with the ids of 0 to 9 for which it is true: those not divisible by 3 have a
/// `qty` of their id less 4, those not divisible by 4 a `note`.
fn conditions() -> Vec<(Condition, Vec<u32>)> {
    use Comparison::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual};
    let number = |text: &str| Literal::Number(text.to_owned());
    let text = |text: &str| Literal::Text(text.to_owned());
    let qty = |comparison, literal: &str| compare("qty", comparison, number(literal));
    let note = |literal: &str| compare("note", Equal, text(literal));
    let missing = || Condition::IsNull("qty".to_owned());
    vec![
        (qty(Equal, "-2"), vec![2]),
        (qty(Less, "1"), vec![1, 2, 4]),
        (qty(LessOrEqual, "0.5"), vec![1, 2, 4]),
        (qty(Greater, "0"), vec![5, 7, 8]),
        (qty(GreaterOrEqual, "-3.0"), vec![1, 2, 4, 5, 7, 8]),
        (qty(Less, "99999999999999999999.5"), vec![1, 2, 4, 5, 7, 8]),
        (note("n'5"), vec![5]),
        (note("\\' OR id = 0 -- \\"), Vec::new()),
        (compare("n\"o`t\\e'", Equal, text("n'5")), Vec::new()),
        (missing(), vec![0, 3, 6, 9]),
        (Condition::IsNotNull("note".to_owned()), vec![1, 2, 3, 5, 6, 7, 9]),
        // What a server may not be able to judge, or judges otherwise.
        (compare("note", Equal, number("5")), Vec::new()),
        (compare("qty", Equal, text("1")), vec![5]),
        (compare("qty", Equal, Literal::Bool(true)), Vec::new()),
        (Condition::All(vec![missing(), note("n'3")]), vec![3]),
        (Condition::Any(vec![missing(), note("n'5")]), vec![0, 3, 5, 6, 9]),
        (Condition::Any(vec![note("x\0"), note("n'5")]), vec![5]),
        (Condition::All(Vec::new()), (0..10).collect()),
        (Condition::Any(Vec::new()), Vec::new()),
    ]
}

pub(super) async fn a_filter_leaves_out_no_row_for_which_it_is_true(backend: &dyn Backend) {
    let row = |id: u32| {
        let qty = if id.is_multiple_of(3) { "NULL".to_owned() } else { format!("{id} - 4") };
        let note = if id.is_multiple_of(4) { "NULL".to_owned() } else { format!("'n''{id}'") };
        format!("({id}, {qty}, {note})")
    };
    let rows: Vec<String> = (0..10).map(row).collect();
    backend.transaction(&[&format!("INSERT INTO item VALUES {}", rows.join(","))]).await;
    let mut shelf = Shelf::open(backend, &["id"]).await;
    for (condition, wanted) in conditions() {
        shelf.filter = Some(condition);
        for rows in [2, 1000] {
            let came = shelf.whole(rows).await;
            let unique: BTreeSet<&String> = came.iter().collect();
            assert_eq!(unique.len(), came.len(), "{:?} repeats a row", shelf.filter);
            for id in &wanted {
                let row = format!("id={id}");
                assert!(came.contains(&row), "{:?} leaves out {row}", shelf.filter);
            }
        }
    }
}
