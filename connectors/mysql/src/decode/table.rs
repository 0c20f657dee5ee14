use std::sync::Arc;

use connector_api::{
    BatchBuilder, Capture, Cell, Column, ColumnLayout, Columns, TableName, TableSchema,
};

use super::catalog::{Catalog, Found, labels, real_kind};
use crate::log::{self, Flavor, TableMap};
use crate::value::{Charset, ColumnType, Cursor, Definition, Scratch, Unreadable};

const STRING: u8 = 254;
/// TIMESTAMP, TIME and DATETIME of before 10.1.
const OLD_TIMES: [u8; 3] = [7, 11, 12];
/// The number of the collation that text has none of.
const BINARY: u32 = 63;
/// INET4, and INET6 and UUID.
const ADDRESS_BYTES: [u8; 2] = [4, 16];
const ENUM: u8 = 247;
const SET: u8 = 248;

/// A table as a TABLE_MAP describes it, and how its rows are read. Built once for a shape.
#[derive(Debug)]
pub(super) struct Table {
    /// What it was built from.
    pub(super) body: Box<[u8]>,
    /// None when the table is not captured.
    pub(super) captured: Option<Captured>,
}

#[derive(Debug)]
pub(super) struct Captured {
    pub(super) schema: Arc<TableSchema>,
    /// All columns of the log, or why no row can be taken apart.
    plan: Result<Vec<Planned>, String>,
    /// Why rows cannot be told apart by column names, if they cannot.
    refused: Option<String>,
}

#[derive(Debug)]
struct Planned {
    column: ColumnType,
    is_captured: bool,
    is_json: bool,
}

/// Why a row could not be read.
#[derive(Debug)]
pub(super) struct Failed {
    /// Nothing behind it can be read either.
    pub(super) is_lost: bool,
    pub(super) reason: String,
}

/// One image of a row in a rows event.
pub(super) struct Image<'r> {
    /// The columns that are there.
    pub(super) present: &'r [u8],
    /// JSON columns may be differences.
    pub(super) is_partial: bool,
}

/// A table of which the log leaves something out that nothing else has said.
pub(super) struct Unsaid {
    pub(super) table: TableName,
    /// The names of its columns are said: those that are seen are enough.
    pub(super) is_named: bool,
}

impl Table {
    pub(super) fn new(
        map: &TableMap<'_>,
        body: &[u8],
        flavor: Flavor,
        known: (&Capture, &mut Catalog),
    ) -> Result<Self, Unsaid> {
        let (capture, catalog) = known;
        let name = name_of(map);
        let captured = capture
            .columns_of(&name)
            .map(|wanted| Captured::new(map, flavor, name, (wanted, catalog)))
            .transpose()?;
        Ok(Self { body: body.into(), captured })
    }
}

pub(super) fn name_of(map: &TableMap<'_>) -> TableName {
    TableName::new(String::from_utf8_lossy(map.schema), String::from_utf8_lossy(map.table))
}

impl Captured {
    fn new(
        map: &TableMap<'_>,
        flavor: Flavor,
        name: TableName,
        known: (&Columns, &mut Catalog),
    ) -> Result<Self, Unsaid> {
        let (wanted, catalog) = known;
        let columns = map.columns().and_then(|mut columns| {
            map.describe(&mut columns)?;
            Ok(columns)
        });
        let columns = match columns {
            Ok(columns) => columns,
            Err(error) => return Ok(Self::unread(name, error.to_string())),
        };
        let lacks = |column: &log::Column<'_>| lacks_something(column, flavor, wanted);
        let (defined, refused) = if !columns.iter().any(lacks) {
            (Vec::new(), None)
        } else {
            match catalog.columns_of(&name, &columns, &lacks) {
                Found::Columns(defined) => (defined, None),
                Found::Refused(why) => (Vec::new(), Some(why.to_owned())),
                Found::Nothing => {
                    let is_named = columns.iter().all(|column| column.name.is_some());
                    return Err(Unsaid { table: name, is_named });
                }
            }
        };
        let has_key = columns.iter().any(|column| column.key.is_some())
            || defined.iter().flatten().any(|column| column.is_key);
        let mut schema = TableSchema { name, columns: Vec::new() };
        let mut plan = Vec::with_capacity(columns.len());
        let mut key_is_captured = true;
        for (nth, column) in columns.iter().enumerate() {
            let catalog = defined.get(nth).copied().flatten();
            let planned = reading_of(column, flavor, catalog);
            let (column_type, described) = match planned {
                Ok(planned) => planned,
                Err(why) => {
                    let reason = format!("its column {}: {why}", described_name(column, nth));
                    return Ok(Self::unread(schema.name, reason));
                }
            };
            let name = match (column.name, catalog) {
                (Some(name), _) => String::from_utf8_lossy(name).into_owned(),
                (None, Some(catalog)) => catalog.name.clone(),
                (None, None) => String::new(),
            };
            let is_captured = refused.is_none() && wants(wanted, &name);
            let is_key = column.key.is_some() || catalog.is_some_and(|column| column.is_key);
            key_is_captured &= is_captured || !is_key;
            if is_captured {
                let identity = is_key || !has_key;
                schema.columns.push(Column { name, type_name: described, identity });
            }
            plan.push(Planned { column: column_type, is_captured, is_json: column.kind == 245 });
        }
        if !key_is_captured {
            // Part of what identifies a row identifies none.
            schema.columns.iter_mut().for_each(|column| column.identity = false);
        }
        Ok(Self { schema: Arc::new(schema), plan: Ok(plan), refused })
    }

