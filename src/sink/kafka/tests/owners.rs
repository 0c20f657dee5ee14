//! Who has a shard, and who must not take it back.

use std::collections::HashSet;

use super::*;
use crate::sink::RowEntry;

/// A process with its own memory of what it had.
fn process(test: &str, delivery: Delivery) -> Option<Kafka> {
    let options = options(test)?;
    let mut own = options_of(test, options.config.brokers.clone());
    own.config.delivery = delivery;
    Some(Kafka::new(own))
}

async fn open(sink: &Kafka) -> Result<Opened, OpenError> {
    sink.open(Shard(0)).await
}

#[tokio::test]
async fn with_at_least_once_whoever_was_replaced_hears_of_it_whatever_it_is_doing() {
    let test = "at_least_once_replaced";
    let Some(first) = process(test, Delivery::AtLeastOnce) else { return };
    let second = process(test, Delivery::AtLeastOnce).unwrap();
    let Opened { mut writer, .. } = open(&first).await.unwrap();
    let mut later = open(&second).await.unwrap();
    let mut published = Vec::new();
    // Nobody asks meanwhile what has become of the checkpoints.
    let error = loop {
        let ordinal = u32::try_from(published.len()).unwrap();
        match writer.commit(commit(vec![part("1", ordinal, Some(1), "A")])).await {
            Ok(outcome) => published.push(outcome),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, CommitError::Fenced(_)), "{error:?}");
    let error = writer.commit(commit(vec![part("1", 0, Some(1), "A")])).await.unwrap_err();
    assert!(matches!(error, CommitError::Fenced(_)), "again: {error:?}");
    let Some(Committed::Published(stored)) = published.into_iter().next() else { panic!("none") };
    let told = stored.await.unwrap();
    assert!(matches!(told, Err(CommitError::Fenced(_))), "{told:?}");
    let outcome = later.writer.commit(commit(vec![part("1", 9, Some(1), "A")])).await;
    assert!(outcome.is_ok(), "{outcome:?}");
}

#[tokio::test]
async fn whoever_was_replaced_and_does_not_know_it_does_not_take_the_shard_back() {
    let test = "replaced_and_does_not_know";
    for delivery in [Delivery::ExactlyOnce, Delivery::AtLeastOnce] {
        let Some(first) = process(test, delivery) else { return };
        let second = process(test, delivery).unwrap();
        let opened = open(&first).await.unwrap();
        // Its own end, whatever that was, is no reason not to begin again.
        drop(opened);
        let _opened = open(&first).await.unwrap();
        let mut later = open(&second).await.unwrap();
        match open(&first).await {
            Err(OpenError::Fenced(error)) => {
                assert!(matches!(error.fault(), Fault::Held { .. }), "{error}");
            }
            Err(other) => panic!("{other:?}"),
            Ok(_) => panic!("it has taken the shard back"),
        }
        let outcome = later.writer.commit(commit(vec![part("1", 1, Some(1), "A")])).await;
        assert!(outcome.is_ok(), "{outcome:?}");
    }
}

