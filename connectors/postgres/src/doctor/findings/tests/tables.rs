//! The publication and the captured tables.

use super::super::super::facts::{Leaf, LeafIdentity};
use super::*;

fn publication(change: impl Fn(&mut PublicationFacts)) -> impl Fn(&mut Facts) {
    move |facts| change(facts.publication.as_mut().unwrap())
}

fn full(facts: &mut Facts) {
    let table = &mut facts.tables[0];
    table.description.identity = Identity::Full;
    table.identity = Some(vec!["id".into(), "sku".into(), "quantity".into()]);
}

#[test]
fn a_missing_publication_comes_with_the_statement_that_makes_it() {
    let missing = one(|facts| facts.publication = None);
    let fix = "CREATE PUBLICATION tailstock FOR TABLE public.stock;";
    assert_blocks(&missing, "publication tailstock", "does not exist", fix);
    let partitioned = one(|facts| {
        facts.publication = None;
        facts.tables[0].kind = "p".into();
    });
    assert!(partitioned.fix.ends_with("WITH (publish_via_partition_root = true);"));
    let mut config = config();
    config.publication = "Shop's".into();
    let mut facts = healthy();
    facts.publication = None;
    let found = findings(&facts, &config, &Capture::default());
    assert!(found[0].fix.starts_with("CREATE PUBLICATION \"Shop's\" FOR TABLE public.stock;"));
}

#[test]
fn a_publication_must_publish_everything_that_happens_to_a_row() {
    let partly = one(publication(|found| found.operations = [true, false, true, false]));
    let fix = "SET (publish = 'insert, update, delete, truncate');";
    assert_blocks(&partly, "publication tailstock", "publish update, truncate", fix);
}

#[test]
fn a_captured_table_must_exist_be_a_table_and_be_logged() {
    let missing = one(|facts| facts.tables.clear());
    assert_blocks(&missing, "table public.stock", "does not exist", "spelling");
    let elsewhere = one(|facts| {
        facts.tables.clear();
        let tables = &mut facts.publication.as_mut().unwrap().tables;
        tables[0].name = TableName::new("Shop", "stock");
    });
    assert!(elsewhere.fix.ends_with("did you mean \"Shop\".stock?"), "{elsewhere:#?}");
    let misspelt = one(|facts| {
        facts.tables.clear();
        let tables = &mut facts.publication.as_mut().unwrap().tables;
        tables[0].name = TableName::new("public", "stocks");
    });
    assert!(misspelt.fix.ends_with("did you mean public.stocks?"), "{misspelt:#?}");
    let view = one(|facts| facts.tables[0].kind = "v".into());
    assert_blocks(&view, "table public.stock", "is not a table", "the table behind it");
    let unlogged = one(|facts| facts.tables[0].unlogged = true);
    assert_blocks(&unlogged, "table public.stock", "unlogged", "SET LOGGED;");
}

#[test]
fn a_captured_table_must_be_published() {
    let unpublished = one(publication(|found| found.tables.clear()));
    let fix = "ALTER PUBLICATION tailstock ADD TABLE public.stock;";
    assert_blocks(&unpublished, "table public.stock", "not in publication tailstock", fix);
}

#[test]
fn a_partitioned_table_must_be_published_under_its_own_name() {
    let leaf = |facts: &mut Facts| {
        facts.tables[0].kind = "p".into();
        let tables = &mut facts.publication.as_mut().unwrap().tables;
        tables[0].root = Some(TableName::new("public", "stock"));
        tables[0].name = TableName::new("public", "stock_2026");
    };
    let fix = "ALTER PUBLICATION tailstock SET (publish_via_partition_root = true);";
    let found = one(leaf);
    assert_blocks(&found, "table public.stock", "as those of its partitions", fix);
    let neither = one(|facts| {
        facts.tables[0].kind = "p".into();
        facts.publication.as_mut().unwrap().tables.clear();
    });
    assert!(neither.fix.ends_with("ADD TABLE public.stock;"), "{neither:#?}");
    assert!(neither.fix.starts_with(fix), "{neither:#?}");
}

