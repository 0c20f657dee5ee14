/// A DataRow message: its columns as text, one after the other.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row<'a> {
    /// Columns that have not been read.
    left: u16,
    rest: &'a [u8],
}

impl<'a> Row<'a> {
    /// The row in the body of a message; `None` when there is none.
    pub(super) fn read(body: &'a [u8]) -> Option<Self> {
        let (count, rest) = body.split_first_chunk()?;
        Some(Self { left: u16::from_be_bytes(*count), rest })
    }

    /// The next column, in which `None` is NULL; `None` when there is none.
    pub(super) fn column(&mut self) -> Option<Option<&'a [u8]>> {
        self.left = self.left.checked_sub(1)?;
        let (len, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        // -1 stands for NULL.
        let Ok(len) = usize::try_from(i32::from_be_bytes(*len)) else { return Some(None) };
        let (text, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(Some(text))
    }

    /// Whether everything has been read.
    pub(super) fn is_over(&self) -> bool {
        self.left == 0 && self.rest.is_empty()
    }

    /// Bytes of the values, as long as no column has been read.
    pub(super) fn bytes(&self) -> usize {
        self.rest.len().saturating_sub(usize::from(self.left) * size_of::<i32>())
    }

    /// Whether the last column is false.
    pub(super) fn ends_in_false(&self) -> bool {
        self.rest.ends_with(b"\x00\x00\x00\x01f")
    }

    /// All columns, which are text of the server's own.
    pub(super) fn texts(mut self) -> Option<Vec<Option<&'a str>>> {
        let mut texts = Vec::new();
        while self.left > 0 {
            let column = self.column()?;
            texts.push(column.map(std::str::from_utf8).transpose().ok()?);
        }
        self.is_over().then_some(texts)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(columns: &[Option<Vec<u8>>]) -> Vec<u8> {
        let mut body = u16::try_from(columns.len()).unwrap().to_be_bytes().to_vec();
        for column in columns {
            let len = column.as_ref().map_or(-1, |text| i32::try_from(text.len()).unwrap());
            body.extend_from_slice(&len.to_be_bytes());
            body.extend_from_slice(column.as_deref().unwrap_or_default());
        }
        body
    }

    #[test]
    fn a_row_of_text_is_read_with_its_nulls() {
        let texts = |body: &'static [u8]| Row::read(body).and_then(Row::texts);
        let body = b"\x00\x03\x00\x00\x00\x02ab\xff\xff\xff\xff\x00\x00\x00\x00";
        assert_eq!(texts(body), Some(vec![Some("ab"), None, Some("")]));
        assert_eq!(texts(b"\x00\x01\x00\x00\x00\x02a"), None);
        assert_eq!(texts(b"\x00\x00x"), None);
        assert_eq!(texts(b"\x00\x01\x00\x00\x00\x01\xff"), None);
        assert_eq!(texts(b"\x00"), None);
    }

    proptest! {
        #[test]
        fn what_a_server_writes_is_read_back(
            columns in prop::collection::vec(prop::option::of(any::<Vec<u8>>()), 0..6),
            wanted in any::<bool>(),
        ) {
            let bytes: usize = columns.iter().flatten().map(Vec::len).sum();
            prop_assert_eq!(Row::read(&written(&columns)).unwrap().bytes(), bytes);
            let mut marked = columns.clone();
            marked.push(Some(if wanted { b"t".to_vec() } else { b"f".to_vec() }));
            let body = written(&marked);
            let mut row = Row::read(&body).unwrap();
            prop_assert_eq!(row.ends_in_false(), !wanted);
            for column in &columns {
                prop_assert_eq!(row.column(), Some(column.as_deref()));
            }
            prop_assert!(!row.is_over());
            row.column().unwrap();
            prop_assert!(row.is_over());
            prop_assert_eq!(row.column(), None);
        }

        #[test]
        fn any_bytes_are_some_columns_or_none(body in any::<Vec<u8>>()) {
            if let Some(mut row) = Row::read(&body) {
                while row.column().is_some() {}
            }
        }
    }
}
