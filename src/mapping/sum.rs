use connector_api::Value;

use super::expression::{Columns, Scalar};
use super::field::Field;
use super::row::Row;
use crate::state::CachedRow;
use crate::stock::quantity::Decimal;
use crate::stock::{Quality, QualityFlag};

/// A column that is added up over the rows of a key.
#[derive(Debug)]
pub(super) struct Sum {
    pub(super) place: usize,
    pub(super) field: Field,
}

/// The sums of one key: what its quantities are reckoned with.
pub(super) struct Totals<'a> {
    sums: &'a [Sum],
    totals: Vec<Total>,
    /// What is wrong with the numbers they were made of.
    pub(super) quality: Quality,
}

/// As in SQL, NULL adds nothing, and a sum of nothing is NULL. One that a value is missing from,
/// or that cannot be read to the end, is no number.
enum Total {
    Nothing,
    Number(Decimal),
    Unreadable,
    Unknown,
}

impl<'a> Totals<'a> {
    /// Adds up `rows`, the rows behind one key.
    pub(super) fn of<'r>(sums: &'a [Sum], rows: impl Iterator<Item = &'r CachedRow>) -> Self {
        let mut totals: Vec<Total> = sums.iter().map(|_| Total::Nothing).collect();
        let mut quality = Quality::default();
        for row in rows {
            for (sum, total) in sums.iter().zip(&mut totals) {
                total.add(&sum.field, row, &mut quality);
            }
        }
        Self { sums, totals, quality }
    }

    /// The texts that the quantities read.
    pub(super) fn texts(&self) -> Vec<String> {
        let text = |total: &Total| match total {
            Total::Number(number) => number.to_string(),
            _ => String::new(),
        };
        self.totals.iter().map(text).collect()
    }

    /// The sums as columns; `texts` are [`Self::texts`].
    pub(super) fn columns<'t>(&'t self, texts: &'t [String]) -> Summed<'t> {
        Summed { totals: self, texts }
    }
}

impl Total {
    fn add(&mut self, field: &Field, row: &CachedRow, quality: &mut Quality) {
        let mut own = Quality::default();
        let read = field.scalar(&Row::cached(row), &mut own);
        quality.merge(own);
        *self = match (&self, read) {
            (Total::Unknown, _) | (_, Scalar::Absent) => Total::Unknown,
            (Total::Unreadable, _) => Total::Unreadable,
            (Total::Nothing, Scalar::Number(number)) => Total::Number(number),
            (Total::Number(sum), Scalar::Number(number)) => match sum.checked_add(number) {
                Ok(sum) => Total::Number(sum),
                Err(_) => {
                    quality.set(QualityFlag::Overflow);
                    Total::Unreadable
                }
            },
            (_, _) if unreadable(own) => Total::Unreadable,
            (Total::Nothing, _) => Total::Nothing,
            (Total::Number(sum), _) => Total::Number(*sum),
        };
    }
}

fn unreadable(quality: Quality) -> bool {
    let flags = [QualityFlag::NonNumeric, QualityFlag::Nan, QualityFlag::Overflow];
    flags.into_iter().any(|flag| quality.has(flag))
}

/// The sums of one key in the places of the columns they are sums of.
pub(super) struct Summed<'a> {
    totals: &'a Totals<'a>,
    texts: &'a [String],
}

impl Columns for Summed<'_> {
    fn get(&self, index: usize) -> Value<'_> {
        let Some(nth) = self.totals.sums.iter().position(|sum| sum.place == index) else {
            return Value::Absent;
        };
        match self.totals.totals[nth] {
            Total::Number(_) => Value::Decimal(&self.texts[nth]),
            Total::Nothing | Total::Unreadable => Value::Null,
            Total::Unknown => Value::Absent,
        }
    }
}
