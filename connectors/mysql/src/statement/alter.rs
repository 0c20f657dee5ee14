use connector_api::TableName;

use super::cursor::Cursor;
use super::ddl::{about_others, wait};
use super::lexer::Token;
use super::{Change, Statement};

/// What stands behind `ALTER`.
pub(super) fn read(mut cursor: Cursor<'_>) -> Option<Statement> {
    cursor.skip(&["ONLINE", "OFFLINE"]);
    // MariaDB: rows that a new key does not allow are deleted.
    let drops_rows = cursor.take(&["IGNORE"]);
    if cursor.take(&["TABLE"]) {
        return alter_table(cursor, drops_rows);
    }
    if cursor.take(&["DATABASE"]) || cursor.take(&["SCHEMA"]) {
        // Without a name it is the default schema, and what follows is an option.
        let mut named = cursor;
        let options =
            ["CHARACTER", "CHARSET", "COLLATE", "COMMENT", "DEFAULT", "ENCRYPTION", "READ"];
        let option = named.next().is_some_and(|token| options.iter().any(|word| token.is(word)));
        let schema = if option { cursor.schema() } else { cursor.identifier()? };
        return Some(Statement::Ddl(vec![Change::SchemaAltered(schema)]));
    }
    about_others(&cursor)
}

/// What follows `ALTER TABLE`: parts with commas between them, each of which may change what
/// happens to the table.
fn alter_table(mut cursor: Cursor<'_>, drops_rows: bool) -> Option<Statement> {
    cursor.take(&["IF", "EXISTS"]);
    let table = cursor.table()?;
    wait(&mut cursor);
    let (mut altered, mut moved, mut renamed) = (false, Vec::new(), None);
    let mut rewrites = if drops_rows { Rewrites::Rows } else { Rewrites::Nothing };
    loop {
        let is_of_partitions = lists_partitions(cursor);
        match part(&mut cursor)? {
            Part::Plain(of_part) => {
                altered = true;
                rewrites = rewrites.and(of_part);
            }
            Part::Renamed(to) => renamed = Some(to),
            Part::RowsMoved(other) => {
                moved.push(Change::RowsMoved(table.clone()));
                moved.extend(other);
            }
        }
        if is_of_partitions || !next_part(&mut cursor) {
            break;
        }
    }
    let mut changes = Vec::new();
    if altered {
        changes.push(Change::Altered(table.clone()));
        match rewrites {
            Rewrites::Nothing => {}
            Rewrites::Columns(columns) => {
                changes.push(Change::Rewritten { table: table.clone(), columns });
            }
            Rewrites::Rows => {
                changes.push(Change::Rewritten { table: table.clone(), columns: Vec::new() });
            }
        }
    }
    changes.extend(moved);
    changes.extend(renamed.map(|to| Change::Renamed { from: table, to }));
    Some(Statement::Ddl(changes))
}

/// Whether a part is one with a list of partitions, which always stands alone.
fn lists_partitions(mut cursor: Cursor<'_>) -> bool {
    let is_verb = cursor.next().is_some_and(|token| {
        const VERBS: [&str; 9] = [
            "ANALYZE",
            "CHECK",
            "DISCARD",
            "DROP",
            "IMPORT",
            "OPTIMIZE",
            "REBUILD",
            "REORGANIZE",
            "TRUNCATE",
        ];
        VERBS.iter().any(|verb| token.is(verb))
    });
    is_verb && cursor.take(&["PARTITION"])
}

/// One part of an `ALTER TABLE`.
enum Part {
    /// Columns, keys, options.
    Plain(Rewrites),
    /// The table gets this name.
    Renamed(TableName),
    /// Rows come or go, and this is what happens to the table on the other side.
    RowsMoved(Option<Change>),
}

/// Which values of rows that are there may be others behind a part.
enum Rewrites {
    Nothing,
    /// Those of these columns.
    Columns(Vec<String>),
    /// Any, and rows may go.
    Rows,
}

