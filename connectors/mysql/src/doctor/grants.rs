use connector_api::TableName;

use super::quote::Text;

/// What an account may do, as `SHOW GRANTS` lists it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Grants {
    granted: Vec<Grant>,
    /// Taken back of what was granted everywhere (`partial_revokes` of MySQL).
    revoked: Vec<Grant>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Grant {
    privileges: Vec<Privilege>,
    scope: Scope,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Privilege {
    /// Upper case.
    name: String,
    /// The columns it is limited to; empty for all.
    columns: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Scope {
    Everything,
    /// Databases by a pattern of LIKE.
    Databases(String),
    Table(TableName),
}

/// How much of a table may be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reach {
    Nothing,
    SomeColumns,
    Everything,
}

impl Grants {
    /// Reads the lines of `SHOW GRANTS`. What is not understood grants nothing.
    pub(crate) fn parse<'a>(lines: impl IntoIterator<Item = &'a str>) -> Self {
        let mut grants = Self::default();
        for line in lines {
            let (list, rest) = match (line.strip_prefix("GRANT "), line.strip_prefix("REVOKE ")) {
                (Some(rest), _) => (&mut grants.granted, rest),
                (_, Some(rest)) => (&mut grants.revoked, rest),
                (None, None) => continue,
            };
            list.extend(grant(Text(rest)));
        }
        grants
    }

    /// Whether one of these privileges is granted on everything. They may have several names.
    pub(crate) fn has(&self, names: &[&str]) -> bool {
        let everywhere = self.granted.iter().filter(|grant| grant.scope == Scope::Everything);
        everywhere.flat_map(|grant| &grant.privileges).any(|privilege| privilege.is(names))
    }

    /// Whether something that is granted on everything is taken back for a database.
    pub(crate) fn is_partly_revoked(&self) -> bool {
        !self.revoked.is_empty()
    }

    /// How much of a table may be read, whether it exists or not.
    pub(crate) fn reach(&self, table: &TableName) -> Reach {
        let reads = |grant: &Grant| {
            let selects = grant.privileges.iter().filter(|privilege| privilege.is(&["SELECT"]));
            let reach = |privilege: &Privilege| match privilege.columns.is_empty() {
                true => Reach::Everything,
                false => Reach::SomeColumns,
            };
            selects.map(reach).max().unwrap_or(Reach::Nothing)
        };
        let revoked = self.revoked.iter().any(|grant| {
            matches!(&grant.scope, Scope::Databases(name) if *name == table.schema)
                && reads(grant) == Reach::Everything
        });
        let applies = |grant: &&Grant| match &grant.scope {
            Scope::Everything => !revoked,
            Scope::Databases(pattern) => matches(pattern, &table.schema),
            Scope::Table(name) => name == table,
        };
        let reach = self.granted.iter().filter(applies).map(reads).max();
        reach.unwrap_or(Reach::Nothing)
    }
}

impl Privilege {
    fn is(&self, names: &[&str]) -> bool {
        names.contains(&self.name.as_str())
            || matches!(self.name.as_str(), "ALL" | "ALL PRIVILEGES")
    }
}

/// `SELECT (a, b), INSERT ON db.table TO ...`; `None` for roles, routines and proxies.
fn grant(mut text: Text<'_>) -> Option<Grant> {
    let mut privileges = Vec::new();
    loop {
        let end = text.0.find(['(', ',', '`', '"', '\'']).unwrap_or(text.0.len());
        let on = text.0.find(" ON ").filter(|on| *on <= end);
        let name = text.take(on.unwrap_or(end)).trim().to_ascii_uppercase();
        let columns = if text.skip("(") { text.names()? } else { Vec::new() };
        if name.is_empty() {
            return None;
        }
        privileges.push(Privilege { name, columns });
        if !text.skip(",") {
            break;
        }
    }
    if !text.skip(" ON ") {
        return None;
    }
    Some(Grant { privileges, scope: scope(&mut text)? })
}

fn scope(text: &mut Text<'_>) -> Option<Scope> {
    if text.skip("*.*") {
        return Some(Scope::Everything);
    }
    let database = text.name()?;
    if text.skip(".*") {
        return Some(Scope::Databases(database));
    }
    if !text.skip(".") {
        return None;
    }
    Some(Scope::Table(TableName::new(unescaped(&database), text.name()?)))
}

/// The name that a pattern without wildcards stands for.
fn unescaped(pattern: &str) -> String {
    pattern.replace("\\_", "_").replace("\\%", "%")
}

