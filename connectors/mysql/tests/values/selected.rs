//! What a snapshot reads of a value is what the log says of it.

use connector_api::{Connector as _, SourceEvent};
use connector_mysql::MysqlConnector;

use super::*;
use crate::support::shelf::Shelf;

#[tokio::test(flavor = "multi_thread")]
async fn every_value_is_read_from_its_table_as_from_the_log() {
    for version in all_mysql_versions() {
        let options = MysqlOptions::default().setting("sync_binlog", "0");
        let options = options.setting("innodb_flush_log_at_trx_commit", "0");
        let test = "every value from its table as from the log";
        let Some(server) = mysql_or_skip(version, &options, test) else { continue };
        let types = cases::of(version);
        create(&server, &types);
        for way in ways(version) {
            let metadata = way.metadata;
            server.execute(&format!("set global binlog_row_metadata = {metadata}")).unwrap();
            compare(&server, &types, metadata).await;
        }
    }
}

async fn compare(server: &Mysql, types: &[Type], metadata: &str) {
    let recorded = Recorded::of(server, || {
        for (nth, of) in types.iter().enumerate() {
            server.execute(&insert(nth, of)).unwrap_or_else(|why| panic!("{}: {why}", of.name));
        }
    });
    let logged = Found::of(&recorded, capture(server, Columns::All), catalog(server));
    let url = server.url("root", server.database());
    let config =
        connector_mysql::MysqlConfig::parse(&format!("{url}?ssl-mode=disabled"), 71).unwrap();
    let connector = MysqlConnector::new(config);
    assert_eq!(connector.database(), server.database());
    let mut shelf = Shelf::of(&connector, server.database()).await;
    let mut wrong = Vec::new();
    for (nth, of) in types.iter().enumerate() {
        let mut selected = Found { images: BTreeMap::new(), unreadable: Vec::new() };
        for chunk in shelf.chunks(&format!("t{nth}"), &["id", "v", "z"], 3).await {
            let rows = chunk.rows.events().iter();
            for event in rows.filter(|event| matches!(event, SourceEvent::Row(_))) {
                selected.take(&chunk.rows, event);
            }
        }
        for id in 0..=of.values.len() {
            let (wanted, found) = (&logged.images[&(nth, id)], selected.images.get(&(nth, id)));
            if found != Some(wanted) {
                let cut = |text: String| text.chars().take(200).collect::<String>();
                let (wanted, found) = (format!("{wanted:?}"), format!("{found:?}"));
                wrong.push(format!("{} {id}: {} not {}", of.name, cut(found), cut(wanted)));
            }
        }
        server.execute(&format!("delete from t{nth}")).unwrap();
    }
    let place = format!("{} with {metadata}", server.version());
    assert!(wrong.is_empty(), "{place}: {} differ\n{}", wrong.len(), wrong.join("\n"));
}
