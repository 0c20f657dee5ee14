use std::sync::Arc;

use connector_api::{Column, Error, Result, TableName, TableSchema};

use crate::config::PostgresConfig;
use crate::doctor::{identifier, literal, qualified};
use crate::types::{FIRST_DESCRIBED, Reading, TypeShape};

/// The first version that knows column lists and row filters of publications.
const LISTS: i32 = 150_000;
/// The first version that sends generated columns, and lists them only where it does.
const GENERATED: i32 = 180_000;

/// How a table is read: what is known of it as long as its mark stays the same.
#[derive(Debug)]
pub(super) struct Shape {
    pub(super) name: TableName,
    /// The server's number of it.
    pub(super) oid: String,
    /// Changes with everything that is said here.
    pub(super) mark: String,
    /// The captured columns, as a stream describes them.
    pub(super) schema: Arc<TableSchema>,
    /// Whether its rows lie in other tables.
    pub(super) partitioned: bool,
    /// What is read, in this order: the captured columns, then those of the key that are not among
    /// them.
    pub(super) read: Vec<ReadColumn>,
    /// In the order of the key; empty without one.
    pub(super) key: Vec<KeyColumn>,
    /// Every column that can be looked at.
    pub(super) visible: Vec<VisibleColumn>,
    /// SQL: the rows that are published.
    pub(super) published: Option<String>,
}

/// A column that is read.
#[derive(Debug)]
pub(super) struct ReadColumn {
    pub(super) name: String,
    /// How its value is given; `None` when it is not.
    pub(super) reading: Option<Reading>,
}

/// A column of the key that rows are put in order by.
#[derive(Debug)]
pub(super) struct KeyColumn {
    pub(super) name: String,
    /// Its place in [`Shape::read`].
    pub(super) place: usize,
    /// SQL: the type its text is a literal of.
    pub(super) type_name: String,
    /// SQL: the collation of the index, where that is not the column's own.
    pub(super) collation: Option<String>,
    /// SQL: the index's own `>`.
    pub(super) greater: String,
    /// SQL: its `<`.
    pub(super) less: String,
}

/// What is compared by a filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct VisibleColumn {
    pub(super) name: String,
    /// As the catalog spells it, of the server's own types; `enum` and `row` for any type of that
    /// kind.
    pub(super) kind: String,
}

/// A column as the catalog has it.
struct Fact<'a> {
    name: &'a str,
    type_oid: u32,
    sent: bool,
    granted: bool,
    identity: bool,
    key: Option<usize>,
    base: [&'a str; 4],
    collation: Option<&'a str>,
    greater: Option<&'a str>,
    less: Option<&'a str>,
}

type Cells = Vec<Option<String>>;

impl Shape {
    /// Asks for all that [`Self::read_from`] wants.
    pub(super) fn question(table: &TableName, publication: &str, version: i32) -> String {
        let lists = version >= LISTS;
        let published = format!(
            "pg_publication_tables p WHERE p.pubname = {} AND p.schemaname = n.nspname \
             AND p.tablename = c.relname",
            literal(publication)
        );
        let filter =
            if lists { format!("(SELECT p.rowfilter FROM {published})") } else { "NULL".into() };
        let listed = format!("a.attname = ANY ((SELECT p.attnames FROM {published})::name[])");
        let sent = match version {
            GENERATED.. => listed,
            LISTS.. => format!("a.attgenerated = '' AND {listed}"),
            _ => "a.attgenerated = ''".to_owned(),
        };
        let (mark, named) = (mark(publication), named(table));
        format!(
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
             SELECT c.oid, c.relkind, c.relispartition, row_security_active(c.oid),
                 has_schema_privilege(n.oid, 'USAGE'), EXISTS (SELECT FROM {published}), {filter},
                 {mark} FROM {named};
             SELECT a.attname, a.atttypid, {sent},
                 has_column_privilege(c.oid, a.attnum, 'SELECT'),
                 CASE c.relreplident WHEN 'f' THEN true WHEN 'n' THEN false
                     ELSE array_position((ri.indkey::int2[])[0 : ri.indnkeyatts - 1], a.attnum)
                         IS NOT NULL END,
                 key.place, b.nspname, b.typname, format_type(b.oid, -1), b.typtype,
                 key.collation, key.greater, key.less
             FROM {named}
             JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
             CROSS JOIN LATERAL ({BASE_TYPE}) b
             LEFT JOIN pg_index ri ON ri.indrelid = c.oid AND CASE c.relreplident
                 WHEN 'i' THEN ri.indisreplident ELSE ri.indisprimary AND ri.indimmediate END
             LEFT JOIN LATERAL ({KEY_INDEX}) i ON true
             LEFT JOIN LATERAL ({KEY_COLUMN}) key ON true
             ORDER BY a.attnum;
             COMMIT"
        )
    }

