//! What it proves: a seller that goes leaves nothing on its server, and nobody takes anything away
//! from a process that works.

use std::time::Duration;

use testbed::{MysqlVersion, PgVersion};

use crate::support::{Engine, Published, Shop, Tailstock, Workspace, by_version, eventually};

const SELLER: &str = "[[stock]]\ntable = \"public.stock\"\nitem = \"item\"\non_hand = \"qty\"\n";
const LIMIT: Duration = Duration::from_secs(60);

/// Runs a command to its end: its exit code, and everything it has said.
async fn command(workspace: &Workspace, arguments: &[&str]) -> (Option<i32>, String) {
    let log = workspace.path("log.txt");
    let before = std::fs::read_to_string(&log).unwrap_or_default().len();
    let mut run = Tailstock::start(workspace, arguments);
    let code = run.wait(LIMIT).await.code();
    (code, run.log()[before..].to_owned())
}

fn published(workspace: &Workspace) -> Published {
    Published::open(&workspace.path("stock.db"))
}

/// A shop whose two rows have been published, and nobody who follows it.
async fn started(engine: Engine, test: &str) -> Option<(Shop, Workspace)> {
    let shop = Shop::start(engine, test).await?;
    shop.create("stock", "item bigint PRIMARY KEY, qty int").await;
    let workspace = Workspace::new(Workspace::MAIN, &shop.seller(SELLER));
    let (code, said) = command(&workspace, &["run", "--until-current"]).await;
    assert_eq!(code, Some(0), "{said}");
    shop.execute("INSERT INTO stock VALUES (1, 1), (2, 2)").await;
    let (code, said) = command(&workspace, &["run", "--until-current"]).await;
    assert_eq!(code, Some(0), "{said}");
    Some((shop, workspace))
}

/// While a process works, both commands say who it is, and change nothing.
async fn refused_while_followed(workspace: &Workspace) {
    let times = |log: &str| log.matches("connected").count();
    let before = times(&std::fs::read_to_string(workspace.path("log.txt")).unwrap());
    let mut run = Tailstock::start(workspace, &["run"]);
    eventually("it streams", LIMIT, async || (times(&run.log()) > before).then_some(())).await;
    for arguments in [&["detach", "acme"][..], &["forget", "acme", "--yes"]] {
        let (code, said) = command(workspace, arguments).await;
        let holder = format!("is in use by tailstock, process {}", run.pid());
        assert!(code == Some(3) && said.contains(&holder), "{said}");
    }
    run.assert_runs();
    run.signal(rustix::process::Signal::TERM);
    assert!(run.wait(LIMIT).await.success(), "{}", run.log());
    assert_eq!(published(workspace).count("levels"), 2);
}

async fn forgotten(workspace: &Workspace) {
    let (code, said) = command(workspace, &["forget", "acme"]).await;
    assert!(code == Some(2) && said.contains("fix: say so: --yes"), "{said}");
    assert_eq!(published(workspace).count("checkpoints"), 1);
    let (code, said) = command(workspace, &["forget", "acme", "--yes"]).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("forgotten, with 2 levels"), "{said}");
    let published = published(workspace);
    let left = ["levels", "rows"].map(|table| published.count(table));
    assert_eq!((left, published.count("events")), ([0, 0], 2));
    let (_, said) = command(workspace, &["status"]).await;
    assert!(said.contains("never_started"), "{said}");
    let (code, said) = command(workspace, &["forget", "acme", "--yes"]).await;
    assert_eq!(code, Some(0), "a second time: {said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_seller_on_postgresql_is_detached_and_forgotten() {
    let test = "a_seller_on_postgresql_is_detached";
    let Some((shop, workspace)) = started(PgVersion::V15.into(), test).await else { return };
    refused_while_followed(&workspace).await;
    let slots = "SELECT count(*)::text FROM pg_replication_slots";
    assert_eq!(shop.text(slots).await, "1");
    let (code, said) = command(&workspace, &["detach", "acme"]).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("slot test_acme_main is dropped"), "{said}");
    assert!(said.contains("DROP PUBLICATION tailstock;"), "{said}");
    assert_eq!(shop.text(slots).await, "0");
    // What is stored is still there, and a start knows that it cannot go on from it.
    let (code, said) = command(&workspace, &["run", "--until-current"]).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(published(&workspace).texts("SELECT kind FROM control").contains(&"gap".to_owned()));
    forgotten(&workspace).await;
    assert_eq!(shop.text(slots).await, "0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_seller_on_mariadb_is_detached_and_forgotten() {
    let test = "a_seller_on_mariadb_is_detached";
    let engine = MysqlVersion::Mariadb1011.into();
    let Some((_shop, workspace)) = started(engine, test).await else { return };
    refused_while_followed(&workspace).await;
    let (code, said) = command(&workspace, &["detach", "acme"]).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("the server keeps nothing for us"), "{said}");
    forgotten(&workspace).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_seller_whose_server_is_gone_can_be_forgotten() {
    let test = "a_seller_whose_server_is_gone";
    let Some((shop, workspace)) = started(PgVersion::V15.into(), test).await else { return };
    drop(shop);
    let (code, said) = command(&workspace, &["forget", "acme", "--yes"]).await;
    assert_eq!(code, Some(1), "{said}");
    assert_eq!(published(&workspace).count("levels"), 2);
    let arguments = ["forget", "acme", "--yes", "--without-server"];
    let (code, said) = command(&workspace, &arguments).await;
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(published(&workspace).count("levels"), 0);
}

