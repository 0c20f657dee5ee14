use std::time::Duration;

use super::tail::{SOON, Seen, Tail};
use super::{Backend, insert, items};
use crate::{Continuity, ResumePoint};

pub(super) async fn everything_after_establish_is_seen(backend: &dyn Backend) {
    let connector = backend.connector();
    backend.transaction(&["INSERT INTO item VALUES (1, 1, 'before')"]).await;
    let point = connector.establish(&items(backend)).await.expect("a position");
    backend.transaction(&["INSERT INTO item VALUES (2, 2, 'between')"]).await;
    let survey = connector.survey(&items(backend), Some(&point)).await.expect("a survey");
    assert_eq!(survey.continuity, Continuity::Intact);
    assert_eq!((survey.lineage, &survey.coverage), (point.lineage.clone(), &point.coverage));
    let mut tail = Tail::open(&*connector, point).await;
    assert_eq!(tail.one_row().await.2.as_deref(), Some("id=2 qty=2 note='between'"));
    backend.transaction(&["INSERT INTO item VALUES (3, 3, 'after')"]).await;
    assert_eq!(tail.one_row().await.2.as_deref(), Some("id=3 qty=3 note='after'"));
    tail.close().await;
}

pub(super) async fn what_was_durable_does_not_come_again_and_the_rest_does(backend: &dyn Backend) {
    let connector = backend.connector();
    let mut tail = Tail::from_now_on(&*connector, items(backend)).await;
    for id in 1..=20 {
        backend.transaction(&[&insert(id, id + 1)]).await;
        assert_eq!(tail.one_row().await.2, Some(format!("id={id} qty={id} note='n{id}'")));
        let point = tail.point.clone();
        if id % 2 == 0 {
            tail.stream.confirm(&point.position);
        }
        if id % 5 == 0 {
            // Confirmed or only remembered: the checkpoint decides.
            tail.close().await;
            backend.released().await;
            let survey = connector.survey(&items(backend), Some(&point)).await.expect("a survey");
            assert_eq!(survey.continuity, Continuity::Intact);
            tail = Tail::open(&*connector, point).await;
        }
    }
    tail.close().await;
}

pub(super) async fn what_was_not_confirmed_is_kept_by_the_server(backend: &dyn Backend) {
    let connector = backend.connector();
    let mut tail = Tail::from_now_on(&*connector, items(backend)).await;
    let mut points = vec![tail.point.clone()];
    for id in 1..=3 {
        backend.transaction(&[&insert(id, id + 1)]).await;
        tail.one_row().await;
        points.push(tail.point.clone());
    }
    // Read to the end, confirmed in part, and that again after more.
    tail.stream.confirm(&points[2].position);
    tail.stream.confirm(&points[1].position);
    tail.close().await;
    backend.released().await;
    let mut resumed = Tail::open(&*connector, points[2].clone()).await;
    assert_eq!(resumed.one_row().await.2.as_deref(), Some("id=3 qty=3 note='n3'"));
    resumed.close().await;
}

pub(super) async fn a_read_that_is_given_up_loses_nothing(backend: &dyn Backend) {
    let mut tail = Tail::from_now_on(&*backend.connector(), items(backend)).await;
    let mut seen = Vec::new();
    for id in 0..20 {
        backend.transaction(&[&insert(id, id + 1)]).await;
        while seen.len() < 2 * (id as usize + 1) {
            // Polled once, and dropped where it would have to wait.
            match tokio::time::timeout(Duration::ZERO, tail.stream.read()).await {
                Ok(batch) => tail.take(&batch.expect("the stream goes on")),
                Err(_) => tokio::task::yield_now().await,
            }
            seen.extend(tail.seen_so_far());
        }
    }
    for (id, pair) in seen.chunks(2).enumerate() {
        let wanted = format!("id={id} qty={id} note='n{id}'");
        let [Seen::Row { after, .. }, Seen::Commit] = pair else { panic!("{pair:?}") };
        assert_eq!(after.as_ref(), Some(&wanted));
    }
    tail.close().await;
}

