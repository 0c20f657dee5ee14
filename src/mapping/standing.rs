use super::expression::Columns;
use super::field::{Field, Text, Truth};
use super::plan::MappingPlan;
use crate::stock::key;
use crate::stock::{SellerId, SourceName};

/// Texts of one block, by place: keys and their parts outlive the rows they came from.
#[derive(Debug, Default)]
pub(super) struct Arena {
    text: String,
    /// Where keys are put together.
    key: String,
}

/// A place in an [`Arena`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    start: usize,
    end: usize,
}

impl Arena {
    pub(super) fn get(&self, place: Place) -> &str {
        &self.text[place.start..place.end]
    }

    /// Bytes of its texts.
    pub(super) fn len(&self) -> usize {
        self.text.len()
    }

    /// Forgets the texts behind so many bytes.
    pub(super) fn truncate(&mut self, len: usize) {
        self.text.truncate(len);
    }

    /// Forgets every text, and keeps as much memory as an ordinary block needs.
    pub(super) fn clear(&mut self) {
        const KEPT: usize = 4 << 20;
        self.text.clear();
        self.text.shrink_to(KEPT);
    }

    /// Appends a field's text; `Err` says why there is none.
    pub(super) fn field(&mut self, field: &Field, row: &impl Columns) -> Result<Place, Text> {
        let start = self.text.len();
        match field.text(row, &mut self.text) {
            Text::Written => Ok(Place { start, end: self.text.len() }),
            other => {
                self.text.truncate(start);
                Err(other)
            }
        }
    }

    fn literal(&mut self, text: &str) -> Place {
        let start = self.text.len();
        self.text.push_str(text);
        Place { start, end: self.text.len() }
    }

    fn written_key(&mut self) -> Place {
        let start = self.text.len();
        self.text.push_str(&self.key);
        Place { start, end: self.text.len() }
    }
}

/// A record key and its parts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Key {
    pub(super) record: Place,
    pub(super) item: Place,
    pub(super) location: Place,
    pub(super) bucket: Option<Place>,
}

/// What one image of a row says.
#[derive(Debug, Clone, Copy)]
pub(super) enum Standing {
    /// The row stands behind this key.
    Live(Key),
    /// The row is there but marked as gone.
    Removed(Key),
    /// The row is none of the mapping's business.
    Outside,
    /// The image does not say.
    Unknown,
}

/// Why a row cannot be mapped, for the dead letters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Unusable {
    /// What the row says is of no use.
    Row(String),
    /// The image does not say enough, and nothing is remembered of the row. A snapshot mends it.
    Unseen(&'static str),
}

impl Unusable {
    pub(super) fn into_reason(self) -> String {
        match self {
            Unusable::Row(reason) => reason,
            Unusable::Unseen(reason) => reason.to_owned(),
        }
    }

    /// The image of a changed row lacks what decides about it.
    pub(super) fn unseen() -> Self {
        Self::Unseen(
            "a column that decides about the row is not in its image, and the row was not seen \
             before",
        )
    }
}

/// What `row` says under `mapping`.
pub(super) fn standing(
    mapping: &MappingPlan,
    row: &impl Columns,
    who: (&SellerId, &SourceName),
    arena: &mut Arena,
) -> Result<Standing, Unusable> {
    match mapping.filter.as_ref().map(|filter| filter.truth(row)) {
        None | Some(Truth::True) => {}
        Some(Truth::NotTrue) => return Ok(Standing::Outside),
        Some(Truth::Absent) => return Ok(Standing::Unknown),
    }
    let Some(key) = key_of(mapping, row, who, arena)? else { return Ok(Standing::Unknown) };
    match mapping.removed_when.as_ref().map(|gone| gone.truth(row)) {
        None | Some(Truth::NotTrue) => Ok(Standing::Live(key)),
        Some(Truth::True) => Ok(Standing::Removed(key)),
        Some(Truth::Absent) => Ok(Standing::Unknown),
    }
}

/// The key a row yields; `None` when the image does not say.
fn key_of(
    mapping: &MappingPlan,
    row: &impl Columns,
    (seller, source): (&SellerId, &SourceName),
    arena: &mut Arena,
) -> Result<Option<Key>, Unusable> {
    let mut part = |name: &str, field: Option<&Field>| match field {
        None => Ok(Some(None)),
        Some(field) => match arena.field(field, row) {
            Ok(place) if arena.get(place).is_empty() => {
                Err(Unusable::Row(format!("{name} is empty")))
            }
            Ok(place) => Ok(Some(Some(place))),
            Err(Text::Absent) => Ok(None),
            Err(_) => Err(Unusable::Row(format!("{name} is NULL"))),
        },
    };
    let Some(Some(item)) = part("item", Some(&mapping.item))? else { return Ok(None) };
    let Some(location) = part("location", mapping.location.as_ref())? else { return Ok(None) };
    let Some(bucket) = part("bucket", mapping.bucket.as_ref())? else { return Ok(None) };
    let location = location.unwrap_or_else(|| arena.literal("_"));
    let mut record = std::mem::take(&mut arena.key);
    record.clear();
    key::write(
        &key::Parts {
            seller: seller.as_str(),
            source: source.as_str(),
            item: arena.get(item),
            location: arena.get(location),
            bucket: bucket.map(|place| arena.get(place)),
        },
        &mut record,
    );
    arena.key = record;
    let record = arena.written_key();
    Ok(Some(Key { record, item, location, bucket }))
}
