//! What it proves: whatever happens to the slot while nobody looks, continuity is either proved or
//! a gap is said; and nothing the log holds is skipped at a restart.

use std::time::Duration;

use testbed::PgVersion;

use crate::support::{Published, Shop, State, Tailstock, Workspace, eventually};

const SELLER: &str = r#"
[[stock]]
table = "public.stock"
item = "item"
on_hand = "qty"
"#;

/// A shop with one table, and a workspace that has started once.
async fn started(test: &str) -> Option<(Shop, Workspace)> {
    let shop = Shop::start(PgVersion::V15, test).await?;
    shop.execute(
        "CREATE TABLE stock (item bigint PRIMARY KEY, qty int, note text);
         CREATE PUBLICATION tailstock FOR TABLE stock;",
    )
    .await;
    let workspace = Workspace::new(Workspace::MAIN, &shop.seller(SELLER));
    catch_up(&workspace).await;
    Some((shop, workspace))
}

async fn catch_up(workspace: &Workspace) {
    let mut run = Tailstock::start(workspace, &["run", "--until-current"]);
    assert!(run.wait(Duration::from_secs(60)).await.success(), "{}", run.log());
}

fn published(workspace: &Workspace) -> Published {
    Published::open(&workspace.path("stock.db"))
}

fn on_hand(quantity: &str) -> State {
    State::Level { on_hand: Some(quantity.to_owned()), sku: None }
}

const SLOT: &str = "test_acme_main";

#[tokio::test]
async fn a_transaction_that_was_open_across_a_restart_is_not_skipped() {
    let Some((shop, workspace)) = started("a_transaction_open_across_a_restart").await else {
        return;
    };
    let long = shop.connect().await;
    long.execute("BEGIN; INSERT INTO stock VALUES (1, 1)").await;
    shop.execute("INSERT INTO stock VALUES (2, 2)").await;
    catch_up(&workspace).await;
    long.execute("INSERT INTO stock VALUES (3, 3); COMMIT").await;
    catch_up(&workspace).await;
    let keys: Vec<String> = published(&workspace).by_key().into_keys().collect();
    assert_eq!(keys, ["acme/main/1/_", "acme/main/2/_", "acme/main/3/_"]);
}

#[tokio::test]
async fn a_key_change_and_a_restart_leave_one_live_key() {
    let Some((shop, workspace)) = started("a_key_change_and_a_restart").await else { return };
    shop.execute("INSERT INTO stock VALUES (1, 5)").await;
    shop.execute("UPDATE stock SET item = 9 WHERE item = 1").await;
    catch_up(&workspace).await;
    catch_up(&workspace).await;
    let by_key = published(&workspace).by_key();
    assert_eq!(by_key["acme/main/1/_"], [on_hand("5"), State::Removed]);
    assert_eq!(by_key["acme/main/9/_"], [on_hand("5")]);
}

#[tokio::test]
async fn logical_messages_between_rows_change_nothing() {
    let Some((shop, workspace)) = started("logical_messages_between_rows").await else { return };
    shop.execute(
        "BEGIN; SELECT pg_logical_emit_message(true, 'a', 'b'); INSERT INTO stock VALUES (1, 1);
         SELECT pg_logical_emit_message(false, 'a', 'b');
         SELECT pg_logical_emit_message(true, 'a', 'b'); INSERT INTO stock VALUES (2, 2); COMMIT;",
    )
    .await;
    catch_up(&workspace).await;
    shop.execute("SELECT pg_logical_emit_message(true, 'a', 'b')").await;
    shop.execute("INSERT INTO stock VALUES (3, 3)").await;
    catch_up(&workspace).await;
    assert_eq!(published(&workspace).by_key().len(), 3);
}

#[tokio::test]
async fn an_unchanged_long_value_is_never_taken_for_null() {
    let Some((shop, workspace)) = started("an_unchanged_long_value").await else { return };
    let seller = shop.seller(&SELLER.replace("item = \"item\"", "item = \"item\"\nsku = \"note\""));
    std::fs::write(workspace.path("sellers/shop.toml"), seller).unwrap();
    shop.execute("ALTER TABLE stock ALTER note SET STORAGE EXTERNAL").await;
    shop.execute("INSERT INTO stock VALUES (1, 1, repeat('n', 5000))").await;
    shop.execute("UPDATE stock SET qty = 2").await;
    catch_up(&workspace).await;
    let events = published(&workspace).events();
    let last = &events.last().unwrap().value;
    assert_eq!(last["quantity"]["on_hand"], "2");
    assert!(last["item"].get("sku").is_none(), "the log does not say what it is");
    assert_eq!(last["quality"], serde_json::json!(["PARTIAL"]));
}

