use connector_api::{Capture, CaptureTable, Columns, TableName};

use super::Facts;

/// What the log lets through of the captured tables: a line for each of their databases, and one
/// for what comes by replication. They change when anything does that decides what is in the log.
pub fn coverage(facts: &Facts, capture: &Capture) -> String {
    let mut lines: Vec<String> = Vec::new();
    for wanted in &capture.tables {
        let database = &wanted.name.schema;
        let said = if database.contains('*') {
            format!("databases {database}: {}", of_pattern(facts, database))
        } else if logs(facts, database) {
            format!("database {database}: logged")
        } else {
            format!("database {database}: left out of the log")
        };
        lines.push(said);
    }
    lines.sort_unstable();
    lines.dedup();
    let replication = &facts.replication;
    if replication.is_replica == Some(true) && !facts.log.has_replicated {
        lines.push("replicated changes: left out of the log".to_owned());
    } else if replication.filters.is_empty() {
        lines.push("replicated changes: logged".to_owned());
    } else {
        let filters: Vec<&str> = replication.filters.iter().map(String::as_str).collect();
        lines.push(format!("replicated changes: logged where {}", filters.join("; ")));
    }
    lines.join("\n")
}

/// Whether changes of a database's tables are written to the log.
pub(super) fn logs(facts: &Facts, database: &str) -> bool {
    // Where there is a list of what to log, the one of what not to is not looked at.
    if facts.log.do_db.is_empty() {
        !facts.log.ignore_db.iter().any(|name| name == database)
    } else {
        facts.log.do_db.iter().any(|name| name == database)
    }
}

fn of_pattern(facts: &Facts, pattern: &str) -> String {
    let (allowed, ignored) = (&facts.log.do_db, &facts.log.ignore_db);
    let listed = |names: &[String]| {
        let mut names: Vec<&str> =
            names.iter().map(String::as_str).filter(|name| is_of(pattern, name)).collect();
        names.sort_unstable();
        names.join(", ")
    };
    match (allowed.is_empty(), listed(ignored)) {
        (true, but) if but.is_empty() => "logged".to_owned(),
        (true, but) => format!("logged but {but}"),
        (false, _) => match listed(allowed) {
            none if none.is_empty() => "left out of the log".to_owned(),
            some => format!("logged only {some}"),
        },
    }
}

/// Whether a pattern of a capture stands for the database.
fn is_of(pattern: &str, database: &str) -> bool {
    let name = TableName::new(pattern, "*");
    let capture = Capture { tables: vec![CaptureTable { name, columns: Columns::All }] };
    capture.columns_of(&TableName::new(database, "")).is_some()
}

#[cfg(test)]
mod tests {
    use connector_api::Survey;

    use super::*;

    fn of(databases: &[&str], change: impl Fn(&mut Facts)) -> String {
        let mut facts = Facts::default();
        facts.log.has_replicated = true;
        change(&mut facts);
        let table = |database: &&str| CaptureTable {
            name: TableName::new(*database, "stock"),
            columns: Columns::All,
        };
        coverage(&facts, &Capture { tables: databases.iter().map(table).collect() })
    }

    fn listed(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn it_tells_all_that_decides_what_is_in_the_log() {
        let whole = "database shop: logged\nreplicated changes: logged";
        assert_eq!(of(&["shop", "shop"], |_| {}), whole);
        let only = |facts: &mut Facts| {
            facts.log.do_db = listed(&["wp_2", "wp_1", "tmp"]);
            facts.log.ignore_db = listed(&["wp_1"]);
        };
        assert_eq!(
            of(&["shop", "wp_*", "x*"], only),
            "database shop: left out of the log\n\
             databases wp_*: logged only wp_1, wp_2\n\
             databases x*: left out of the log\n\
             replicated changes: logged"
        );
        let but = |facts: &mut Facts| facts.log.ignore_db = listed(&["wp_1", "tmp"]);
        assert_eq!(
            of(&["tmp", "wp_*", "x*"], but),
            "database tmp: left out of the log\n\
             databases wp_*: logged but wp_1\n\
             databases x*: logged\n\
             replicated changes: logged"
        );
    }

    #[test]
    fn a_list_that_does_not_concern_the_capture_changes_nothing() {
        let before = of(&["shop"], |_| {});
        let after = of(&["shop"], |facts| facts.log.ignore_db = listed(&["tmp"]));
        let only = of(&["shop"], |facts| facts.log.do_db = listed(&["shop", "crm"]));
        assert_eq!(
            (Survey::coverage_change(&before, &after), Survey::coverage_change(&before, &only)),
            (None, None)
        );
        assert_eq!(Survey::coverage_change(&before, &of(&["shop", "crm"], |_| {})), None);
    }

    #[test]
    fn what_is_left_out_since_then_or_was_before_is_a_change() {
        let before = of(&["shop"], |_| {});
        let out = of(&["shop"], |facts| facts.log.ignore_db = listed(&["shop"]));
        let told = "it was database shop: logged; it is database shop: left out of the log";
        assert_eq!(Survey::coverage_change(&before, &out).as_deref(), Some(told));
        assert!(Survey::coverage_change(&out, &before).is_some());
        let filtered = of(&["shop"], |facts| {
            facts.replication.filters = ["replicate_do_db = crm".to_owned()].into();
        });
        let told = "it was replicated changes: logged; \
                    it is replicated changes: logged where replicate_do_db = crm";
        assert_eq!(Survey::coverage_change(&before, &filtered).as_deref(), Some(told));
        let replica = of(&["shop"], |facts| {
            facts.replication.is_replica = Some(true);
            facts.log.has_replicated = false;
        });
        assert!(replica.ends_with("replicated changes: left out of the log"), "{replica}");
    }
}