    /// Reads the answer to [`Self::question`] for these captured columns.
    ///
    /// # Errors
    /// The table cannot be read whole by this role.
    pub(super) fn read_from(
        rows: &[Cells],
        table: &TableName,
        wanted: &[String],
        config: &PostgresConfig,
    ) -> Result<Self> {
        let (first, columns) = rows.split_first().ok_or_else(|| missing(table))?;
        let cell = |place: usize| first.get(place)?.as_deref();
        let (kind, is_partitioned) = (cell(1).unwrap_or_default(), cell(1) == Some("p"));
        let [is_partition, hidden, usage, is_published] =
            [2, 3, 4, 5].map(|place| cell(place) == Some("t"));
        if !matches!(kind, "r" | "p") {
            let what = format!("{} is not a table", qualified(table));
            return Err(Error::operator(what, "map the table behind it"));
        }
        // It is not empty: what it holds is published under another name, or under none.
        if !is_published {
            return Err(unpublished(table, is_partition, is_partitioned, config));
        }
        let facts: Vec<Fact<'_>> = columns
            .iter()
            .map(fact)
            .collect::<Option<_>>()
            .ok_or_else(|| Error::definite(format!("the catalog says nothing of {table}")))?;
        let shape = Self::of_facts(table, wanted, &facts);
        let needs = |fact: &&Fact<'_>| shape.read.iter().any(|column| column.name == fact.name);
        let kept_back: Vec<&str> =
            facts.iter().filter(needs).filter(|f| !f.granted).map(|f| f.name).collect();
        if !usage || !kept_back.is_empty() {
            return Err(not_granted(table, usage, &kept_back, config));
        }
        if hidden {
            return Err(hidden_rows(table, config));
        }
        Ok(Self {
            oid: cell(0).unwrap_or_default().to_owned(),
            mark: cell(7).unwrap_or_default().to_owned(),
            partitioned: is_partitioned,
            published: cell(6).map(str::to_owned),
            ..shape
        })
    }