impl Rewrites {
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Nothing, other) | (other, Self::Nothing) => other,
            (Self::Columns(mut columns), Self::Columns(more)) => {
                columns.extend(more);
                Self::Columns(columns)
            }
            (Self::Rows, _) | (_, Self::Rows) => Self::Rows,
        }
    }
}

/// Reads the beginning of a part; `None` when it ends too early.
fn part(cursor: &mut Cursor<'_>) -> Option<Part> {
    if cursor.take(&["RENAME"]) {
        if cursor.take(&["COLUMN"]) {
            cursor.take(&["IF", "EXISTS"]);
            let from = cursor.identifier()?;
            cursor.take(&["TO"]);
            return Some(Part::Plain(Rewrites::Columns(vec![from, cursor.identifier()?])));
        }
        if cursor.take(&["INDEX"]) || cursor.take(&["KEY"]) {
            return Some(Part::Plain(Rewrites::Nothing));
        }
        if !cursor.sign(b'=') {
            cursor.skip(&["TO", "AS"]);
        }
        return cursor.table().map(Part::Renamed);
    }
    if cursor.take(&["EXCHANGE", "PARTITION"]) || cursor.take(&["CONVERT", "PARTITION"]) {
        cursor.identifier()?;
        if !cursor.take(&["WITH", "TABLE"]) && !cursor.take(&["TO", "TABLE"]) {
            return None;
        }
        return Some(Part::RowsMoved(Some(Change::RowsMoved(cursor.table()?))));
    }
    if cursor.take(&["CONVERT", "TABLE"]) {
        return Some(Part::RowsMoved(Some(Change::Dropped(cursor.table()?))));
    }
    let drops = cursor.take(&["DROP", "PARTITION"]) || cursor.take(&["TRUNCATE", "PARTITION"]);
    if drops || cursor.take(&["DISCARD"]) || cursor.take(&["IMPORT"]) {
        return Some(Part::RowsMoved(None));
    }
    rewrites(cursor).map(Part::Plain)
}

/// Parts that leave every value as it is, by their first word. Whatever is not known may not.
const HARMLESS: [&str; 51] = [
    "ALGORITHM",
    // A default, an index, a check: what is there already stays.
    "ALTER",
    "ANALYZE",
    "AUTOEXTEND_SIZE",
    "AUTO_INCREMENT",
    "AVG_ROW_LENGTH",
    "CHARACTER",
    "CHARSET",
    "CHECK",
    "CHECKSUM",
    "COALESCE",
    "COLLATE",
    "COMMENT",
    "COMPRESSION",
    "CONNECTION",
    "DATA",
    "DEFAULT",
    "DELAY_KEY_WRITE",
    "DISABLE",
    "ENABLE",
    "ENCRYPTED",
    "ENCRYPTION",
    "ENCRYPTION_KEY_ID",
    "ENGINE_ATTRIBUTE",
    "FORCE",
    "INDEX",
    "INSERT_METHOD",
    "KEY_BLOCK_SIZE",
    "LOCK",
    "MAX_ROWS",
    "MIN_ROWS",
    "OPTIMIZE",
    "ORDER",
    "PACK_KEYS",
    "PAGE_CHECKSUM",
    "PAGE_COMPRESSED",
    "PAGE_COMPRESSION_LEVEL",
    "PARTITION",
    "REBUILD",
    "REMOVE",
    "REORGANIZE",
    "ROW_FORMAT",
    "SECONDARY_LOAD",
    "SECONDARY_UNLOAD",
    "STATS_AUTO_RECALC",
    "STATS_PERSISTENT",
    "STATS_SAMPLE_PAGES",
    "TABLESPACE",
    "TRANSACTIONAL",
    "WITH",
    "WITHOUT",
];

