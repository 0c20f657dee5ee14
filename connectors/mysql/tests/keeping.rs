//! How long the log that has not been read is still there.

use connector_api::{Connector as _, LogKeeping};
use connector_mysql::{MysqlConfig, MysqlConnector};
use testbed::{MysqlOptions, MysqlVersion};

use crate::support::Shop;

/// Which setting says how long, and for how many seconds.
fn limit(version: MysqlVersion) -> (&'static str, u64) {
    match version {
        // The oldest MariaDB counts in days.
        MysqlVersion::Mariadb105 => ("expire_logs_days", 86_400),
        _ => ("binlog_expire_logs_seconds", 86_400),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_time_until_unread_log_is_removed_is_known() {
    for version in testbed::all_mysql_versions() {
        let test = "the_time_until_unread_log_is_removed";
        let options = MysqlOptions::default().controlled();
        let Some(shop) = Shop::start_with(version, &options, test) else { continue };
        let (setting, seconds) = limit(version);
        let value = if setting == "expire_logs_days" { 1 } else { seconds };
        shop.sql(&format!("set global {setting} = {value}"));
        let connector = shop.connector();
        let point = connector.establish(&shop.tables(&["stock"])).await.unwrap();
        let place = (&point.lineage, &point.position);
        let headroom = async || {
            let LogKeeping { retained_bytes, is_limited, headroom_seconds, .. } =
                connector.log_keeping(Some(place)).await.unwrap();
            assert_eq!((retained_bytes, is_limited), (None, true));
            headroom_seconds
        };
        assert_eq!(headroom().await, Some(seconds), "the file is being written");
        shop.sql("flush binary logs");
        let left = headroom().await.unwrap();
        assert!((seconds - 600..=seconds).contains(&left), "{left}");
        assert_eq!(connector.log_keeping(None).await.unwrap().headroom_seconds, None);
        shop.sql(&format!("set global {setting} = 0"));
        assert_eq!(headroom().await, None, "kept for ever");
    }
}

/// Whoever asks knows whose log it is, and not which of the hosts that is.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_to_read_is_asked_of_the_server_that_is_followed() {
    let test = "what_is_left_to_read";
    for version in [MysqlVersion::Mysql97, MysqlVersion::Mariadb1011, MysqlVersion::Mariadb118] {
        let start = || Shop::start_with(version, &MysqlOptions::default().controlled(), test);
        let (Some(other), Some(shop)) = (start(), start()) else { continue };
        let hosts = [&other, &shop].into_iter().flat_map(|shop| shop.config().hosts).collect();
        let connector = MysqlConnector::new(MysqlConfig { hosts, ..shop.config() });
        let point = shop.connector().establish(&shop.tables(&["stock"])).await.unwrap();
        let place = Some((&point.lineage, &point.position));
        assert_eq!(connector.log_keeping(place).await.unwrap().unread_bytes, Some(0));
        for id in 0..3 {
            shop.sql(&format!("insert into stock values ({id}, 1, repeat('a', 60000))"));
            shop.sql("flush binary logs");
        }
        let files = shop.server.query("show binary logs").unwrap();
        let behind = files[files.len() - 3..].iter();
        let size = |row: &Vec<Option<String>>| row[1].as_deref().unwrap().parse::<u64>().unwrap();
        let unread = connector.log_keeping(place).await.unwrap().unread_bytes.unwrap();
        assert!(unread > behind.map(size).sum::<u64>() + 60_000, "{unread} of {files:?}");
        if version == MysqlVersion::Mariadb118 {
            shop.sql("set global max_binlog_total_size = 1073741824");
            let left = connector.log_keeping(place).await.unwrap().headroom_bytes.unwrap();
            assert!((1 << 29..(1 << 30) - unread).contains(&left), "{left}");
        }
    }
}
