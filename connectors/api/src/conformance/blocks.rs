use super::tail::{Seen, Tail};
use super::{Backend, insert, items};
use crate::{BLOCK_ROWS, Fault, ResumePoint, SourceEvent};

const ROWS: u32 = 20_000;

/// The blocks of a transaction up to its end: the first ordinal, what was seen and in which words,
/// and where a checkpoint would go on.
async fn blocks(tail: &mut Tail) -> Vec<(u32, Vec<Seen>, Vec<String>, ResumePoint)> {
    let mut blocks = Vec::new();
    loop {
        let batch = tail.batch().await.expect("the stream goes on");
        let Some(SourceEvent::Begin(begin)) = batch.events().first() else { continue };
        let words = std::mem::take(&mut tail.words);
        blocks.push((begin.first_ordinal, tail.seen_so_far(), words, tail.point.clone()));
        if batch.partial().is_none() {
            return blocks;
        }
    }
}

pub(super) async fn a_large_transaction_comes_in_blocks_and_goes_on_in_the_middle(
    backend: &dyn Backend,
) {
    let connector = backend.connector();
    let mut tail = Tail::from_now_on(&*connector, items(backend)).await;
    backend.transaction(&[&insert(0, ROWS)]).await;
    let all = blocks(&mut tail).await;
    let firsts: Vec<u32> = all.iter().map(|(first, ..)| *first).collect();
    assert_eq!(firsts, [0, BLOCK_ROWS, 2 * BLOCK_ROWS]);
    for (place, seen) in (0..ROWS).zip(all.iter().flat_map(|(_, rows, ..)| rows)) {
        let Seen::Row { ordinal, after, .. } = seen else { panic!("{seen:?} at {place}") };
        let wanted = format!("id={place} qty={place} note='n{place}'");
        assert_eq!((*ordinal, after.as_ref()), (place, Some(&wanted)));
    }
    tail.close().await;
    for done in 0..2 {
        backend.released().await;
        let point = all[done].3.clone();
        let partial = point.partial.as_ref().expect("inside the transaction");
        assert_eq!(partial.rows, all[done + 1].0);
        let mut resumed = Tail::open(&*connector, point).await;
        assert_eq!(blocks(&mut resumed).await, all[done + 1..], "a replay cuts at the same rows");
        resumed.close().await;
    }
}

/// The ids of the rows that come up to, not including, `end`, and where a checkpoint would go on
/// inside a transaction.
async fn ids_before(tail: &mut Tail, end: u32) -> (Vec<u32>, Vec<ResumePoint>) {
    let (mut ids, mut inside) = (Vec::new(), Vec::new());
    loop {
        tail.batch().await.expect("the stream goes on");
        inside.extend(tail.point.partial.is_some().then(|| tail.point.clone()));
        for seen in tail.seen_so_far() {
            let Seen::Row { after: Some(row), .. } = seen else { continue };
            let id = row.strip_prefix("id=").and_then(|row| row.split(' ').next()?.parse().ok());
            match id.expect("a number") {
                id if id == end => return (ids, inside),
                id => ids.push(id),
            }
        }
    }
}

pub(super) async fn a_transaction_that_ends_with_a_block_comes_whole_and_once(
    backend: &dyn Backend,
) {
    const END: u32 = 2 * BLOCK_ROWS;
    let connector = backend.connector();
    let mut tail = Tail::from_now_on(&*connector, items(backend)).await;
    backend.transaction(&[&insert(0, END)]).await;
    backend.transaction(&[&insert(END, END + 1)]).await;
    let (ids, inside) = ids_before(&mut tail, END).await;
    assert!(ids.iter().copied().eq(0..END), "{} rows", ids.len());
    let partials = inside.iter().filter_map(|point| point.partial.as_ref());
    let partials: Vec<u32> = partials.map(|partial| partial.rows).collect();
    assert_eq!(partials, [BLOCK_ROWS, END]);
    tail.close().await;
    for (point, first) in inside.into_iter().zip(partials) {
        backend.released().await;
        let mut resumed = Tail::open(&*connector, point).await;
        let (ids, _) = ids_before(&mut resumed, END).await;
        assert!(ids.iter().copied().eq(first..END), "{} rows behind {first}", ids.len());
        resumed.close().await;
    }
}

pub(super) async fn another_transaction_in_place_of_a_partial_one_is_an_error(
    backend: &dyn Backend,
) {
    let connector = backend.connector();
    let mut tail = Tail::from_now_on(&*connector, items(backend)).await;
    backend.transaction(&[&insert(0, ROWS)]).await;
    let mut point = blocks(&mut tail).await.swap_remove(0).3;
    tail.close().await;
    backend.released().await;
    let partial = point.partial.as_mut().expect("inside the transaction");
    partial.txid.insert(0, '1');
    let mut stranger = Tail::open(&*connector, point).await;
    let error = loop {
        match stranger.batch().await {
            Ok(batch) => assert!(batch.events().is_empty(), "rows of another transaction"),
            Err(error) => break error,
        }
    };
    // Trying again would give the same.
    assert!(matches!(error.fault(), Fault::Definite | Fault::Operator { .. }), "{error}");
}