#[tokio::test]
async fn whoever_begins_again_reads_what_is_its_own() {
    let Some(sink) = process("whoever_begins_again", Delivery::ExactlyOnce) else { return };
    let Opened { mut writer, .. } = open(&sink).await.unwrap();
    let row = |value: &str| RowEntry {
        table: "public.stock".to_owned(),
        pk: "1".to_owned(),
        value: Some(value.to_owned()),
    };
    let names = [("acme", "main"), ("acme", "main2"), ("acme2", "main"), ("acm", "e")];
    let parts = names.iter().zip(0..).map(|((seller, source), nth)| Part {
        source: SourceName::new(source),
        rows: vec![row(&format!("{seller} {source}"))],
        ..part_of(seller, "1", (nth, Some(1)), "A")
    });
    writer.commit(commit(parts.collect())).await.unwrap();
    let state = open(&sink).await.unwrap().state;
    // What is kept of others goes, and is there again for whoever asks all the same.
    state.retain(&HashSet::from([(SellerId::new("acme"), SourceName::new("main"))]));
    for _ in 0..2 {
        for ((seller, source), nth) in names.iter().zip(0..) {
            let (seller, source) = (SellerId::new(seller), SourceName::new(source));
            let mut stored = state.load(&seller, &source).await.unwrap();
            assert_eq!(stored.checkpoint, Some(format!("checkpoint {nth}")));
            assert_eq!(stored.all_rows().await.unwrap(), [row(&format!("{seller} {source}"))]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_process_that_counts_among_others_nobody_says_that_it_has_gone() {
    let test = "counts_among_others";
    let Some(options) = options(test) else { return };
    let mut owned = tokio::task::block_in_place(|| take(&options));
    let key = format!("#owner/{test}/0");
    let records = tokio::task::block_in_place(|| committed(&options, Topic::Checkpoints));
    let (_, value) = records.into_iter().rfind(|(found, _)| *found == key).unwrap();
    let ours: serde_json::Value = serde_json::from_str(&value.unwrap()).unwrap();
    let mut ended = std::process::Command::new("true").spawn().unwrap();
    ended.wait().unwrap();
    let ended = serde_json::json!(ended.id());
    let with = |process: &serde_json::Value, among: serde_json::Value| {
        let mut owner = ours.clone();
        (owner["process"], owner["among"]) = (process.clone(), among);
        owner.to_string()
    };
    let of_container = "00000000-0000-0000-0000-000000000000 pid:[1]";
    for (owner, is_there) in [
        (with(&ours["process"], ours["among"].clone()), true),
        (with(&ended, ours["among"].clone()), false),
        (with(&ended, of_container.into()), true),
        // As an earlier version recorded it.
        (with(&ended, serde_json::Value::Null), true),
    ] {
        let (key, value) = (key.as_bytes().into(), Some(owner.as_bytes().into()));
        let said = tokio::task::block_in_place(|| {
            owned.commit(&[Record::private(Topic::Checkpoints, key, value)]).unwrap();
            holder(&options, Shard(0)).unwrap()
        });
        assert_eq!(said.is_some(), is_there, "{owner}: {said:?}");
    }
}

/// A process of another installation with the same topics.
fn another(test: &str, name: &str) -> Option<Kafka> {
    let mut own = options_of(test, options(test)?.config.brokers.clone());
    own.name = name.to_owned();
    Some(Kafka::new(own))
}

#[tokio::test]
async fn an_installation_of_another_name_takes_no_topics_of_one_that_may_be_at_work() {
    let test = "another_name";
    for delivery in [Delivery::ExactlyOnce, Delivery::AtLeastOnce] {
        let Some(first) = process(test, delivery) else { return };
        let second = another(test, "renamed").unwrap();
        let mut opened = open(&first).await.unwrap();
        for _ in 0..2 {
            let Err(OpenError::Failed(error)) = open(&second).await else { panic!("it is let in") };
            assert!(matches!(error.fault(), Fault::Operator { .. }), "{error}");
            assert!(error.to_string().contains("\"another_name\""), "{error}");
            assert!(error.fix().unwrap().contains("sink.topic_prefix"), "{error}");
        }
        let outcome = opened.writer.commit(commit(vec![part("1", 1, Some(1), "A")])).await;
        assert!(outcome.is_ok(), "{outcome:?}");
        if let Committed::Published(stored) = outcome.unwrap() {
            stored.await.unwrap().unwrap();
        }
        // Nor is one let in that was killed, until it has ended once under its name.
        drop(opened);
        assert!(open(&second).await.is_err());
        open(&first).await.unwrap().writer.end().await;
        open(&second).await.unwrap().writer.end().await;
        // And back again.
        open(&first).await.unwrap().writer.end().await;
    }
}

#[test]
fn only_a_later_owner_of_another_name_that_may_be_at_work_is_in_the_way() {
    let options = options_of("only_a_later_owner", String::new());
    let owner = |ended: bool| {
        let process = r#""format":1,"token":"0","host":"elsewhere","process":7,"since_us":0"#;
        format!("{{{process},\"ended\":{ended}}}")
    };
    for (key, ended, behind, is_refused) in [
        ("owner/another/0", false, -1, true),
        ("owner/another/0", false, 6, true),
        // It was there before this one was, which was let in.
        ("owner/another/0", false, 7, false),
        ("owner/another/0", true, -1, false),
        ("owner/another/1", false, -1, false),
        ("owner/only_a_later_owner/0", false, -1, false),
    ] {
        let mut contents = stored::Contents::default();
        owner::apply(&mut contents, ("t", 7), key, Some(&owner(ended))).unwrap();
        let refused = owner::refuse_others(&contents, &options, Shard(0), behind);
        assert_eq!(refused.is_err(), is_refused, "{key} {ended} {behind}");
        owner::apply(&mut contents, ("t", 8), key, None).unwrap();
        owner::refuse_others(&contents, &options, Shard(0), behind).unwrap();
    }
}
