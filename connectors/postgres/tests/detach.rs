//! What a server keeps for us is freed, and what is left can be undone with what is printed.

use connector_api::{Connector as _, Detached, Fault};
use connector_postgres::{PostgresConfig, PostgresConnector, Slot};

use crate::support::Shop;

fn slots(shop: &Shop) -> String {
    shop.value("select count(*) from pg_replication_slots")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_is_dropped_once_nobody_reads_it_and_the_dba_can_undo_the_rest() {
    for shop in Shop::of_each_version("a_slot_is_dropped") {
        shop.sql(
            "create role \"Tail\" login replication;
             grant usage on schema public to \"Tail\";
             grant connect on database postgres to \"Tail\";
             grant select (id, qty) on stock to \"Tail\"",
        );
        let config = PostgresConfig { user: "Tail".to_owned(), ..shop.config() };
        let connector = PostgresConnector::new(config);
        let stream = shop.stream(&["stock"]).await;
        let error = connector.detach().await.unwrap_err();
        assert!(matches!(error.fault(), Fault::Held { by } if by.contains("tailstock")), "{error}");
        assert_eq!(slots(&shop), "1");
        drop(stream);
        shop.wait_for_free_slot();
        let Detached { done, left } = connector.detach().await.unwrap();
        assert_eq!(done, ["slot acme is dropped: the server keeps no log for it any more"]);
        assert_eq!(slots(&shop), "0");
        let wanted = [
            "DROP PUBLICATION tailstock;",
            "REVOKE ALL ON TABLE public.stock FROM \"Tail\";",
            "REVOKE ALL ON SCHEMA public FROM \"Tail\";",
            "REVOKE ALL ON DATABASE postgres FROM \"Tail\";",
            "DROP ROLE \"Tail\";",
        ];
        assert_eq!(left, wanted);
        left.iter().for_each(|statement| shop.sql(statement));
        // A role that owns the shop is nobody's to drop.
        let Detached { done, left } = shop.connector().detach().await.unwrap();
        assert_eq!((&done[..], left.is_empty()), (&["there is no slot acme".to_owned()][..], true));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_that_was_not_made_by_us_is_left_alone() {
    let Some(shop) = Shop::of_each_version("a_slot_of_others").next() else { return };
    shop.sql("select pg_create_physical_replication_slot('acme')");
    let detached = shop.connector().detach().await.unwrap();
    assert_eq!(detached.done, ["slot acme was made for something else and is left as it is"]);
    assert_eq!(slots(&shop), "1");
    let given = PostgresConfig { slot: Slot::Unconfirmed("acme".to_owned()), ..shop.config() };
    let detached = PostgresConnector::new(given).detach().await.unwrap();
    assert_eq!(detached.done, ["slot acme was not made here and is left as it is"]);
    assert_eq!(slots(&shop), "1");
}