    fn of_facts(table: &TableName, wanted: &[String], facts: &[Fact<'_>]) -> Self {
        let is_wanted = |fact: &&Fact<'_>| fact.sent && wanted.iter().any(|n| n == fact.name);
        let (mut read, mut columns) = (Vec::new(), Vec::new());
        for fact in facts.iter().filter(is_wanted) {
            let [schema, name, ..] = fact.base;
            let told = TypeShape::told(schema, name);
            let told = (fact.type_oid >= FIRST_DESCRIBED).then_some(&told);
            let shape = TypeShape::of(fact.type_oid, told);
            let name = fact.name.to_owned();
            read.push(ReadColumn { name: name.clone(), reading: Some(shape.reading) });
            columns.push(Column { name, type_name: shape.name, identity: fact.identity });
        }
        let mut key: Vec<(usize, &Fact<'_>)> =
            facts.iter().filter_map(|fact| Some((fact.key?, fact))).collect();
        key.sort_unstable_by_key(|(place, _)| *place);
        let mut key_column = |fact: &Fact<'_>| {
            let known = read.iter().position(|column: &ReadColumn| column.name == fact.name);
            let place = known.unwrap_or_else(|| {
                read.push(ReadColumn { name: fact.name.to_owned(), reading: None });
                read.len() - 1
            });
            KeyColumn {
                name: fact.name.to_owned(),
                place,
                type_name: fact.base[2].to_owned(),
                collation: fact.collation.map(str::to_owned),
                greater: fact.greater.unwrap_or(">").to_owned(),
                less: fact.less.unwrap_or("<").to_owned(),
            }
        };
        let key = key.iter().map(|(_, fact)| key_column(fact)).collect();
        Self {
            name: table.clone(),
            oid: String::new(),
            mark: String::new(),
            schema: Arc::new(TableSchema { name: table.clone(), columns }),
            partitioned: false,
            read,
            key,
            visible: facts.iter().filter(|fact| fact.granted).map(visible).collect(),
            published: None,
        }
    }
}

/// SQL: a text of table `c` that changes with everything a [`Shape`] is made of.
pub(super) fn mark(publication: &str) -> String {
    format!(
        "concat_ws(' ', c.oid, c.xmin, c.relfilenode, \
         (SELECT string_agg(l.oid || ':' || l.xmin, ' ' ORDER BY l.oid) \
         FROM pg_partition_tree(c.oid) p JOIN pg_class l ON l.oid = p.relid), \
         (SELECT string_agg(a.attnum || ':' || a.xmin, ' ' \
         ORDER BY a.attnum) FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0), \
         (SELECT string_agg(i.indexrelid || ':' || i.xmin, ' ' ORDER BY i.indexrelid) \
         FROM pg_index i WHERE i.indrelid = c.oid), \
         (SELECT string_agg(r.oid || ':' || r.xmin, ' ' ORDER BY r.oid) \
         FROM pg_publication_rel r WHERE r.prrelid = c.oid), \
         (SELECT p.oid || ':' || p.xmin FROM pg_publication p WHERE p.pubname = {}))",
        literal(publication)
    )
}

/// SQL: a table as `c`, with its schema `n`.
pub(super) fn named(table: &TableName) -> String {
    format!(
        "pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = {} \
         AND c.relname = {}",
        literal(&table.schema),
        literal(&table.table)
    )
}

/// The type of column `a`, below all domains.
const BASE_TYPE: &str = "WITH RECURSIVE below AS (
        SELECT t.oid, t.typname, t.typtype, t.typnamespace, t.typbasetype
        FROM pg_type t WHERE t.oid = a.atttypid
        UNION ALL SELECT t.oid, t.typname, t.typtype, t.typnamespace, t.typbasetype
        FROM below JOIN pg_type t ON t.oid = below.typbasetype WHERE below.typtype = 'd')
    SELECT below.oid, bn.nspname, below.typname, below.typtype
    FROM below JOIN pg_namespace bn ON bn.oid = below.typnamespace WHERE below.typtype <> 'd'";

/// The best index of table `c` that tells every row from every other: all rows are in it, and none
/// of its columns is NULL (which from 18 on a column may be that is said not to).
pub(crate) const KEY_INDEX: &str =
    "SELECT i.* FROM pg_index i JOIN pg_class ic ON ic.oid = i.indexrelid
    JOIN pg_am am ON am.oid = ic.relam AND am.amname = 'btree'
    WHERE i.indrelid = c.oid AND i.indisunique AND i.indisvalid
      AND i.indpred IS NULL AND i.indexprs IS NULL
      AND NOT EXISTS (SELECT FROM pg_attribute k WHERE k.attrelid = c.oid AND NOT k.attnotnull
                      AND k.attnum = ANY ((i.indkey::int2[])[0 : i.indnkeyatts - 1]))
      AND NOT EXISTS (SELECT FROM pg_constraint u WHERE u.conrelid = c.oid AND u.contype = 'n'
                      AND NOT u.convalidated)
    ORDER BY i.indisprimary DESC, i.indisreplident DESC, i.indnkeyatts, i.indexrelid LIMIT 1";