#[test]
fn a_partition_whose_changes_come_as_its_roots_is_not_captured_by_its_own_name() {
    let found = one(|facts| {
        facts.tables[0].root = Some(TableName::new("public", "all_stock"));
        let tables = &mut facts.publication.as_mut().unwrap().tables;
        tables[0].name = TableName::new("public", "all_stock");
    });
    let words = "as those of public.all_stock";
    assert_blocks(&found, "table public.stock", words, "name public.all_stock as table");
}

#[test]
fn the_nearest_name_is_suggested_for_a_column_that_does_not_exist() {
    let of = |column: &str| {
        let mut found = findings(&healthy(), &config(), &capture(&["id", column]));
        assert_eq!(found.len(), 1, "{found:#?}");
        found.remove(0)
    };
    let near = of("quantty");
    assert_blocks(&near, "column public.stock.quantty", "does not exist", "mean quantity?");
    assert_eq!(of("warehouse").fix, "name a column the table has");
    assert_eq!(of("Quantity").check, "column public.stock.\"Quantity\"");
}

#[test]
fn a_captured_column_must_be_sent() {
    let left_out = one(publication(|found| {
        found.tables[0].columns.pop();
        found.tables[0].listed = true;
    }));
    let fix = "ADD TABLE public.stock (id, sku, quantity); COMMIT;";
    assert_blocks(&left_out, "columns quantity of public.stock", "left out", fix);
    let generated = |version: i32| {
        one(move |facts| {
            facts.server.version_number = version;
            facts.tables[0].generated.stored = true;
            facts.publication.as_mut().unwrap().tables[0].columns.pop();
        })
    };
    let old = generated(170_000);
    assert_blocks(&old, "columns quantity of public.stock", "generated", "map the expression");
    assert!(!old.fix.contains("publish_generated_columns"));
    assert!(generated(180_000).fix.contains("publish_generated_columns = stored"));
}

#[test]
fn a_table_whose_rows_cannot_be_identified_would_break_the_shop() {
    let without = |identity: Identity, key: &[&str]| {
        let key: Vec<String> = key.iter().map(|name| (*name).to_owned()).collect();
        one(move |facts| {
            let table = &mut facts.tables[0];
            table.description.identity = identity;
            table.description.primary_key.clone_from(&key);
            table.identity = None;
        })
    };
    for (finding, words, identity) in [
        (without(Identity::PrimaryKey, &[]), "has no primary key: the shop's own UPDATE", "FULL"),
        (without(Identity::PrimaryKey, &["id"]), "a deferrable primary key", "FULL"),
        (without(Identity::Nothing, &["id"]), "replica identity NOTHING", "DEFAULT"),
        (without(Identity::Nothing, &[]), "replica identity NOTHING", "FULL"),
        (without(Identity::Index, &["id"]), "has lost the index", "FULL"),
    ] {
        let fix = format!("ALTER TABLE public.stock REPLICA IDENTITY {identity};");
        assert_blocks(&finding, "table public.stock", words, &fix);
    }
    assert_eq!(otherwise(full), []);
}

#[test]
fn partitions_must_identify_rows_as_their_root_does() {
    let leaf = |identity| Leaf { name: TableName::new("public", "stock_1"), identity };
    let of = |identity| {
        one(move |facts| facts.tables[0].leaves = vec![leaf(LeafIdentity::AsRoot), leaf(identity)])
    };
    let missing = of(LeafIdentity::Missing);
    let fix = "ALTER TABLE public.stock_1 REPLICA IDENTITY FULL;";
    assert_blocks(&missing, "table public.stock_1", "UPDATE and DELETE fail", fix);
    assert_eq!(of(LeafIdentity::Other).severity, Severity::Warning);
}

#[test]
fn what_happens_to_partitions_as_a_whole_is_not_in_the_log() {
    let found = one(|facts| facts.tables[0].kind = "p".into());
    assert_eq!(found.severity, Severity::Warning);
    assert!(found.found.starts_with("TRUNCATE, DROP and DETACH"), "{found:#?}");
}