/// Its server counts from the beginning again, as one does that was restored.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_seller_that_is_forgotten_and_comes_back_is_believed_by_who_goes_by_versions() {
    let test = "a_seller_that_is_forgotten_and_comes_back";
    let engine = MysqlVersion::Mariadb1011.into();
    let Some((shop, workspace)) = started(engine, test).await else { return };
    shop.execute("FLUSH BINARY LOGS").await;
    shop.execute("UPDATE stock SET qty = 5 WHERE item = 1").await;
    let (code, said) = command(&workspace, &["run", "--until-current"]).await;
    assert_eq!(code, Some(0), "{said}");
    for _ in 0..2 {
        let (code, said) = command(&workspace, &["forget", "acme", "--yes"]).await;
        assert_eq!(code, Some(0), "{said}");
    }
    shop.execute("RESET MASTER").await;
    for change in ["FLUSH TABLES", "UPDATE stock SET qty = qty + 10"] {
        shop.execute(change).await;
        let (code, said) = command(&workspace, &["run", "--until-current"]).await;
        assert_eq!(code, Some(0), "{said}");
    }
    let published = published(&workspace);
    let held = by_version(published.events());
    let expected = [("acme/main/1/_", "15"), ("acme/main/2/_", "12")]
        .map(|(key, on_hand)| (key.to_owned(), Some(on_hand.to_owned())));
    assert_eq!(held, expected.into());
    assert_eq!(published.levels(), held);
    let kinds = published.texts("SELECT kind FROM control");
    assert!(kinds.contains(&"epoch_bumped".to_owned()), "{kinds:?}");
}

/// A command to forget it that fails because nothing can be taken out of this table.
async fn forgotten_but_for(table: &str, workspace: &Workspace) {
    let store = rusqlite::Connection::open(workspace.path("stock.db")).unwrap();
    let kept = format!("BEFORE DELETE ON {table} BEGIN SELECT RAISE(ABORT, 'kept'); END");
    store.execute_batch(&format!("CREATE TRIGGER kept {kept}")).unwrap();
    let (code, said) = command(workspace, &["forget", "acme", "--yes"]).await;
    assert!(code != Some(0) && said.contains("kept"), "{code:?}: {said}");
    store.execute_batch("DROP TRIGGER kept").unwrap();
}

/// Its server keeps nothing for us: what is stored is all there is to begin from.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_seller_that_is_forgotten_half_way_and_started_again_has_the_numbers_of_its_shop() {
    let test = "a_seller_that_is_forgotten_half_way";
    let engine = MysqlVersion::Mariadb1011;
    let Some(shop) = Shop::start(engine, test).await else { return };
    shop.create("lots", "id bigint PRIMARY KEY, item bigint, qty int").await;
    shop.execute("INSERT INTO lots VALUES (1, 7, 10), (2, 7, 20), (3, 8, 5), (4, 9, 4)").await;
    let seller = "[[stock]]\ntable = \"public.lots\"\nitem = \"item\"\non_hand = \"qty\"\n\
                  sum = [\"qty\"]\n";
    let workspace = Workspace::new(Workspace::MAIN, &shop.whole_seller(seller));
    let (code, said) = command(&workspace, &["run", "--until-current"]).await;
    assert_eq!(code, Some(0), "{said}");
    let rows_kept = ["DELETE FROM lots WHERE id = 3", "UPDATE lots SET qty = 11 WHERE id = 1"];
    let levels_kept = ["DELETE FROM lots WHERE item = 7", "INSERT INTO lots VALUES (5, 6, 2)"];
    for (table, changes, expected) in [
        ("rows", rows_kept, &[("7", "31"), ("9", "4")]),
        ("levels", levels_kept, &[("6", "2"), ("9", "4")]),
    ] {
        forgotten_but_for(table, &workspace).await;
        for change in changes {
            shop.execute(change).await;
        }
        let (code, said) = command(&workspace, &["run", "--until-current"]).await;
        assert_eq!(code, Some(0), "{said}");
        let published = published(&workspace);
        let level = |(item, on_hand): &(&str, &str)| {
            (format!("acme/main/{item}/_"), Some((*on_hand).to_owned()))
        };
        assert_eq!(published.levels(), expected.iter().map(level).collect(), "{table}: {said}");
        assert_eq!(by_version(published.events()), published.levels(), "{table}");
    }
}