    fn unread(name: TableName, reason: String) -> Self {
        let schema = Arc::new(TableSchema { name, columns: Vec::new() });
        Self { schema, plan: Err(reason), refused: None }
    }

    /// How many columns a row has, if that is known.
    pub(super) fn width(&self) -> Option<usize> {
        self.plan.as_ref().ok().map(Vec::len)
    }

    /// Decodes one image into `out`. Whatever is wrong with it, the cursor is behind the image
    /// unless what follows is lost too.
    pub(super) fn image(
        &self,
        cursor: &mut Cursor<'_>,
        image: &Image<'_>,
        scratch: &mut Scratch,
        out: &mut BatchBuilder,
    ) -> Result<u32, Failed> {
        let plan = self.plan()?;
        let start = out.image();
        let mut walk = Walk::new(cursor, image, plan)?;
        let mut captured = 0;
        let mut failed = self.refusal();
        for (nth, planned) in plan.iter().enumerate() {
            let step = walk.next(nth);
            let done = match step {
                Step::Absent if planned.is_captured => {
                    out.push(Cell::Absent);
                    Ok(())
                }
                Step::Null if planned.is_captured => {
                    out.push(Cell::Null);
                    Ok(())
                }
                Step::Absent | Step::Null => Ok(()),
                Step::Difference if planned.is_captured => Err(planned.column.difference(cursor)),
                Step::Value if planned.is_captured => planned.column.decode(cursor, scratch, out),
                Step::Value | Step::Difference => planned.column.skip(cursor),
            };
            if let Err(why) = done {
                let is_lost = why == Unreadable::Short;
                let name = if planned.is_captured {
                    self.schema.columns[captured].name.clone()
                } else {
                    format!("number {nth}")
                };
                failed.get_or_insert_with(|| Failed {
                    is_lost,
                    reason: format!("its column {name}: {why}"),
                });
                if is_lost {
                    return Err(Failed { is_lost, reason: format!("its column {name}: {why}") });
                }
            }
            captured += usize::from(planned.is_captured);
        }
        failed.map_or(Ok(start), Err)
    }

    /// Steps over one image.
    pub(super) fn pass(&self, cursor: &mut Cursor<'_>, image: &Image<'_>) -> Result<(), Failed> {
        let plan = self.plan()?;
        let mut walk = Walk::new(cursor, image, plan)?;
        for (nth, planned) in plan.iter().enumerate() {
            match walk.next(nth) {
                Step::Absent | Step::Null => {}
                Step::Value | Step::Difference => {
                    planned.column.skip(cursor).map_err(|why| Failed {
                        is_lost: true,
                        reason: format!("its column number {nth}: {why}"),
                    })?;
                }
            }
        }
        Ok(())
    }

    fn plan(&self) -> Result<&[Planned], Failed> {
        let lost = |reason: &String| Failed { is_lost: true, reason: reason.clone() };
        self.plan.as_deref().map_err(lost)
    }

    fn refusal(&self) -> Option<Failed> {
        let refused = self.refused.as_ref()?;
        Some(Failed { is_lost: false, reason: refused.clone() })
    }
}

/// Whether the log leaves something out of a column without which it cannot be read.
fn lacks_something(column: &log::Column<'_>, flavor: Flavor, wanted: &Columns) -> bool {
    let Some(name) = column.name else { return true };
    if flavor == Flavor::MySql {
        return false;
    }
    // The bytes of these are said by their fractions, which stand in the catalog: who only steps
    // over them has to know too.
    if OLD_TIMES.contains(&column.kind) {
        return true;
    }
    // Whether bytes are an address or a UUID.
    let [_, length] = column.meta.to_le_bytes();
    let is_binary = column.collation.is_none_or(|collation| collation == BINARY);
    let may_be = real_kind(column) == STRING && ADDRESS_BYTES.contains(&length) && is_binary;
    may_be && wants(wanted, &String::from_utf8_lossy(name))
}

