//! Files of the log that somebody removes behind the server's back.

use connector_api::{Connector as _, Continuity};
use testbed::{MysqlOptions, all_mysql_versions};

use crate::support::{Shop, within};

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_listed_and_gone_from_the_disk_is_a_gap() {
    for version in all_mysql_versions() {
        let options = MysqlOptions::default().controlled();
        let Some(shop) = Shop::start_with(version, &options, "a_file_that_is_listed") else {
            continue;
        };
        let (connector, capture) = (shop.connector(), shop.tables(&["stock"]));
        let point = within("a place", connector.establish(&capture)).await.unwrap();
        let file = point.position.as_str().split('/').nth(1).unwrap();
        shop.sql("insert into stock values (1, 10, 'a'); flush binary logs");
        shop.sql("insert into stock values (2, 20, 'b'); flush binary logs");
        let files = shop.server.query("show binary logs").unwrap();
        let names: Vec<&str> = files.iter().map(|row| row[0].as_deref().unwrap()).collect();
        let nth = names.iter().position(|name| *name == file).unwrap();
        // The one behind the checkpoint's, then that one too.
        for gone in [names[nth + 1], file] {
            std::fs::remove_file(shop.server.data_dir().unwrap().join(gone)).unwrap();
            let survey = within("a survey", connector.survey(&capture, Some(&point))).await;
            let found = survey.unwrap().continuity;
            let words = format!("{gone} is listed, and is not there any more");
            let is_told = matches!(&found, Continuity::Broken { reason, .. } if *reason == words);
            assert!(is_told, "{found:?} on {version}");
        }
        let anew = within("a place", connector.establish(&capture)).await.unwrap();
        let survey = within("a survey", connector.survey(&capture, Some(&anew))).await.unwrap();
        assert_eq!(survey.continuity, Continuity::Intact);
    }
}
