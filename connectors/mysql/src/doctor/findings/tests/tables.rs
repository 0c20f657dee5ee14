use super::*;
use crate::doctor::facts::Cascade;

/// What is found of a capture on a server where one thing is otherwise.
fn of(capture: Capture, change: impl Fn(&mut Facts)) -> Vec<Finding> {
    let mut facts = healthy();
    change(&mut facts);
    findings(&facts, &config(), &capture)
}

fn pattern(name: &str) -> CaptureTable {
    CaptureTable { name: TableName::new("shop", name), columns: Columns::All }
}

#[test]
fn a_missing_table_is_told_with_the_name_that_was_meant() {
    let gone = Capture { tables: vec![table_of("Stok", &["id"])] };
    let others = |facts: &mut Facts| {
        facts.others = vec![TableName::new("shop", "orders"), TableName::new("shop", "stock")];
    };
    let found = of(gone.clone(), others);
    assert_blocks(&found[0], "table shop.Stok", "does not exist", "did you mean shop.stock?");
    let hidden = of(gone, |facts| facts.account.grants = Grants::parse([GRANTS[0]]));
    let fix = "GRANT SELECT ON shop.Stok TO 'tail'@'%';";
    assert_blocks(&hidden[0], "table shop.Stok", "may not see it", fix);
}

#[test]
fn a_pattern_that_stands_for_nothing_blocks_when_there_is_nothing_else() {
    let both = Capture { tables: vec![pattern("wp_*"), table_of("stock", &["id"])] };
    let found = of(both, |_| {});
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!(found[0].severity, Severity::Warning);
    let alone = Capture { tables: vec![pattern("wp_*")] };
    let found = of(alone, |facts| facts.tables.clear());
    assert_blocks(&found[0], "tables shop.wp_*", "no table that 'tail'@'%' may see", "prefix");
}

#[test]
fn every_table_of_a_pattern_is_judged_once() {
    let twice = Capture { tables: vec![pattern("s*"), pattern("*")] };
    let found = of(twice, |facts| {
        facts.tables.push(table("sales"));
        facts.tables.iter_mut().for_each(|table| table.engine = "MyISAM".into());
    });
    let told: Vec<&str> = found.iter().map(|finding| finding.check.as_str()).collect();
    assert_eq!(told, ["table shop.stock", "table shop.sales"]);
}

#[test]
fn columns_must_exist() {
    let found = of(capture(&["id", "Quantty", "price"]), |_| {});
    assert_eq!(found.len(), 2, "{found:#?}");
    let fix = "did you mean quantity?";
    assert_blocks(&found[0], "column shop.stock.Quantty", "does not exist", fix);
    assert_eq!(found[1].fix, "name a column the table has");
}

#[test]
fn captured_columns_must_be_readable_and_all_of_them_be_seen() {
    let refused = one(|facts| {
        facts.tables[0].unreadable = vec!["sku".into(), "quantity".into()];
    });
    let fix = "GRANT SELECT ON shop.stock TO 'tail'@'%';";
    assert_blocks(&refused, "grant SELECT", "may not read quantity of shop.stock", fix);
    assert_eq!(otherwise(|facts| facts.tables[0].is_partly_hidden = true), []);
    let found = otherwise(|facts| {
        facts.tables[0].is_partly_hidden = true;
        facts.log.row_metadata = "MINIMAL".into();
    });
    assert_blocks(&found[1], "grant SELECT", "sees only some columns", fix);
    let hidden = |facts: &mut Facts| facts.tables[0].is_partly_hidden = true;
    let unseen = of(capture(&["id", "warehouse"]), hidden);
    assert_eq!(unseen.len(), 1, "{unseen:#?}");
    assert_blocks(&unseen[0], "grant SELECT", "may not read warehouse of shop.stock", fix);
    let slip = of(capture(&["id", "quantty"]), hidden);
    assert_eq!(slip[0].fix, "did you mean quantity?");
}

#[test]
fn a_table_whose_key_cannot_be_read_cannot_be_snapshotted() {
    let found = of(capture(&["quantity"]), |facts| facts.tables[0].unreadable = vec!["id".into()]);
    assert_eq!((found.len(), found[0].severity), (1, Severity::Warning), "{found:#?}");
    let fix = "GRANT SELECT (id) ON shop.stock TO 'tail'@'%';";
    assert_says(&found[0], "grant SELECT", "it cannot be snapshotted", fix);
}