/// How a column is read, and its type for people.
fn reading_of(
    column: &log::Column<'_>,
    flavor: Flavor,
    catalog: Option<&ColumnLayout>,
) -> Result<(ColumnType, String), Unreadable> {
    let type_name = catalog.map_or("", |catalog| catalog.type_name.as_str());
    let real = real_kind(column);
    let mut charset = column.collation.and_then(|number| {
        let number = u16::try_from(number).ok()?;
        Some(match flavor {
            Flavor::MySql => Charset::of_mysql(number),
            Flavor::MariaDb => Charset::of_mariadb(number),
        })
    });
    let mut own: Option<Vec<Vec<u8>>> =
        column.labels.as_ref().map(|labels| labels.iter().map(|label| label.to_vec()).collect());
    if let Some(catalog) = catalog {
        if matches!(real, ENUM | SET) && own.is_none() {
            own = labels(&catalog.type_name);
            charset = Some(Charset::named("utf8mb4"));
        }
        let named = || Charset::named(catalog.charset.as_deref().unwrap_or("binary"));
        charset = charset.or_else(|| Some(named()));
    }
    let unsigned = column.is_unsigned.unwrap_or_else(|| type_name.contains("unsigned"));
    let column_type = ColumnType::new(&Definition {
        code: column.kind,
        metadata: column.meta,
        unsigned,
        charset,
        labels: own.as_deref(),
        type_name,
    })?;
    let printed = match type_name {
        "" => printed(real, unsigned),
        known => known.to_owned(),
    };
    Ok((column_type, printed))
}

/// Where an image is read.
struct Walk<'a, 'r> {
    nulls: &'a [u8],
    present: &'r [u8],
    /// One bit for each JSON column: its value is a difference.
    partial: &'a [u8],
    seen: usize,
    json: usize,
    is_json: Vec<bool>,
}

enum Step {
    Absent,
    Null,
    Value,
    Difference,
}

impl<'a, 'r> Walk<'a, 'r> {
    fn new(cursor: &mut Cursor<'a>, image: &Image<'r>, plan: &[Planned]) -> Result<Self, Failed> {
        let short = |why: Unreadable| Failed { is_lost: true, reason: why.to_string() };
        let mut partial = &[][..];
        let mut is_json = Vec::new();
        if image.is_partial {
            let options = cursor.bytes(1).map_err(short)?;
            if options[0] & 1 != 0 {
                let columns = plan.iter().filter(|planned| planned.is_json).count();
                partial = cursor.bytes(columns.div_ceil(8)).map_err(short)?;
                is_json = plan.iter().map(|planned| planned.is_json).collect();
            }
        }
        let columns = (0..plan.len()).filter(|&nth| bit(image.present, nth)).count();
        let nulls = cursor.bytes(columns.div_ceil(8)).map_err(short)?;
        Ok(Self { nulls, present: image.present, partial, seen: 0, json: 0, is_json })
    }

    fn next(&mut self, nth: usize) -> Step {
        let mut is_difference = false;
        if self.is_json.get(nth) == Some(&true) {
            is_difference = bit(self.partial, self.json);
            self.json += 1;
        }
        if !bit(self.present, nth) {
            return Step::Absent;
        }
        let is_null = bit(self.nulls, self.seen);
        self.seen += 1;
        match (is_null, is_difference) {
            (true, _) => Step::Null,
            (false, true) => Step::Difference,
            (false, false) => Step::Value,
        }
    }
}

/// Bit `nth`, from the lowest of the first byte on.
fn bit(bits: &[u8], nth: usize) -> bool {
    bits.get(nth / 8).is_some_and(|byte| byte >> (nth % 8) & 1 == 1)
}

fn wants(wanted: &Columns, name: &str) -> bool {
    match wanted {
        Columns::All => true,
        Columns::Only(names) => names.iter().any(|wanted| wanted == name),
    }
}

fn described_name(column: &log::Column<'_>, nth: usize) -> String {
    match column.name {
        Some(name) => String::from_utf8_lossy(name).into_owned(),
        None => format!("number {nth}"),
    }
}

/// The type by its code alone, where the database's own name of it is not known.
fn printed(kind: u8, unsigned: bool) -> String {
    let name = match kind {
        1 => "tinyint",
        2 => "smallint",
        3 => "int",
        4 => "float",
        5 => "double",
        7 | 17 => "timestamp",
        8 => "bigint",
        9 => "mediumint",
        10 | 14 => "date",
        11 | 19 => "time",
        12 | 18 => "datetime",
        13 => "year",
        15 | 141 | 253 => "varchar",
        16 => "bit",
        140 | 249..=252 => "blob",
        242 => "vector",
        245 => "json",
        246 => "decimal",
        247 => "enum",
        248 => "set",
        254 => "char",
        255 => "geometry",
        other => return format!("type {other}"),
    };
    let is_number = matches!(kind, 1..=5 | 8 | 9 | 246);
    if unsigned && is_number { format!("{name} unsigned") } else { name.to_owned() }
}
