use connector_api::TableLayout;

use super::Facts;

/// The captured tables as the log is going to describe them: under their own names, with the
/// columns that are published.
pub(crate) fn layouts(facts: &Facts) -> Vec<TableLayout> {
    let Some(publication) = &facts.publication else { return Vec::new() };
    let described = facts.tables.iter().filter_map(|table| {
        let name = &table.description.name;
        let sent = publication.tables.iter().find(|published| published.name == *name)?;
        let columns = table.columns.iter().filter(|column| sent.columns.contains(&column.name));
        Some(TableLayout {
            name: name.clone(),
            id: Some(table.oid),
            columns: columns.cloned().collect(),
        })
    });
    described.collect()
}
