use super::*;

/// The tables as format 1 had them, as far as the upgrade touches them.
fn make_older(path: &Path) {
    drop(database(path, None));
    let connection = Connection::open(path).unwrap();
    let sql = "ALTER TABLE levels DROP COLUMN table_name; PRAGMA user_version = 1;
        INSERT INTO events VALUES
            (7, 'id', 'acme', 'main', 'acme/main/A/_', 'level', '', NULL,
             '{\"origin\":{\"table\":\"shop.\\\"stock\"}}');
        INSERT INTO levels VALUES
            ('acme/main/A/_', 'acme', 'main', 'A', 'SKU', '_', NULL, '5', NULL, NULL, NULL,
             '00000001.0000000000000002.00000003', NULL, 7),
            ('acme/main/B/_', 'acme', 'main', 'B', NULL, '_', NULL, '6', NULL, NULL, NULL,
             '00000001.0000000000000002.00000004', NULL, 6);";
    connection.execute_batch(sql).unwrap();
}

async fn levels_of(state: &dyn ShardState, seller: &str, source: &str) -> Vec<LevelKey> {
    state.levels(&SellerId::new(seller), &SourceName::new(source)).await.unwrap()
}

fn version(coordinate: u64, ordinal: u32) -> Version {
    Version { epoch: 1, coordinate, ordinal }
}

#[tokio::test]
async fn a_file_of_the_earlier_layout_is_upgraded_with_the_tables_that_its_events_still_name() {
    let (_folder, path) = file();
    make_older(&path);
    let level = |key: &str, ordinal, table: &str, sku: Option<&str>| LevelKey {
        key: key.to_owned(),
        version: version(2, ordinal),
        table: table.to_owned(),
        sku: sku.map(str::to_owned),
    };
    let expected = [
        level("acme/main/A/_", 3, "shop.\"stock", Some("SKU")),
        level("acme/main/B/_", 4, "", None),
    ];
    // The second time there is nothing to upgrade.
    let sink = sink(&path);
    for _ in 0..2 {
        let Opened { state, .. } = sink.open(Shard(0)).await.unwrap();
        assert_eq!(levels_of(state.as_ref(), "acme", "main").await, expected);
    }
    let Opened { mut writer, .. } = sink.open(Shard(0)).await.unwrap();
    let parts = vec![part("acme", [said("C", 9, Some(1))].into_iter())];
    writer.commit(Arc::new(Commit { parts })).await.unwrap();
    let sql = "SELECT table_name FROM current WHERE item = 'C'";
    let connection = Connection::open(&path).unwrap();
    let table: String = connection.query_row(sql, [], |row| row.get(0)).unwrap();
    assert_eq!(table, "public.stock");
}

#[tokio::test]
async fn an_upgrade_that_fails_leaves_the_file_as_it_was() {
    let (_folder, path) = file();
    make_older(&path);
    let connection = Connection::open(&path).unwrap();
    let broken = "UPDATE events SET value = 'no JSON'";
    connection.execute_batch(broken).unwrap();
    let error = refused(&path).await.to_string();
    assert!(error.contains("bringing its tables to the layout of this version"), "{error}");
    let format: i32 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
    assert_eq!(format, 1);
    assert!(connection.prepare("SELECT table_name FROM levels").is_err());
}

fn said(item: &str, ordinal: u32, on_hand: Option<i64>) -> Said {
    (item.to_owned(), ordinal, on_hand)
}

