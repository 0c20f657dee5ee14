//! What it proves: real shops load as they are shipped, and what `tail` prints of each statement a
//! shop would make is what `SELECT` says before and after it.
//!
//! | file | owns |
//! |---|---|
//! | `server` | a server with a shop in it, from the folder that `TAILSTOCK_FIXTURES` names |
//! | `ledger` | what the tables hold by `SELECT`, and what they must hold by the lines of `tail` |
//! | `tail` | a `tailstock tail` and its lines |
//! | `opencart`, `zencart`, `dolibarr`, `sylius` | what a shop of that kind does |

mod dolibarr;
mod ledger;
mod opencart;
mod server;
mod sylius;
mod tail;
mod zencart;

use testbed::{MysqlVersion, all_mysql_versions};

use crate::support::is_full_size;
use ledger::Ledger;
use server::ShopServer;
use tail::Tail;

/// A shop as it is shipped, and what happens in it.
struct Platform {
    name: &'static str,
    /// Files of the fixtures, in the order they are loaded.
    files: &'static [&'static str],
    /// What `tail` is asked for.
    patterns: &'static [&'static str],
    /// What of that the statements change.
    tables: &'static [&'static str],
    statements: &'static [&'static str],
}

/// Begins a statement that fails in the middle; a table without transactions keeps what it did.
const FAILS: &str = "-- fails\n";

fn streams(platform: &Platform) {
    assert!(platform.statements.len() >= 30, "{}", platform.statements.len());
    for version in versions() {
        let Some(server) = ShopServer::load(version, platform) else { continue };
        let mut tail = Tail::start(&server, platform.patterns);
        let mut ledger = Ledger::of(&server, platform.tables);
        for sql in platform.statements {
            let what = format!("{} on {version}: {sql}", platform.name);
            server.run(sql);
            let lines = tail.lines_until_now(&server);
            if sql.starts_with("ALTER") {
                assert_eq!(lines.len(), 0, "{what}");
                ledger = Ledger::of(&server, platform.tables);
                continue;
            }
            assert!(!lines.is_empty(), "{what}: nothing came of it");
            for line in &lines {
                ledger.apply(line, &what);
            }
            ledger.assert_is(&Ledger::of(&server, platform.tables), &what);
        }
        tail.end();
    }
}

/// All in the full size; else one of each family, whose catalogs and logs differ.
fn versions() -> Vec<MysqlVersion> {
    let either = [MysqlVersion::Mysql97, MysqlVersion::Mariadb118];
    let mut versions = all_mysql_versions();
    versions.retain(|version| is_full_size() || either.contains(version));
    versions
}

#[test]
fn an_opencart_shop_streams_as_it_is_shipped() {
    streams(&opencart::SHOP);
}

#[test]
fn a_zen_cart_shop_streams_as_it_is_shipped() {
    streams(&zencart::SHOP);
}

#[test]
fn a_dolibarr_shop_streams_as_it_is_shipped() {
    streams(&dolibarr::SHOP);
}

#[test]
fn a_sylius_shop_streams_as_it_is_shipped() {
    streams(&sylius::SHOP);
}