/// Reads on from the first word of a part; `None` when it ends too early.
fn rewrites(cursor: &mut Cursor<'_>) -> Option<Rewrites> {
    if cursor.take(&["ADD"]) {
        return added(cursor);
    }
    if cursor.take(&["DROP"]) {
        return dropped(cursor);
    }
    if cursor.take(&["ENGINE"]) {
        cursor.sign(b'=');
        let keeps_nothing = cursor.peek().is_some_and(|token| token.is("BLACKHOLE"));
        return Some(if keeps_nothing { Rewrites::Rows } else { Rewrites::Nothing });
    }
    let harmless = |token: Token<'_>| HARMLESS.iter().any(|keyword| token.is(keyword));
    Some(match cursor.peek() {
        None | Some(Token::Sign(b';' | b',')) => Rewrites::Nothing,
        Some(token) if harmless(token) => Rewrites::Nothing,
        // Another type, another character set: another value, or another generated one.
        Some(_) => Rewrites::Rows,
    })
}

/// What stands behind `ADD`: a column with a default for every row, a key.
fn added(cursor: &mut Cursor<'_>) -> Option<Rewrites> {
    const KEYS: [&str; 9] = [
        "CHECK",
        "FOREIGN",
        "FULLTEXT",
        "INDEX",
        "KEY",
        "PARTITION",
        "SPATIAL",
        "UNIQUE",
        "VECTOR",
    ];
    if cursor.take(&["SYSTEM", "VERSIONING"]) || cursor.take(&["PERIOD", "FOR"]) {
        return Some(Rewrites::Rows);
    }
    if cursor.take(&["PRIMARY", "KEY"]) {
        // What may not be NULL any more becomes something else.
        return Some(Rewrites::Rows);
    }
    let next = cursor.peek()?;
    if cursor.take(&["CONSTRAINT"]) {
        let is = |cursor: &Cursor<'_>, word| cursor.peek().is_some_and(|token| token.is(word));
        if !["PRIMARY", "UNIQUE", "FOREIGN", "CHECK"].iter().any(|word| is(cursor, word)) {
            cursor.identifier()?;
        }
        let is_primary = is(cursor, "PRIMARY");
        return Some(if is_primary { Rewrites::Rows } else { Rewrites::Nothing });
    }
    if KEYS.iter().any(|keyword| next.is(keyword)) {
        return Some(Rewrites::Nothing);
    }
    cursor.take(&["COLUMN"]);
    cursor.take(&["IF", "NOT", "EXISTS"]);
    if !cursor.sign(b'(') {
        return Some(Rewrites::Columns(vec![cursor.identifier()?]));
    }
    let mut columns = vec![cursor.identifier()?];
    while let Some(token) = cursor.next() {
        match token {
            Token::Sign(b'(') => cursor.skip_group(),
            Token::Sign(b')') => break,
            // A key is taken for a column of that name.
            Token::Sign(b',') => columns.extend(cursor.identifier()),
            _ => {}
        }
    }
    Some(Rewrites::Columns(columns))
}

/// What stands behind `DROP`, which is no partition.
fn dropped(cursor: &mut Cursor<'_>) -> Option<Rewrites> {
    const KEYS: [&str; 6] = ["CHECK", "CONSTRAINT", "FOREIGN", "INDEX", "KEY", "PRIMARY"];
    if cursor.take(&["SYSTEM", "VERSIONING"]) || cursor.take(&["PERIOD", "FOR"]) {
        return Some(Rewrites::Rows);
    }
    let next = cursor.peek()?;
    if KEYS.iter().any(|keyword| next.is(keyword)) {
        return Some(Rewrites::Nothing);
    }
    cursor.take(&["COLUMN"]);
    cursor.take(&["IF", "EXISTS"]);
    Some(Rewrites::Columns(vec![cursor.identifier()?]))
}

/// Goes behind the comma before the next part, if there is one.
fn next_part(cursor: &mut Cursor<'_>) -> bool {
    while let Some(token) = cursor.next() {
        match token {
            Token::Sign(b',') => return true,
            Token::Sign(b'(') => cursor.skip_group(),
            _ => {}
        }
    }
    false
}
