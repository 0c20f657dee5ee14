use crate::{Cell, Value};

/// One image of a row: a value for each column of its [`crate::TableSchema`].
#[derive(Debug, Clone, Copy)]
pub struct RowImage<'a> {
    pub(super) cells: &'a [Cell],
    pub(super) data: &'a [u8],
}

impl<'a> RowImage<'a> {
    /// The value of a column by its place.
    pub fn get(&self, index: usize) -> Value<'a> {
        self.cells[index].value(self.data)
    }

    /// All values in column order.
    pub fn values(&self) -> impl Iterator<Item = Value<'a>> + use<'a> {
        let data = self.data;
        self.cells.iter().map(move |cell| cell.value(data))
    }
}
