//! How much log a server keeps for us is known, and it can be relieved of it.

use connector_api::{Connector as _, Fault, LogKeeping};
use connector_postgres::{PostgresConfig, PostgresConnector};
use testbed::PostgresOptions;

use crate::support::{Reader, Shop, tables};

#[tokio::test(flavor = "multi_thread")]
async fn what_a_slot_holds_is_told_and_given_up_although_we_read_it() {
    for shop in Shop::of_each_version("what_a_slot_holds") {
        let connector = shop.connector();
        assert_eq!(connector.log_keeping(None).await.unwrap(), LogKeeping::default());
        let stream = shop.stream(&["stock"]).await;
        let before = connector.log_keeping(None).await.unwrap();
        shop.sql("insert into stock values (1, 1)");
        shop.sql("select pg_switch_wal()");
        shop.sql("insert into stock values (2, 2)");
        let LogKeeping { retained_bytes, is_limited, headroom_bytes, headroom_seconds, .. } =
            connector.log_keeping(None).await.unwrap();
        assert!(retained_bytes > before.retained_bytes, "{retained_bytes:?} {before:?}");
        assert_eq!((is_limited, headroom_bytes, headroom_seconds), (false, None, None));
        let stranger = PostgresConfig { application_name: "other".to_owned(), ..shop.config() };
        let error = PostgresConnector::new(stranger).release_log().await.unwrap_err();
        assert!(matches!(error.fault(), Fault::Held { .. }), "{error}");
        connector.release_log().await.unwrap();
        assert_eq!(shop.value("select count(*) from pg_replication_slots"), "0");
        connector.release_log().await.unwrap();
        drop(stream);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_of_ours_is_known_by_whatever_name_it_was_given() {
    let long = "a name of sixty bytes, of which the server shows only so many";
    for shop in Shop::of_each_version("names") {
        for name in [long, "Müller & Söhne\t(Köln)", ""] {
            let config = PostgresConfig {
                application_name: name.to_owned(),
                installation: Some("0123456789abcdef".to_owned()),
                ..shop.config()
            };
            let connector = PostgresConnector::new(config);
            let capture = tables(&["stock"]);
            // Of a process that sleeps.
            let asleep = Reader::start(&connector, capture.clone()).await;
            connector.survey(&capture, None).await.unwrap();
            let reader = Reader::start(&connector, capture.clone()).await;
            connector.release_log().await.unwrap();
            assert_eq!(shop.value("select count(*) from pg_replication_slots"), "0");
            drop((asleep, reader));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_servers_own_limit_is_known() {
    for version in testbed::all_versions() {
        let options = PostgresOptions::default().setting("max_slot_wal_keep_size", "1GB");
        let Some(shop) = Shop::start_with(version, options, "the_servers_own_limit") else {
            continue;
        };
        let stream = shop.stream(&["stock"]).await;
        let keeping = shop.connector().log_keeping(None).await.unwrap();
        assert!(keeping.is_limited && keeping.headroom_bytes.unwrap() > 900 << 20, "{keeping:?}");
        drop(stream);
    }
}
