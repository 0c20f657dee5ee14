//! Tables that are read beside the log: what no other connector has.

mod broken;
mod fences;
mod keys;
mod rights;

use testbed::{MysqlOptions, MysqlVersion, all_mysql_versions};

use crate::support::Shop;

/// A shop on every server, with these settings.
fn each(test: &str, settings: &[(&str, &str)]) -> Vec<Shop> {
    all_mysql_versions().into_iter().filter_map(|version| shop(version, test, settings)).collect()
}

fn shop(version: MysqlVersion, test: &str, settings: &[(&str, &str)]) -> Option<Shop> {
    let options = settings
        .iter()
        .fold(MysqlOptions::default(), |options, (name, value)| options.setting(name, value));
    Shop::start_with(version, &options, test)
}
