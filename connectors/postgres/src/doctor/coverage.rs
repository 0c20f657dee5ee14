use std::fmt::Write as _;

use connector_api::Capture;

use super::Facts;

/// What the server sends of the captured tables: a line for the publication and one for each
/// table, which change when anything does that decides what is sent. The numbers are those of the
/// catalog's entries, so that a table that left the publication and came back is seen too.
pub(crate) fn coverage(facts: &Facts, publication: &str, capture: &Capture) -> String {
    let Some(found) = &facts.publication else { return String::new() };
    let names = ["insert", "update", "delete", "truncate"];
    let published = names.iter().zip(found.operations).filter(|(_, on)| *on);
    let published: Vec<&str> = published.map(|(name, _)| *name).collect();
    let mut lines = format!("publication {publication} ({})", found.revision);
    write!(lines, " of {}", published.join(", ")).expect("a string takes everything");
    if found.via_root {
        lines.push_str(" via root");
    }
    for table in found.tables.iter().filter(|table| capture.columns_of(&table.name).is_some()) {
        write!(lines, "\ntable {} ({})", table.name, table.revision)
            .expect("a string takes everything");
        if table.listed {
            lines.push_str(" columns ");
            lines.push_str(&table.columns.join(", "));
        }
        if let Some(filter) = &table.filter {
            lines.push_str(" where ");
            lines.push_str(filter);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use connector_api::Survey;

    use connector_api::{CaptureTable, Columns, TableName};

    use super::super::facts::{PublicationFacts, PublishedTable};
    use super::*;

    fn table(name: &str, revision: &str) -> PublishedTable {
        PublishedTable {
            name: TableName::new("public", name),
            root: None,
            revision: revision.to_owned(),
            columns: vec!["id".into(), "qty".into()],
            listed: false,
            filter: None,
            filter_columns: Vec::new(),
        }
    }

    fn of(tables: Vec<PublishedTable>) -> String {
        let publication = PublicationFacts {
            revision: "5.1".into(),
            operations: [true, true, false, true],
            via_root: true,
            generated: false,
            tables,
        };
        let facts = Facts { publication: Some(publication), ..Facts::default() };
        let name = TableName::new("public", "stock*");
        let capture = Capture { tables: vec![CaptureTable { name, columns: Columns::All }] };
        coverage(&facts, "tailstock", &capture)
    }

    #[test]
    fn it_tells_all_that_decides_what_is_sent_of_captured_tables() {
        let narrow = PublishedTable {
            listed: true,
            filter: Some("(qty > 0)".into()),
            ..table("stock", "8 9.1")
        };
        assert_eq!(
            of(vec![table("orders", "7 7.1"), narrow]),
            "publication tailstock (5.1) of insert, update, truncate via root\n\
             table public.stock (8 9.1) columns id, qty where (qty > 0)"
        );
        assert_eq!(coverage(&Facts::default(), "tailstock", &Capture::default()), "");
    }

    #[test]
    fn a_table_that_changed_left_or_came_back_is_a_change_and_a_new_one_is_not() {
        let before = of(vec![table("stock", "8 9.1")]);
        assert_eq!(Survey::coverage_change(&before, &before), None);
        let more = of(vec![table("stock", "8 9.1"), table("stock_2", "10 11.1")]);
        assert_eq!(Survey::coverage_change(&before, &more), None);
        assert_eq!(
            Survey::coverage_change(&more, &before).as_deref(),
            Some("it does not cover table public.stock_2 (10 11.1) any more")
        );
        let again = of(vec![table("stock", "8 12.4")]);
        assert_eq!(
            Survey::coverage_change(&before, &again).as_deref(),
            Some("it was table public.stock (8 9.1); it is table public.stock (8 12.4)")
        );
    }
}
