//! Shops whose tables look each other up.

use connector_api::{
    Capture, ColumnDescription, Identity, Lineage, Position, ResumePoint, TableDescription,
};

use super::*;
use crate::config::Loader;
use crate::state::{MappingRevision, SnapshotPhase};

/// A block about `table` that looks up another one.
fn block(table: &str, looked_up: &str, quantity: &str) -> String {
    format!(
        "[[stock]]\ntable = 'public.{table}'\nitem = 'id'\nlocation = \"'{table}'\"\n\
         on_hand = '{quantity}'\nsku = 'name'\n[[stock.lookup]]\ntable = 'public.{looked_up}'\n\
         on = {{ id = 'other' }}\ncolumns = {{ name = 'id' }}\n"
    )
}

fn config(blocks: &[String]) -> SellerConfig {
    let folder = tempfile::tempdir().unwrap();
    let main = "name = 'test'\nsellers = 'acme.toml'\n[sink]\nkind = 'discard'\n";
    let seller = "seller = 'acme'\n[source]\nkind = 'postgres'\nurl = 'postgresql://nowhere'\n";
    std::fs::write(folder.path().join("main.toml"), main).unwrap();
    std::fs::write(folder.path().join("acme.toml"), format!("{seller}{}", blocks.concat()))
        .unwrap();
    Loader::alone().load(&folder.path().join("main.toml")).unwrap().sellers.remove(0)
}

fn plan(config: &SellerConfig) -> Plan {
    let column = |name: &str| ColumnDescription {
        name: name.to_owned(),
        type_name: "bigint".to_owned(),
        logged: true,
        omitted: false,
    };
    let tables = ["bundle", "product", "variant"].map(|name| TableDescription {
        cascades: Vec::new(),
        name: TableName::new("public", name),
        columns: ["id", "other", "qty"].map(column).to_vec(),
        primary_key: vec!["id".to_owned()],
        identity: Identity::PrimaryKey,
    });
    Plan::compile(&config.definitions, &tables, 1).unwrap()
}

/// A checkpoint behind which every table has been read.
fn read(config: &SellerConfig) -> Checkpoint {
    let point = ResumePoint::new(Lineage::new("7/1/slot"), Position::new("1"), Capture::default());
    let mapping = MappingRevision { number: 1, hash: String::new() };
    let mut checkpoint = Checkpoint::first("acme", "main", point, mapping);
    for table in plan(config).snapshot_order() {
        let meaning = meaning_of(config, &plan(config), &table);
        checkpoint.complete.insert(table.to_string(), meaning);
    }
    checkpoint
}

fn marked(checkpoint: &Checkpoint) -> Vec<(&str, &str)> {
    let marks = checkpoint.dirty_tables.iter();
    marks.map(|(table, reason)| (table.as_str(), reason.as_str())).collect()
}

const CHANGED: &str = "what its rows mean has changed";

#[test]
fn what_is_silent_while_a_table_is_read_anew_is_read_behind_it() {
    let bundle = block("bundle", "product", "qty");
    let before = config(&[block("variant", "product", "qty"), bundle.clone()]);
    let mut checkpoint = read(&before);
    mark_due(&mut checkpoint, &plan(&before), &before, false);
    assert_eq!(marked(&checkpoint), []);
    let after = config(&[block("variant", "product", "qty + 1"), bundle]);
    mark_due(&mut checkpoint, &plan(&after), &after, false);
    let silent = "public.product, which it looks up, is read anew";
    let wanted = [("public.bundle", silent), ("public.product", CHANGED)];
    assert_eq!(marked(&checkpoint), [&wanted[..], &[("public.variant", CHANGED)]].concat());
    assert_eq!(checkpoint.complete.keys().collect::<Vec<_>>(), ["public.bundle"]);
}

#[test]
fn a_first_start_says_of_every_table_that_it_is_one() {
    let config = config(&[block("variant", "product", "qty"), block("bundle", "product", "qty")]);
    let mut checkpoint = read(&config);
    checkpoint.complete.clear();
    mark_due(&mut checkpoint, &plan(&config), &config, true);
    assert!(checkpoint.dirty_tables.values().all(|reason| reason == FIRST_START));
    assert_eq!(checkpoint.dirty_tables.len(), 3);
}

#[test]
fn a_mapping_that_comes_back_while_its_table_is_read_as_something_else_is_not_relied_on() {
    let config = config(&[block("variant", "product", "qty")]);
    let mut checkpoint = read(&config);
    let table = "public.product".to_owned();
    checkpoint.dirty_tables.insert(table.clone(), FIRST_START.to_owned());
    checkpoint.snapshot = Some(TableSnapshot {
        table: table.clone(),
        number: 1,
        reason: FIRST_START.to_owned(),
        meaning: "another".to_owned(),
        since: String::new(),
        phase: SnapshotPhase::Sweeping,
        told: true,
        rows: 0,
        keys: 0,
        removed: 0,
        sums: std::collections::BTreeMap::new(),
    });
    mark_due(&mut checkpoint, &plan(&config), &config, false);
    assert_eq!(checkpoint.snapshot, None);
    assert_eq!(checkpoint.dirty_tables[&table], CHANGED, "its keys are swept");
    let incomplete = incomplete(&checkpoint, &plan(&config), &config);
    assert_eq!(incomplete.len(), 1);
    assert!(checkpoint.dirty_tables.contains_key("public.variant"));
}