#[tokio::test]
async fn truncate_is_said_once_and_marks_the_table() {
    let Some((shop, workspace)) = started("truncate_is_said_once").await else { return };
    shop.execute("INSERT INTO stock VALUES (1, 1), (2, 2)").await;
    shop.execute("TRUNCATE stock").await;
    shop.execute("INSERT INTO stock VALUES (3, 3)").await;
    catch_up(&workspace).await;
    let published = published(&workspace);
    assert_eq!(published.texts("SELECT kind FROM control"), ["scope_cleared"]);
    let checkpoint = published.texts("SELECT value FROM checkpoints").pop().unwrap();
    assert!(checkpoint.contains(r#""dirty_tables":{"public.stock":"truncate"}"#), "{checkpoint}");
    assert_eq!(published.by_key().len(), 3);
}

#[tokio::test]
async fn a_source_that_is_named_anew_is_told_of_the_slot_that_it_left() {
    let Some((shop, workspace)) = started("a_source_that_is_named_anew").await else { return };
    let renamed = Workspace::MAIN.replace("\"test\"", "\"other\"");
    std::fs::write(workspace.path("tailstock.toml"), &renamed).unwrap();
    let mut run = Tailstock::start(&workspace, &["run", "--until-current"]);
    let status = run.wait(Duration::from_secs(60)).await;
    assert_eq!(status.code(), Some(4), "{}", run.log());
    let way_out = format!("SELECT pg_drop_replication_slot('{SLOT}');");
    assert!(run.log().contains(&way_out), "{}", run.log());
    let slots = "SELECT string_agg(slot_name, ' ') FROM pg_replication_slots";
    assert_eq!(shop.text(slots).await, SLOT);
    shop.execute(&way_out).await;
    catch_up(&workspace).await;
    assert_eq!(shop.text(slots).await, "other_acme_main");
}

/// Changes behind the slot's back, and what the gap says.
async fn a_gap_after(test: &str, disturbance: &str, reason: &str) {
    let Some((shop, workspace)) = started(test).await else { return };
    shop.execute("INSERT INTO stock VALUES (1, 1)").await;
    catch_up(&workspace).await;
    shop.execute("INSERT INTO stock VALUES (2, 2)").await;
    shop.execute(disturbance).await;
    catch_up(&workspace).await;
    shop.execute("INSERT INTO stock VALUES (3, 3)").await;
    catch_up(&workspace).await;
    let published = published(&workspace);
    assert_eq!(published.texts("SELECT kind FROM control ORDER BY seq"), ["gap", "epoch_bumped"]);
    let gap = published.texts("SELECT value FROM control WHERE kind = 'gap'").pop().unwrap();
    assert!(gap.contains(reason), "{gap}");
    let events = published.events();
    let last = events.last().unwrap();
    assert_eq!(last.key, "acme/main/3/_");
    assert!(last.version.starts_with("00000002."), "versions begin a new epoch: {}", last.version);
    let checkpoint = published.texts("SELECT value FROM checkpoints").pop().unwrap();
    assert!(checkpoint.contains(r#""dirty_tables":{"public.stock":"#), "{checkpoint}");
}

#[tokio::test]
async fn a_slot_that_was_dropped_is_a_gap() {
    let drop = format!("SELECT pg_drop_replication_slot('{SLOT}')");
    a_gap_after("a_slot_that_was_dropped", &drop, "is gone").await;
}

#[tokio::test]
async fn a_slot_that_was_moved_ahead_is_a_gap() {
    let advance =
        format!("SELECT pg_replication_slot_advance('{SLOT}', pg_current_wal_insert_lsn())");
    a_gap_after("a_slot_that_was_moved_ahead", &advance, "ahead of the checkpoint").await;
}

#[tokio::test]
async fn a_slot_that_was_made_anew_is_a_gap() {
    let again = format!(
        "SELECT pg_drop_replication_slot('{SLOT}');
         SELECT pg_create_logical_replication_slot('{SLOT}', 'pgoutput')"
    );
    a_gap_after("a_slot_that_was_made_anew", &again, "ahead of the checkpoint").await;
}

#[tokio::test]
async fn a_publication_that_changed_while_away_is_a_gap() {
    let filter = "ALTER PUBLICATION tailstock SET TABLE stock WHERE (item > 2)";
    a_gap_after("a_publication_that_changed", filter, "the publication has changed").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deletes_behind_a_changed_table_survive_broken_connections() {
    let test = "deletes_behind_a_changed_table_survive_broken_connections";
    let Some((shop, workspace)) = started(test).await else { return };
    let running = Tailstock::start(&workspace, &["run"]);
    let disconnect = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                      WHERE application_name LIKE 'tailstock%'";
    for item in 1..=30 {
        shop.execute(&format!("INSERT INTO stock (item, qty) VALUES ({item}, 1)")).await;
        shop.execute(&format!("ALTER TABLE stock ADD extra_{item} int")).await;
        // Whatever is asked of the server about the new columns is cut off.
        shop.execute(disconnect).await;
        shop.execute(&format!("DELETE FROM stock WHERE item = {item}")).await;
        shop.execute(disconnect).await;
    }
    eventually("every row and its removal", Duration::from_secs(60), async || {
        (published(&workspace).count("events") >= 60).then_some(())
    })
    .await;
    let by_key = published(&workspace).by_key();
    assert_eq!(by_key.len(), 30);
    for (key, states) in by_key {
        assert_eq!(states, [on_hand("1"), State::Removed], "{key}");
    }
    assert_eq!(published(&workspace).count("control WHERE kind = 'gap'"), 0, "{}", running.log());
}