#[tokio::test]
async fn a_source_that_is_forgotten_leaves_its_events_alone() {
    let (_folder, path) = file();
    let Opened { mut writer, state, .. } = sink(&path).open(Shard(0)).await.unwrap();
    let (acme, main) = (SellerId::new("acme"), SourceName::new("main"));
    let row = RowEntry { table: "t".to_owned(), pk: "1".to_owned(), value: Some("a".to_owned()) };
    let mut first = part("acme", [said("a", 1, Some(1)), said("b", 2, Some(2))].into_iter());
    first.rows.push(row.clone());
    let parts = vec![first, part("other", [said("a", 1, Some(1))].into_iter())];
    writer.commit(Arc::new(Commit { parts })).await.unwrap();
    let levels = levels_of(state.as_ref(), "acme", "main").await;
    let forgets =
        crate::sink::Forgets { levels: levels.into_iter().map(|level| level.key).collect() };
    let rows = vec![RowEntry { value: None, ..row }];
    let checkpoint = Some("forgotten".to_owned());
    let part = Part { rows, forgets, checkpoint, ..Part::empty(acme.clone(), main.clone()) };
    writer.commit(Arc::new(Commit { parts: vec![part] })).await.unwrap();
    let mut stored = state.load(&acme, &main).await.unwrap();
    assert_eq!(stored.checkpoint.as_deref(), Some("forgotten"));
    assert_eq!(stored.all_rows().await.unwrap(), vec![]);
    assert_eq!(levels_of(state.as_ref(), "acme", "main").await, []);
    assert_eq!(levels_of(state.as_ref(), "other", "main").await.len(), 1);
    let other = state.load(&SellerId::new("other"), &main).await.unwrap();
    assert!(other.checkpoint.is_some());
    let connection = Connection::open(&path).unwrap();
    let events: i64 =
        connection.query_row("SELECT count(*) FROM events", [], |row| row.get(0)).unwrap();
    assert_eq!(events, 3);
}

#[tokio::test]
async fn levels_are_those_of_one_source_sorted_without_what_was_removed() {
    let (_folder, path) = file();
    let Opened { mut writer, state, .. } = sink(&path).open(Shard(0)).await.unwrap();
    let of = |seller: &str, source: &str, events: Vec<Said>| Part {
        source: SourceName::new(source),
        records: part(seller, events.into_iter()).records,
        ..Part::empty(SellerId::new(seller), SourceName::new(source))
    };
    let first = vec![
        of(
            "acme",
            "main",
            vec![said("b", 1, Some(1)), said("a/0", 2, Some(2)), said("c", 3, None)],
        ),
        of("acme0", "main", vec![said("z", 1, Some(1))]),
        of("acm", "main", vec![said("z", 1, Some(1))]),
    ];
    writer.commit(Arc::new(Commit { parts: first })).await.unwrap();
    let second = vec![of("acme", "main", vec![said("b", 4, None), said("d", 5, Some(0))])];
    writer.commit(Arc::new(Commit { parts: second })).await.unwrap();
    let level = |key: &str, ordinal| LevelKey {
        key: key.to_owned(),
        version: version(1, ordinal),
        table: "public.stock".to_owned(),
        sku: None,
    };
    let expected = [level("acme/main/a%2F0/_", 2), level("acme/main/d/_", 5)];
    assert_eq!(levels_of(state.as_ref(), "acme", "main").await, expected);
    assert_eq!(levels_of(state.as_ref(), "acme", "other").await, []);
    assert_eq!(levels_of(state.as_ref(), "acm", "main").await, [level("acm/main/z/_", 1)]);
}

/// Somebody has taken its checkpoint out of the file.
#[tokio::test]
async fn what_remains_of_a_source_without_a_checkpoint_is_what_its_levels_say() {
    let (_folder, path) = file();
    let Opened { mut writer, state, .. } = sink(&path).open(Shard(0)).await.unwrap();
    let of = async |source| {
        state.remains(&SellerId::new("acme"), &SourceName::new(source)).await.unwrap()
    };
    assert_eq!(of("main").await, None);
    let parts = vec![part("acme", [said("C", 9, Some(1))].into_iter())];
    writer.commit(Arc::new(Commit { parts })).await.unwrap();
    let tables = ["public.stock".to_owned()].into();
    let expected = crate::sink::Remains { epoch: 1, tables };
    assert_eq!(of("main").await, Some(expected));
    assert_eq!(of("mai").await, None);
}