pub(super) async fn a_stream_tells_how_far_its_server_is(backend: &dyn Backend) {
    let connector = backend.connector();
    let mut tail = Tail::from_now_on(&*connector, items(backend)).await;
    backend.transaction(&[&insert(0, 1)]).await;
    tail.one_row().await;
    let head = tail.stream.head();
    let position = tail.point.position.clone();
    assert!(connector.covers(&head.position, &position), "{} covers {position}", head.position);
    assert!(head.lag_bytes > 0, "a transaction was read and not confirmed");
    assert!(head.last_contact.elapsed() < SOON);
    let behind = head.lag_bytes;
    tail.stream.confirm(&position);
    assert!(tail.stream.head().lag_bytes < behind, "the confirmation does not count");
    tail.close().await;
}

pub(super) async fn a_replay_is_the_same_to_the_last_value(backend: &dyn Backend) {
    let connector = backend.connector();
    let point = connector.establish(&items(backend)).await.expect("a position");
    backend.transaction(&["INSERT INTO item VALUES (1, 1, 'a')", "DELETE FROM item"]).await;
    backend.transaction(&["ALTER TABLE item ADD extra INT"]).await;
    backend.transaction(&["INSERT INTO item VALUES (2, NULL, 'é', 3)"]).await;
    backend.transaction(&["UPDATE item SET id = 3"]).await;
    let mut readings = Vec::new();
    for _ in 0..2 {
        backend.released().await;
        let mut tail = Tail::open(&*connector, point.clone()).await;
        for _ in 0..3 {
            tail.transaction().await;
        }
        // How far the server has told of progress behind the last one is a matter of time.
        let position = point.position.clone();
        readings.push((tail.words.clone(), ResumePoint { position, ..tail.point.clone() }));
        tail.close().await;
    }
    assert_eq!(readings[0], readings[1]);
}

pub(super) async fn a_position_that_the_server_has_forgotten_is_a_gap_or_still_good(
    backend: &dyn Backend,
) {
    let connector = backend.connector();
    let point = connector.establish(&items(backend)).await.expect("a position");
    backend.transaction(&["INSERT INTO item VALUES (1, 1, 'a')"]).await;
    backend.forget().await;
    let survey = connector.survey(&items(backend), Some(&point)).await.expect("a survey");
    match survey.continuity {
        Continuity::Intact => {
            let mut tail = Tail::open(&*connector, point).await;
            assert_eq!(tail.one_row().await.2.as_deref(), Some("id=1 qty=1 note='a'"));
            tail.close().await;
        }
        Continuity::Broken { .. } => {
            let opened = connector.open(point.clone(), point.capture).await;
            assert!(opened.is_err(), "a stream past what is missing");
        }
        other => panic!("{other:?}"),
    }
}

pub(super) async fn changes_of_others_are_progress_without_events(backend: &dyn Backend) {
    let connector = backend.connector();
    let point = connector.establish(&items(backend)).await.expect("a position");
    for id in 0..50 {
        backend.transaction(&[&format!("INSERT INTO other VALUES ({id}, 1)")]).await;
    }
    let survey = connector.survey(&items(backend), Some(&point)).await.expect("a survey");
    let target = survey.head;
    let mut tail = Tail::open(&*connector, point).await;
    while !connector.covers(&tail.point.position, &target) {
        let batch = tail.batch().await.expect("the stream goes on");
        assert!(batch.events().is_empty(), "nothing that is captured has changed");
    }
    let position = tail.point.position.clone();
    tail.stream.confirm(&position);
    backend.transaction(&["INSERT INTO item VALUES (1, 1, 'a')"]).await;
    assert_eq!(tail.one_row().await.2.as_deref(), Some("id=1 qty=1 note='a'"));
    tail.close().await;
}

pub(super) async fn coordinates_rise_and_positions_cover_what_lies_before_them(
    backend: &dyn Backend,
) {
    let connector = backend.connector();
    let mut tail = Tail::from_now_on(&*connector, items(backend)).await;
    let mut ends = vec![tail.point.position.clone()];
    for id in 0..10 {
        backend.transaction(&[&insert(id, id + 1)]).await;
        tail.one_row().await;
        ends.push(tail.point.position.clone());
    }
    assert!(tail.coordinates.is_sorted_by(|one, next| one < next), "{:?}", tail.coordinates);
    for pair in ends.windows(2) {
        assert!(connector.covers(&pair[1], &pair[0]), "{} covers {}", pair[1], pair[0]);
        assert!(!connector.covers(&pair[0], &pair[1]), "{} covers {}", pair[0], pair[1]);
        assert!(connector.covers(&pair[0], &pair[0]));
    }
    tail.close().await;
}
