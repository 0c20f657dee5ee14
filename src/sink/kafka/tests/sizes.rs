//! Records that are larger than somebody takes.

use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, ResourceSpecifier};

use super::*;

/// Text that does not become shorter.
fn noise(bytes: usize) -> String {
    let word = |nth: usize| format!("{:016x}", xxhash_rust::xxh3::xxh3_64(&nth.to_le_bytes()));
    (0..bytes / 16).map(word).collect()
}

#[test]
fn what_cannot_be_remembered_is_found_without_making_records_of_it() {
    let topics = Arc::new(topics::Topics::for_test());
    let limit = topics.record_bytes;
    let plan = Plan { topics, levels: true, headers: Headers::None, round: 0 };
    let bare = || Part { checkpoint: None, ..part("1", 1, Some(1), "A") };
    for bytes in limit - 50..limit + 5 {
        let text = "x".repeat(bytes);
        let checkpoint = Part { checkpoint: Some(text.clone()), ..bare() };
        let row = |pk: &str| {
            let (table, pk) = ("public.stock".to_owned(), pk.to_owned());
            let row = crate::sink::RowEntry { table, pk, value: Some(text.clone()) };
            Part { rows: vec![row], ..bare() }
        };
        for part in [checkpoint, row("1"), row("a/b %")] {
            let records = plan.remembered([&part]);
            let len = |text: &Option<std::borrow::Cow<'_, [u8]>>| text.as_ref().unwrap().len();
            let is_too_large = records[0].key.len() + len(&records[0].value) > limit;
            let topic = records[0].topic;
            let parts = [part];
            let found = plan.cannot_remember(&parts).map(|found| found.topic);
            assert_eq!(found, is_too_large.then_some(topic), "{bytes}");
        }
    }
}

#[test]
fn what_the_properties_do_not_let_out_is_a_dead_letter_as_what_no_topic_takes() {
    let Some(options) = options("what_the_properties_do_not_let_out") else { return };
    on_runtime(move || {
        let options = with_property(&options, "message.max.bytes", "20000");
        let mut owned = take(&options);
        let parts = vec![part("1", 1, Some(1), &noise(30_000)), part("2", 2, Some(2), "A")];
        commit_all(&mut owned, &commit(parts)).unwrap();
        let keys = |topic| committed(&options, topic).into_iter().map(|(key, _)| key);
        assert_eq!(keys(Topic::Events).collect::<Vec<_>>(), ["acme/main/2/_"]);
        assert_eq!(committed(&options, Topic::DeadLetters).len(), 1);
    });
}

#[test]
fn a_request_that_a_topic_does_not_take_is_for_a_person_when_looking_again_does_not_help() {
    let Some(options) = options("a_request_that_a_topic_does_not_take") else { return };
    on_runtime(move || {
        drop(take(&options));
        let admin: AdminClient<Told> =
            client::config(&options, &[]).create_with_context(Told::new(&options)).unwrap();
        let name = options.topic(Topic::Events);
        let smaller =
            AlterConfig::new(ResourceSpecifier::Topic(&name)).set("max.message.bytes", "20000");
        let altered = admin.alter_configs([&smaller], &AdminOptions::new());
        assert!(tokio::runtime::Handle::current().block_on(altered).unwrap()[0].is_ok());
        let consumer = asker(&options).unwrap();
        let large = commit(vec![part("1", 1, Some(1), &noise(100_000))]);
        // As it is where the settings of topics may not be read.
        let unknowing = || {
            let mut topics = topics::prepare(&options, &consumer).unwrap();
            (topics.request_bytes, topics.record_bytes) = (1_048_588, 1_048_000);
            owner::shut_out(&options, &Arc::new(topics), Shard(0), &consumer).unwrap()
        };
        let refused = |mut owned: Owned| match commit_all(&mut owned, &large) {
            Err(CommitError::Unknown(error)) => error,
            other => panic!("{other:?}"),
        };
        let first = refused(unknowing());
        assert_eq!(*first.fault(), Fault::Transient, "the topic may have changed: {first}");
        let again = refused(unknowing());
        assert!(again.fix().unwrap().contains("max.message.bytes"), "{again}");
        // Where it can be looked at, it is, and a dead letter takes its place.
        commit_all(&mut take(&options), &large).unwrap();
        assert_eq!(committed(&options, Topic::DeadLetters).len(), 1);
    });
}

#[test]
fn whose_row_is_too_long_to_be_remembered_is_told_and_nothing_of_the_row() {
    let (topics, levels) = (Arc::new(topics::Topics::for_test()), true);
    let plan = Plan { topics, levels, headers: Headers::None, round: 0 };
    let huge = "jane@example.com".repeat(100);
    let (table, pk) = ("public.stock".to_owned(), "secret".to_owned());
    let row = crate::sink::RowEntry { table, pk, value: Some(huge.clone()) };
    let row = Part { rows: vec![row], ..part("1", 1, Some(1), "A") };
    let checkpoint = Part { checkpoint: Some(huge), ..part("1", 2, Some(1), "A") };
    for (part, what) in [(row, "a row of its table public.stock"), (checkpoint, "its checkpoint")] {
        let refused = writer::check_memory(&plan, &[part_of("other", "1", (0, None), "A"), part]);
        let Err(CommitError::NotCommitted(error)) = refused else { panic!("{what} is taken") };
        let said = error.to_string();
        assert!(said.starts_with("acme/main: ") && said.contains(what), "{said}");
        assert!(!said.contains("jane") && !said.contains("secret"), "{said}");
    }
}