#[test]
fn a_column_list_must_cover_the_replica_identity() {
    let uncovered = otherwise(publication(|found| {
        found.tables[0].columns.remove(0);
        found.tables[0].listed = true;
    }));
    let checks: Vec<&str> = uncovered.iter().map(|finding| finding.check.as_str()).collect();
    assert_eq!(checks, ["columns id of public.stock", "table public.stock"]);
    let found = otherwise(|facts| {
        full(facts);
        facts.publication.as_mut().unwrap().tables[0].listed = true;
    });
    let words = "does not cover the replica identity: the shop's own UPDATE and DELETE fail";
    assert_blocks(&found[0], "table public.stock", words, "DROP TABLE public.stock;");
}

#[test]
fn a_row_filter_is_noted_and_must_keep_to_the_replica_identity() {
    let filtered = |columns: &[&str]| {
        let columns: Vec<String> = columns.iter().map(|name| (*name).to_owned()).collect();
        otherwise(publication(move |found| {
            found.tables[0].filter = Some("(quantity > 0)".into());
            found.tables[0].filter_columns.clone_from(&columns);
        }))
    };
    let good = filtered(&["id"]);
    assert_eq!(good.len(), 1);
    assert_eq!(good[0].severity, Severity::Note);
    let bad = filtered(&["id", "quantity"]);
    let fix = "ALTER TABLE public.stock REPLICA IDENTITY FULL;";
    assert_blocks(&bad[1], "table public.stock", "its row filter uses quantity", fix);
}

#[test]
fn from_18_on_generated_columns_and_a_full_identity_break_the_shop() {
    let of = |version: i32, stored: bool, published: bool| {
        otherwise(move |facts| {
            full(facts);
            facts.server.version_number = version;
            facts.tables[0].generated = Generated { stored, computed: !stored };
            facts.publication.as_mut().unwrap().generated = published;
        })
    };
    assert_eq!(of(170_000, true, false), []);
    assert_eq!(of(180_000, true, true), []);
    let stored = of(180_000, true, false);
    let fix = "SET (publish_generated_columns = stored);";
    assert_blocks(&stored[0], "table public.stock", "UPDATE and DELETE fail", fix);
    let computed = of(180_000, false, true);
    assert_blocks(&computed[0], "table public.stock", "virtual", "REPLICA IDENTITY DEFAULT;");
}

#[test]
fn a_pattern_is_content_with_what_there_is() {
    let name = TableName::new("*", "*");
    let any = Capture { tables: vec![CaptureTable { name, columns: Columns::All }] };
    let mut facts = healthy();
    facts.publication.as_mut().unwrap().tables.clear();
    assert_eq!(findings(&facts, &config(), &any), []);
}

#[test]
fn a_table_that_cannot_be_read_as_it_is_says_so_with_the_grant() {
    let kept_back = |names: &'static [&'static str]| {
        move |facts: &mut Facts| {
            let access = &mut facts.tables[0].access;
            access.kept_back = names.iter().map(|&name| name.to_owned()).collect();
        }
    };
    // The key is read although nobody maps it.
    let partly = one(kept_back(&["id", "quantity", "customer"]));
    let (check, fix) =
        ("snapshot of public.stock", "GRANT SELECT (id, quantity) ON public.stock TO \"Reader\";");
    assert_warns(&partly, check, "may not read id, quantity", fix);
    assert_eq!(otherwise(kept_back(&["customer"])), []);
    let shut = one(|facts| facts.tables[0].access.shut = true);
    assert_warns(&shut, check, "its schema", "GRANT USAGE ON SCHEMA public TO \"Reader\";");
    let hidden = one(|facts| facts.tables[0].access.hides_rows = true);
    assert_warns(&hidden, check, "row level security", "ALTER ROLE \"Reader\" BYPASSRLS;");
    let keyless = one(|facts| facts.tables[0].access.key.clear());
    assert_warns(&keyless, check, "up to 64 MiB", "ADD PRIMARY KEY");
}
