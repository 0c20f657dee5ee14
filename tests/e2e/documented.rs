//! What it proves: a MySQL or MariaDB shop that is prepared as the README says can be followed,
//! with nothing granted but what stands there.

use std::time::Duration;

use testbed::{Mysql, MysqlOptions, MysqlVersion, mysql_or_skip};

use crate::support::{Published, Tailstock, Workspace, eventually};

const PASSWORD: &str = "not a secret";

/// The block of the README in this language that holds `word`.
fn block(language: &str, word: &str) -> String {
    let readme = include_str!("../../README.md");
    let fence = format!("```{language}\n");
    let mut texts = readme.split(&fence).skip(1).map(|block| block.split("```").next().unwrap());
    texts.find(|text| text.contains(word)).unwrap().to_owned()
}

/// What a shop's own server can: one of MariaDB before 11.4 makes no certificate by itself.
fn tls(version: MysqlVersion) -> &'static str {
    if version.is_mariadb() { "disabled" } else { "required" }
}

fn prepared(version: MysqlVersion) -> Option<Mysql> {
    let options = MysqlOptions::default().setting("binlog_row_metadata", "FULL");
    let server = mysql_or_skip(version, &options, "a shop prepared as the README says")?;
    let mut grants = block("sql", "REPLICATION SLAVE").replace("'...'", &format!("'{PASSWORD}'"));
    if version.is_mariadb() {
        grants = grants.replace(" REQUIRE SSL", "");
    }
    server.execute("CREATE TABLE stock (product_id bigint PRIMARY KEY, qty int)").unwrap();
    server.execute(&grants).unwrap();
    Some(server)
}

fn workspace(server: &Mysql) -> Workspace {
    let place = format!("127.0.0.1:{}/shop?ssl-mode={}", server.port(), tls(server.version()));
    let seller = block("toml", "kind     = \"mysql\"")
        .replace("db.teahouse.example/shop?ssl-mode=verify-identity", &place)
        .replace("/run/secrets/teahouse", "../secret");
    assert!(seller.contains(&place) && seller.contains("../secret"), "{seller}");
    let workspace = Workspace::new(Workspace::MAIN, &seller);
    std::fs::write(workspace.path("secret"), PASSWORD).unwrap();
    workspace
}

/// Runs until all that was in the log at its start is published.
async fn catch_up(workspace: &Workspace) {
    let mut run = Tailstock::start(workspace, &["run", "--until-current"]);
    assert!(run.wait(Duration::from_secs(60)).await.success(), "{}", run.log());
}

async fn is_followed_with_these_grants(version: MysqlVersion) {
    let Some(server) = prepared(version) else { return };
    let workspace = workspace(&server);
    catch_up(&workspace).await;
    server.execute("INSERT INTO stock VALUES (1, 5), (2, 7), (3, 1)").unwrap();
    server.execute("UPDATE stock SET qty = qty - 1 WHERE product_id < 3").unwrap();
    server.execute("DELETE FROM stock WHERE product_id = 3").unwrap();
    catch_up(&workspace).await;
    let published = Published::open(&workspace.path("stock.db"));
    let rows = published.texts("SELECT item || ' ' || on_hand FROM levels ORDER BY item");
    assert_eq!(rows, ["1 4", "2 6"], "{version}");
}

async fn is_tailed_with_these_grants(version: MysqlVersion) {
    let Some(server) = prepared(version) else { return };
    let workspace = workspace(&server);
    let mode = tls(version);
    let url = format!("mysql://tailstock@127.0.0.1:{}/shop?ssl-mode={mode}", server.port());
    let secret = workspace.path("secret").display().to_string();
    let arguments = ["tail", "--url", &url, "--password-file", &secret, "--table", "shop.stock"];
    let tail = Tailstock::start(&workspace, &arguments);
    let dumps = "SELECT EXISTS (SELECT * FROM information_schema.processlist
        WHERE command LIKE 'Binlog Dump%')";
    server.wait_until(dumps, Duration::from_secs(30)).unwrap_or_else(|error| {
        panic!("{version}: {error:?}\n{}", tail.log());
    });
    server.execute("INSERT INTO stock VALUES (1, 5)").unwrap();
    let told = "\"table\":\"stock\",\"op\":\"insert\",\"before\":{},\
                \"after\":{\"product_id\":1,\"qty\":5}}";
    eventually(told, Duration::from_secs(10), async || tail.log().contains(told).then_some(()))
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mysql_shop_is_followed_with_the_grants_of_the_readme() {
    is_followed_with_these_grants(MysqlVersion::Mysql97).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mariadb_shop_is_followed_with_the_grants_of_the_readme() {
    is_followed_with_these_grants(MysqlVersion::Mariadb1011).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mysql_shop_is_tailed_with_the_grants_of_the_readme() {
    is_tailed_with_these_grants(MysqlVersion::Mysql97).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mariadb_shop_is_tailed_with_the_grants_of_the_readme() {
    is_tailed_with_these_grants(MysqlVersion::Mariadb1011).await;
}