/// How column `a` takes part in index `i`.
const KEY_COLUMN: &str = "SELECT k.place,
        CASE WHEN i.indcollation[k.place - 1] NOT IN (0, a.attcollation) THEN
            (SELECT quote_ident(s.nspname) || '.' || quote_ident(co.collname) FROM pg_collation co
             JOIN pg_namespace s ON s.oid = co.collnamespace
             WHERE co.oid = i.indcollation[k.place - 1]) END AS collation,
        max(op.sql) FILTER (WHERE op.strategy = 5) AS greater,
        max(op.sql) FILTER (WHERE op.strategy = 1) AS less
    FROM (SELECT array_position((i.indkey::int2[])[0 : i.indnkeyatts - 1], a.attnum)) k (place)
    JOIN pg_opclass oc ON oc.oid = i.indclass[k.place - 1]
    CROSS JOIN LATERAL (
        SELECT ao.amopstrategy AS strategy, CASE WHEN s.nspname = 'pg_catalog' THEN o.oprname::text
            ELSE 'OPERATOR(' || quote_ident(s.nspname) || '.' || o.oprname || ')' END AS sql
        FROM pg_amop ao JOIN pg_operator o ON o.oid = ao.amopopr
        JOIN pg_namespace s ON s.oid = o.oprnamespace
        WHERE ao.amopfamily = oc.opcfamily AND ao.amoplefttype = oc.opcintype
          AND ao.amoprighttype = oc.opcintype AND ao.amopstrategy IN (1, 5)) op
    GROUP BY k.place";

fn fact(row: &Cells) -> Option<Fact<'_>> {
    let cell = |place: usize| row.get(place)?.as_deref();
    let is = |place: usize| cell(place) == Some("t");
    Some(Fact {
        name: cell(0)?,
        type_oid: cell(1)?.parse().ok()?,
        sent: is(2),
        granted: is(3),
        identity: is(4),
        key: cell(5).and_then(|place| place.parse().ok()),
        base: [cell(6)?, cell(7)?, cell(8)?, cell(9)?],
        collation: cell(10),
        greater: cell(11),
        less: cell(12),
    })
}

fn visible(fact: &Fact<'_>) -> VisibleColumn {
    let [schema, name, _, typtype] = fact.base;
    let kind = match (typtype, schema) {
        ("e", _) => "enum",
        ("c", _) => "row",
        ("b", "pg_catalog") => name,
        (_, _) if name == "citext" => "citext",
        _ => "",
    };
    VisibleColumn { name: fact.name.to_owned(), kind: kind.to_owned() }
}

pub(super) fn missing(table: &TableName) -> Error {
    let what = format!("{} does not exist any more", qualified(table));
    Error::operator(what, "make it again, or take it out of the seller's file")
}

fn unpublished(
    table: &TableName,
    is_partition: bool,
    is_partitioned: bool,
    config: &PostgresConfig,
) -> Error {
    let (name, publication) = (qualified(table), identifier(&config.publication));
    let via_root = |is_on| {
        format!("ALTER PUBLICATION {publication} SET (publish_via_partition_root = {is_on});")
    };
    let add = format!("ALTER PUBLICATION {publication} ADD TABLE {name};");
    let fix = match (is_partitioned, is_partition) {
        (true, _) => format!("{} and where it is not in there yet, {add}", via_root(true)),
        (_, true) => format!("name its root in the seller's file, or {}", via_root(false)),
        _ => add,
    };
    Error::operator(
        format!(
            "{name} is not in publication {publication} under this name: what is read would never \
             change"
        ),
        fix,
    )
}

pub(super) fn not_granted(
    table: &TableName,
    usage: bool,
    columns: &[&str],
    config: &PostgresConfig,
) -> Error {
    let (name, user) = (qualified(table), identifier(&config.user));
    let mut fixes = Vec::new();
    if !usage {
        fixes.push(format!("GRANT USAGE ON SCHEMA {} TO {user};", identifier(&table.schema)));
    }
    let columns: Vec<String> = columns.iter().map(|column| identifier(column)).collect();
    let columns = columns.join(", ");
    if !columns.is_empty() {
        fixes.push(format!("GRANT SELECT ({columns}) ON {name} TO {user};"));
    }
    let what = match (columns.is_empty(), usage) {
        (true, true) => {
            fixes.push(format!("GRANT SELECT ON {name} TO {user};"));
            format!("{user} may not read {name}")
        }
        (true, false) => format!("{user} may not look into schema {}", identifier(&table.schema)),
        (false, _) => format!("{user} may not read {columns} of {name}"),
    };
    Error::operator(what, fixes.join(" "))
}

fn hidden_rows(table: &TableName, config: &PostgresConfig) -> Error {
    let (name, user) = (qualified(table), identifier(&config.user));
    Error::operator(
        format!("row level security may hide rows of {name} from {user}"),
        format!("ALTER ROLE {user} BYPASSRLS;"),
    )
}