#[test]
fn of_tables_that_look_each_other_up_the_first_is_read_for_its_rows_and_again_for_its_keys() {
    let config = config(&[block("variant", "product", "qty"), block("product", "variant", "qty")]);
    let plan = plan(&config);
    let order = plan.snapshot_order();
    let mut checkpoint = read(&config);
    let complete = std::mem::take(&mut checkpoint.complete);
    mark_due(&mut checkpoint, &plan, &config, true);
    let mut read = Vec::new();
    loop {
        let unread = incomplete(&checkpoint, &plan, &config);
        let waits = |table: &str| has_to_wait(&plan, &order, table, &unread);
        let Some(table) = next_due(&checkpoint, &order, waits) else { break };
        let is_silent = plan.looks_up(&table, &unread);
        checkpoint.complete.insert(table.clone(), complete[&table].clone());
        if !is_silent {
            checkpoint.dirty_tables.remove(&table);
        }
        read.push((table, is_silent));
    }
    let read: Vec<(&str, bool)> = read.iter().map(|(table, silent)| (&**table, *silent)).collect();
    let (first, last) = (order[0].to_string(), order[1].to_string());
    assert_eq!(read, [(&*first, true), (&*last, false), (&*first, false)]);
}

/// With `snapshot = "never"`.
fn unread(mut config: SellerConfig) -> SellerConfig {
    config.source.snapshot.automatic = false;
    config
}

fn level(table: &str, quantity: &str) -> String {
    let location = format!("location = \"'{table}'\"\non_hand = '{quantity}'\n");
    format!("[[stock]]\ntable = 'public.{table}'\nitem = 'id'\n{location}")
}

#[test]
fn a_mapping_that_comes_back_behind_another_one_under_which_nothing_was_read_is_not_relied_on() {
    let (variant, bundle) = (level("variant", "qty"), level("bundle", "qty"));
    let before = config(&[variant, bundle.clone()]);
    let another = config(&[level("variant", "qty + 1"), bundle.clone()]);
    for meanwhile in [another, config(&[bundle])].map(unread) {
        let mut checkpoint = read(&before);
        mark_due(&mut checkpoint, &plan(&meanwhile), &meanwhile, false);
        assert_eq!(marked(&checkpoint), []);
        // A second start changes nothing.
        mark_due(&mut checkpoint, &plan(&meanwhile), &meanwhile, false);
        let untold = incomplete(&checkpoint, &plan(&before), &before);
        assert_eq!(untold, [TableName::new("public", "variant")].into());
        mark_due(&mut checkpoint, &plan(&before), &before, false);
        assert_eq!(marked(&checkpoint), [("public.variant", "its mapping has not read it yet")]);
    }
}

#[test]
fn keys_of_a_mapping_that_has_never_read_its_table_go_with_it() {
    let never = unread(config(&[level("variant", "qty")]));
    let mut checkpoint = read(&never);
    checkpoint.complete.clear();
    mark_due(&mut checkpoint, &plan(&never), &never, true);
    assert_eq!(marked(&checkpoint), []);
    let after = config(&[level("bundle", "qty")]);
    mark_due(&mut checkpoint, &plan(&after), &after, false);
    let gone = ("public.variant", "no mapping speaks of it any more");
    let new = ("public.bundle", "its mapping has not read it yet");
    assert_eq!(marked(&checkpoint), [new, gone]);
    assert!(checkpoint.complete.is_empty(), "its rows are not followed any more");
}

#[test]
fn a_table_that_nobody_maps_any_more_is_not_swept_before_the_one_that_came_for_it_is_read() {
    let (before, after) = (config(&[level("variant", "qty")]), config(&[level("bundle", "qty")]));
    let mut checkpoint = read(&before);
    mark_due(&mut checkpoint, &plan(&after), &after, false);
    let order = plan(&after).snapshot_order();
    let cannot_be_read = |table: &str| table == "public.bundle";
    assert_eq!(next_due(&checkpoint, &order, cannot_be_read), None);
    let next = next_due(&checkpoint, &order, |_| false);
    assert_eq!(next.as_deref(), Some("public.bundle"));
    checkpoint.dirty_tables.remove("public.bundle");
    let next = next_due(&checkpoint, &order, cannot_be_read);
    assert_eq!(next.as_deref(), Some("public.variant"));
}
