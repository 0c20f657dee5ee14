//! What it proves: a person has a table read as a whole, while a process runs and while none does.

use std::net::TcpListener;
use std::time::Duration;

use testbed::{MysqlVersion, PgVersion};

use crate::support::{Engine, Published, Shop, Tailstock, Workspace, eventually};

const SELLER: &str = "[[stock]]\ntable = \"public.stock\"\nitem = \"item\"\non_hand = \"qty\"\n";
const LIMIT: Duration = Duration::from_secs(60);

/// Runs a command to its end: its exit code, and what it has said.
async fn command(workspace: &Workspace, arguments: &[&str]) -> (Option<i32>, String) {
    // Beside the log of the process that runs.
    let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_tailstock"))
        .arg("--config")
        .arg(workspace.path("tailstock.toml"))
        .args(arguments)
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(LIMIT, output).await.unwrap().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).unwrap())
}

fn completed(workspace: &Workspace) -> u64 {
    let published = Published::open(&workspace.path("stock.db"));
    published.count("control WHERE kind = 'snapshot_completed'")
}

async fn a_table_is_read_when_somebody_asks(engine: Engine, test: &str) {
    let Some(shop) = Shop::start(engine, test).await else { return };
    shop.create("stock", "item bigint PRIMARY KEY, qty int").await;
    shop.execute("INSERT INTO stock VALUES (1, 1), (2, 2), (3, 3)").await;
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let main = Workspace::MAIN.replace("listen = \"\"", &format!("listen = \"{address}\""));
    let seller = shop.whole_seller(SELLER);
    let workspace = Workspace::new(&main, &seller);
    let table = if shop.is_mysql() {
        let start = seller.find("table = \"").unwrap() + "table = \"".len();
        seller[start..].split('"').next().unwrap().to_owned()
    } else {
        "public.stock".to_owned()
    };
    let mut run = Tailstock::start(&workspace, &["run"]);
    eventually("the first snapshot", LIMIT, async || {
        let path = workspace.path("stock.db");
        Published::has_begun(&path, "levels", 3).then_some(())
    })
    .await;
    eventually("its end", LIMIT, async || (completed(&workspace) == 1).then_some(())).await;
    let (code, said) = command(&workspace, &["snapshot", "acme"]).await;
    let wanted = format!("acme/main: read as a whole: {table}\n");
    assert_eq!((code, said), (Some(0), wanted), "{}", run.log());
    assert_eq!(completed(&workspace), 2);
    let (code, said) = command(&workspace, &["snapshot", "acme", &table, "--json"]).await;
    assert!(code == Some(0) && said.contains("\"state\":\"completed\""), "{said}");
    assert_eq!(completed(&workspace), 3);
    let (code, said) = command(&workspace, &["snapshot", "acme", "public.nothing"]).await;
    assert!(code == Some(2) && said.contains("they read: "), "{said}");
    run.signal(rustix::process::Signal::TERM);
    assert!(run.wait(LIMIT).await.success(), "{}", run.log());

    let (code, said) = command(&workspace, &["snapshot", "acme", &table]).await;
    assert!(code == Some(0) && said.contains("at the next start; no process runs"), "{said}");
    assert_eq!(completed(&workspace), 3);
    let (code, said) = command(&workspace, &["run", "--until-current"]).await;
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(completed(&workspace), 4);
    assert_eq!(Published::open(&workspace.path("stock.db")).count("levels"), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_of_postgresql_is_read_when_somebody_asks() {
    let test = "a_table_of_postgresql_is_read_when_somebody_asks";
    a_table_is_read_when_somebody_asks(PgVersion::V15.into(), test).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_of_mariadb_is_read_when_somebody_asks() {
    let test = "a_table_of_mariadb_is_read_when_somebody_asks";
    a_table_is_read_when_somebody_asks(MysqlVersion::Mariadb1011.into(), test).await;
}