#[test]
fn a_view_has_no_log() {
    let view = one(|facts| facts.tables[0].kind = "VIEW".into());
    assert_blocks(&view, "table shop.stock", "is not a table", "map the table behind it");
}

#[test]
fn a_table_that_keeps_its_past_is_no_table_of_stock() {
    let versioned = one(|facts| facts.tables[0].kind = "SYSTEM VERSIONED".into());
    let fix = "ALTER TABLE shop.stock DROP SYSTEM VERSIONING;";
    assert_blocks(&versioned, "table shop.stock", "keeps its past", fix);
}

#[test]
fn tables_without_transactions_or_a_key_are_warned_of() {
    let engine = |name: &'static str| one(move |facts| facts.tables[0].engine = name.into());
    for name in ["MyISAM", "Aria"] {
        let found = engine(name);
        assert_eq!(found.severity, Severity::Warning);
        let fix = "ALTER TABLE shop.stock ENGINE = InnoDB;";
        assert_says(&found, "table shop.stock", "has no transactions", fix);
    }
    assert!(engine("MEMORY").found.contains("empties it"));
    let keyless = one(|facts| facts.tables[0].description.primary_key.clear());
    assert_eq!(keyless.severity, Severity::Warning);
    assert_says(&keyless, "table shop.stock", "has no primary key", "ADD PRIMARY KEY");
}

#[test]
fn images_that_leave_out_what_is_captured_are_warned_of() {
    let image = |image: &'static str, columns: &[&str]| {
        of(capture(columns), move |facts| facts.log.row_image = image.into())
    };
    let minimal = image("MINIMAL", &["id", "quantity"]);
    assert_eq!(minimal.len(), 1, "{minimal:#?}");
    assert_eq!(minimal[0].severity, Severity::Warning);
    let fix = "SET PERSIST binlog_row_image = FULL; then have the shop connect anew";
    assert_says(&minimal[0], "binlog_row_image", "an update of shop.stock", fix);
    assert_eq!(image("MINIMAL", &["id"]), []);
    assert_eq!(image("NOBLOB", &["id", "quantity"]), []);
    assert_eq!(image("NOBLOB", &["id", "attributes"]).len(), 1);
    assert_eq!(image("FULL_NODUP", &["id", "quantity"]), [], "old rows are whole");
    let keyless = of(capture(&["quantity"]), |facts| {
        facts.log.row_image = "MINIMAL".into();
        facts.tables[0].description.primary_key.clear();
    });
    assert_eq!(keyless.len(), 1, "{keyless:#?}");
    assert!(keyless[0].found.starts_with("has no primary key"), "{keyless:#?}");
}

#[test]
fn differences_of_documents_cannot_be_followed_where_documents_are_captured() {
    assert_eq!(otherwise(|facts| facts.log.partial_json = true), []);
    let found = of(capture(&["id", "attributes"]), |facts| facts.log.partial_json = true);
    let fix = "SET PERSIST binlog_row_value_options = '';";
    assert_blocks(&found[0], "binlog_row_value_options", "an update of shop.stock", fix);
}

#[test]
fn rows_that_go_with_their_parents_are_told_unless_the_log_has_them() {
    let child = |facts: &mut Facts| {
        facts.tables[0].cascades = vec![Cascade {
            constraint: "stock_of".into(),
            parent: TableName::new("shop", "product"),
            rules: vec!["ON DELETE CASCADE".into()],
        }];
    };
    let told = one(child);
    assert_eq!(told.severity, Severity::Warning);
    let found = "its foreign key stock_of to shop.product is ON DELETE CASCADE";
    assert_says(&told, "table shop.stock", found, "map shop.product too");
    let both = Capture { tables: vec![table_of("stock", &["id"]), pattern("prod*")] };
    let found = of(both, |facts| {
        child(facts);
        facts.tables.push(table("product"));
    });
    assert_eq!((found.len(), found[0].severity), (1, Severity::Note), "{found:#?}");
    let logged = otherwise(|facts| {
        child(facts);
        facts.log.has_cascades = true;
    });
    assert_eq!(logged, []);
}
