//! Tables in which each row is a movement.

use super::*;

fn ledger(filter: Option<&str>) -> Definition {
    let parse = |text: &str| expression::Expression::parse(text).unwrap();
    definition("item", |definition| {
        definition.kind = Kind::Movement;
        definition.quantities.clear();
        definition.delta = Some(parse("qty"));
        definition.filter = filter.map(parse);
    })
}

#[test]
fn a_ledger_publishes_its_inserts_and_nothing_else() {
    let mut shop = Shop::new(ledger(None), Identity::PrimaryKey);
    let said = shop.transaction(|shop| {
        shop.insert(row(1, "A", -2));
        shop.insert(row(2, "A", 3));
    });
    assert_eq!(said, ["A by -2", "A by 3"]);
    assert_eq!(shop.transaction(|shop| shop.delete(1)), [""; 0]);
}

#[test]
fn a_row_that_counts_in_a_ledger_is_not_rewritten_and_others_are_nobodys_concern() {
    let mut shop = Shop::new(ledger(Some("qty > 0")), Identity::Full);
    let mut said = |before: i64, after: i64| {
        let (old, new) = (row(1, "A", before), row(1, "A", after));
        shop.transaction(|shop| shop.change(Op::Update, Some(old), Some(new))).len()
    };
    assert_eq!(said(-2, -1), 0, "it does not count, and did not");
    assert_eq!(said(3, 3), 0, "it says what it said");
    assert_eq!(said(-1, 3), 1, "it counts now, and was never published");
    assert_eq!(said(3, 4), 1, "it says something else");
    assert_eq!(said(3, -3), 1, "it does not count any more");
}