/// Whether `text` matches a pattern of LIKE: `%` any run, `_` any character, `\` itself.
fn matches(pattern: &str, text: &str) -> bool {
    let mut rest = pattern.chars();
    match rest.next() {
        None => text.is_empty(),
        Some('%') => {
            let mut ends = text.char_indices().map(|(at, _)| at).chain([text.len()]);
            ends.any(|at| matches(rest.as_str(), &text[at..]))
        }
        Some(first) => {
            let wanted = match first {
                '_' => None,
                '\\' => rest.next().or(Some('\\')),
                other => Some(other),
            };
            let mut others = text.chars();
            let is_there = others.next().is_some_and(|c| wanted.is_none_or(|wanted| wanted == c));
            is_there && matches(rest.as_str(), others.as_str())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reach(lines: &[&str], table: &str) -> Reach {
        Grants::parse(lines.iter().copied()).reach(&TableName::new("shop_1", table))
    }

    #[test]
    fn what_mysql_and_mariadb_print_is_read() {
        let grants = Grants::parse([
            "GRANT SELECT, REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO `tail`@`%`",
            "GRANT BINLOG_ADMIN,XA_RECOVER_ADMIN ON *.* TO `tail`@`%`",
            "GRANT `reader`@`%` TO `tail`@`%`",
            "GRANT PROXY ON ``@`` TO `root`@`localhost` WITH GRANT OPTION",
            "GRANT EXECUTE ON PROCEDURE `shop`.`p` TO `tail`@`%`",
        ]);
        assert!(grants.has(&["REPLICATION SLAVE"]));
        assert!(grants.has(&["BINLOG MONITOR", "REPLICATION CLIENT"]));
        assert!(grants.has(&["XA_RECOVER_ADMIN"]));
        assert!(!grants.has(&["SUPER"]));
        let all = ["GRANT ALL PRIVILEGES ON *.* TO `root`@`%` IDENTIFIED BY PASSWORD '*A' WITH"];
        assert!(Grants::parse(all).has(&["REPLICATION SLAVE"]));
        let local = ["GRANT ALL PRIVILEGES ON `shop`.* TO `tail`@`%`"];
        assert!(!Grants::parse(local).has(&["REPLICATION SLAVE"]));
    }

    #[test]
    fn a_table_is_read_by_what_is_granted_on_it_its_database_or_everything() {
        assert_eq!(reach(&["GRANT USAGE ON *.* TO `a`@`%`"], "stock"), Reach::Nothing);
        for all in [
            "GRANT INSERT, SELECT ON *.* TO `a`@`%`",
            "GRANT SELECT ON `shop\\_1`.* TO `a`@`%`",
            "GRANT SELECT ON `shop_%`.* TO `a`@`%`",
            "GRANT ALL PRIVILEGES ON \"shop_1\".* TO 'a'@'%'",
            "GRANT SELECT, UPDATE (`id`) ON `shop_1`.`stock` TO `a`@`%`",
        ] {
            assert_eq!(reach(&[all], "stock"), Reach::Everything, "{all}");
        }
        for nothing in [
            "GRANT SELECT ON `shop`.* TO `a`@`%`",
            "GRANT SELECT ON `shop\\_2`.* TO `a`@`%`",
            "GRANT SELECT ON `shop_1`.`stocks` TO `a`@`%`",
            "GRANT INSERT ON `shop_1`.* TO `a`@`%`",
            "GRANT",
            "GRANT SELECT (`id` ON",
        ] {
            assert_eq!(reach(&[nothing], "stock"), Reach::Nothing, "{nothing}");
        }
    }

    #[test]
    fn some_columns_are_less_than_all_and_more_than_none() {
        let some = "GRANT SELECT (`id`, `a``b`), INSERT (`id`) ON `shop_1`.`stock` TO `a`@`%`";
        assert_eq!(reach(&[some], "stock"), Reach::SomeColumns);
        let all = "GRANT SELECT ON `shop_1`.* TO `a`@`%`";
        assert_eq!(reach(&[some, all], "stock"), Reach::Everything);
    }

    #[test]
    fn what_was_taken_back_is_not_granted() {
        let everywhere = "GRANT SELECT ON *.* TO `a`@`%`";
        let back = "REVOKE SELECT ON `shop_1`.* FROM `a`@`%`";
        assert_eq!(reach(&[everywhere, back], "stock"), Reach::Nothing);
    }
}
