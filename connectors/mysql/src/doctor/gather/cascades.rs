use connector_api::TableName;
use mysql_async::{Conn, Error};

use super::{permitted, text};
use crate::doctor::facts::{Cascade, TableFacts};
use crate::doctor::quote::{Text, qualified};

/// Reads the foreign keys of tables from their definitions: who may only SELECT sees none in the
/// catalog of MariaDB.
pub(super) async fn ask(conn: &mut Conn, tables: &mut [TableFacts]) -> Result<(), Error> {
    // Other engines have none.
    for table in tables.iter_mut().filter(|table| table.engine.eq_ignore_ascii_case("InnoDB")) {
        let name = &table.description.name;
        let sql = format!("SHOW CREATE TABLE {}", qualified(name));
        let rows = permitted(conn, &sql).await?.unwrap_or_default();
        let definition = rows.first().and_then(|row| text(row, 1)).unwrap_or_default();
        table.cascades = cascades(&definition, &name.schema);
        let deleting = table.cascades.iter().filter(|one| one.follows_a_delete());
        table.description.cascades = deleting.map(|one| one.parent.clone()).collect();
    }
    Ok(())
}

/// The foreign keys of a definition that delete or change rows, in its order.
fn cascades(definition: &str, schema: &str) -> Vec<Cascade> {
    definition.lines().filter_map(|line| cascade(line.trim(), schema)).collect()
}

fn cascade(line: &str, schema: &str) -> Option<Cascade> {
    let mut rest = Text(line.strip_prefix("CONSTRAINT ")?);
    let constraint = rest.name()?;
    rest.skip(" FOREIGN KEY (").then_some(())?;
    rest.names()?;
    rest.skip(" REFERENCES ").then_some(())?;
    let first = rest.name()?;
    let parent = match rest.skip(".") {
        true => TableName::new(first, rest.name()?),
        false => TableName::new(schema, first),
    };
    rest.skip(" (").then_some(())?;
    rest.names()?;
    let events = ["ON DELETE", "ON UPDATE"];
    let actions = ["CASCADE", "SET NULL", "SET DEFAULT"];
    let rules = events.iter().flat_map(|event| actions.map(|action| format!("{event} {action}")));
    let rules: Vec<String> = rules.filter(|rule| rest.0.contains(rule.as_str())).collect();
    (!rules.is_empty()).then_some(Cascade { constraint, parent, rules })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_keys_that_delete_or_change_rows_are_found_in_a_definition() {
        let definition = [
            "CREATE TABLE `stock` (",
            "  `id` int(11) NOT NULL COMMENT 'ON DELETE CASCADE',",
            "  PRIMARY KEY (`id`),",
            "  CONSTRAINT `a` FOREIGN KEY (`p`, `q`) REFERENCES `product` (`id`, `q`) \
             ON DELETE CASCADE,",
            "  CONSTRAINT `b` FOREIGN KEY (`p`) REFERENCES `crm`.`it``em` (`id`) \
             ON DELETE SET NULL ON UPDATE CASCADE,",
            "  CONSTRAINT `c` FOREIGN KEY (`p`) REFERENCES `other` (`id`) ON DELETE NO ACTION,",
            "  CONSTRAINT `d` FOREIGN KEY (`p`) REFERENCES `other` (`id`),",
            "  CONSTRAINT `e` CHECK (`p` <> 'REFERENCES ON DELETE CASCADE')",
            ") ENGINE=InnoDB",
        ];
        let found = cascades(&definition.join("\n"), "shop");
        let cascade = |constraint: &str, schema: &str, table: &str, rules: &[&str]| Cascade {
            constraint: constraint.to_owned(),
            parent: TableName::new(schema, table),
            rules: rules.iter().map(|rule| (*rule).to_owned()).collect(),
        };
        assert_eq!(
            found,
            [
                cascade("a", "shop", "product", &["ON DELETE CASCADE"]),
                cascade("b", "crm", "it`em", &["ON DELETE SET NULL", "ON UPDATE CASCADE"]),
            ]
        );
        let deletes: Vec<bool> = found.iter().map(Cascade::follows_a_delete).collect();
        assert_eq!(deletes, [true, false], "a row that only changes is still there");
        let quoted =
            "  CONSTRAINT \"a\" FOREIGN KEY (\"p\") REFERENCES \"x\" (\"i\") ON DELETE CASCADE";
        assert_eq!(cascades(quoted, "shop"), [cascade("a", "shop", "x", &["ON DELETE CASCADE"])]);
    }
}
