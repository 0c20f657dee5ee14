//! How long the log that has not been read is still there.

use connector_api::{Connector as _, LogKeeping};
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
        let place = connector.establish(&shop.tables(&["stock"])).await.unwrap().position;
        let headroom = async || {
            let LogKeeping { retained_bytes, is_limited, headroom_seconds, .. } =
                connector.log_keeping(Some(&place)).await.unwrap();
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
