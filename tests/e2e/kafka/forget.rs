//! What it proves: a seller leaves the topics, and nobody shuts a process out for it unasked.

use std::time::Duration;

use testbed::{MysqlVersion, PgVersion};

use crate::support::{Shop, Tailstock, Topics, Workspace, by_version, eventually, shared_broker};

const SELLER: &str = "[[stock]]\ntable = \"public.stock\"\nitem = \"item\"\non_hand = \"qty\"\n";
const LIMIT: Duration = Duration::from_secs(60);

/// Runs a command to its end: its exit code, and everything it has said.
async fn command(workspace: &Workspace, arguments: &[&str]) -> (Option<i32>, String) {
    let before = std::fs::read_to_string(workspace.path("log.txt")).unwrap_or_default().len();
    let mut run = Tailstock::start(workspace, arguments);
    let code = run.wait(LIMIT).await.code();
    (code, run.log()[before..].to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_seller_is_forgotten_once_its_process_has_ended() {
    let test = "a_seller_is_forgotten_once";
    let Some(kafka) = shared_broker(test).await else { return };
    let Some(shop) = Shop::start(PgVersion::V15, test).await else { return };
    shop.create("stock", "item bigint PRIMARY KEY, qty int").await;
    let topics = Topics::new(&kafka.bootstrap());
    let workspace = Workspace::new(&topics.main_file(""), &shop.seller(SELLER));
    let mut run = Tailstock::start(&workspace, &["run"]);
    eventually("a slot", LIMIT, async || {
        let slots = "SELECT count(*)::text FROM pg_replication_slots WHERE active";
        (shop.text(slots).await == "1").then_some(())
    })
    .await;
    shop.execute("INSERT INTO stock VALUES (1, 1), (2, 2)").await;
    eventually("both", LIMIT, async || (topics.levels().len() == 2).then_some(())).await;
    // HTTP is off: the shard's own record tells who works.
    let holder = format!("may be in use by process {} on ", run.pid());
    for arguments in [&["forget", "acme", "--yes"][..], &["snapshot", "acme"]] {
        let (code, said) = command(&workspace, arguments).await;
        assert!(code == Some(3) && said.contains(&holder), "{said}");
        assert!(said.contains("--take-over"), "{said}");
    }
    let (code, said) = command(&workspace, &["detach", "acme"]).await;
    assert!(code == Some(3) && said.contains("is in use by"), "{said}");
    let (code, said) = command(&workspace, &["status"]).await;
    let holder = format!("may be held by process {} on ", run.pid());
    assert!(code == Some(0) && said.contains(&holder), "{said}");
    run.assert_runs();
    run.signal(rustix::process::Signal::TERM);
    assert!(run.wait(LIMIT).await.success(), "{}", run.log());
    let (code, said) = command(&workspace, &["snapshot", "acme"]).await;
    assert!(code == Some(0) && said.contains("at the next start"), "{said}");
    let (code, said) = command(&workspace, &["forget", "acme", "--yes"]).await;
    assert!(code == Some(0) && said.contains("forgotten, with 2 levels"), "{said}");
    assert!(topics.levels().is_empty(), "{:?}", topics.levels());
    assert_eq!(shop.text("SELECT count(*)::text FROM pg_replication_slots").await, "0");
    let (_, said) = command(&workspace, &["status"]).await;
    assert!(said.contains("never_started"), "{said}");
}

/// Its server counts from the beginning again, as one does that was restored.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_seller_that_is_forgotten_and_comes_back_is_believed_by_who_goes_by_versions() {
    let test = "a_seller_that_comes_back_into_kafka";
    let Some(kafka) = shared_broker(test).await else { return };
    let Some(shop) = Shop::start(MysqlVersion::Mariadb1011, test).await else { return };
    shop.create("stock", "item bigint PRIMARY KEY, qty int").await;
    shop.execute("INSERT INTO stock VALUES (1, 1), (2, 2)").await;
    shop.execute("FLUSH BINARY LOGS").await;
    let topics = Topics::new(&kafka.bootstrap());
    let workspace = Workspace::new(&topics.main_file(""), &shop.whole_seller(SELLER));
    let run = &["run", "--until-current"][..];
    for arguments in [run, &["forget", "acme", "--yes"]] {
        let (code, said) = command(&workspace, arguments).await;
        assert_eq!(code, Some(0), "{said}");
    }
    shop.execute("RESET MASTER").await;
    shop.execute("UPDATE stock SET qty = qty + 10").await;
    let (code, said) = command(&workspace, run).await;
    assert_eq!(code, Some(0), "{said}");
    let expected = [("acme/main/1/_", "11"), ("acme/main/2/_", "12")]
        .map(|(key, on_hand)| (key.to_owned(), Some(on_hand.to_owned())));
    assert_eq!(by_version(topics.events()), expected.clone().into());
    assert_eq!(topics.levels(), expected.into());
}
