use mysql_async::Row;

use super::text;

/// A column of an index.
pub(super) struct Part {
    index: String,
    column: String,
    place: u32,
}

pub(super) fn part(row: &Row) -> Option<Part> {
    Some(Part { index: text(row, 2)?, column: text(row, 3)?, place: text(row, 4)?.parse().ok()? })
}

/// What identifies a row.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Keys {
    /// In key order; empty when nothing does.
    pub(super) primary_key: Vec<String>,
    /// Whether it is the primary key, or a unique index the server takes for one.
    pub(super) is_declared: bool,
}

/// The columns that the catalog marks as the key, in the order of the index that they are.
pub(super) fn identifying(key: &[&str], parts: &[Part]) -> Keys {
    let of = |index: &str| {
        let mut parts: Vec<&Part> = parts.iter().filter(|part| part.index == index).collect();
        parts.sort_unstable_by_key(|part| part.place);
        parts.dedup_by_key(|part| part.place);
        parts.into_iter().map(|part| part.column.clone()).collect::<Vec<_>>()
    };
    let is_it = |columns: &Vec<String>| {
        columns.len() == key.len() && key.iter().all(|name| columns.iter().any(|c| c == name))
    };
    let mut indexes: Vec<&str> = parts.iter().map(|part| &*part.index).collect();
    indexes.dedup();
    let primary = Some(of("PRIMARY")).filter(is_it);
    let is_declared = primary.is_some() || !indexes.iter().any(|index| is_it(&of(index)));
    let unique = || indexes.iter().map(|index| of(index)).find(is_it);
    // An index that the account may not see is not known by its order.
    let unseen = || key.iter().map(|name| (*name).to_owned()).collect();
    Keys { primary_key: primary.or_else(unique).unwrap_or_else(unseen), is_declared }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(all: &[(&str, &str, u32)]) -> Vec<Part> {
        let part = |(index, column, place): &(&str, &str, u32)| Part {
            index: (*index).to_owned(),
            column: (*column).to_owned(),
            place: *place,
        };
        all.iter().map(part).collect()
    }

    #[test]
    fn a_primary_key_has_the_order_of_its_index() {
        let found =
            parts(&[("PRIMARY", "a", 2), ("PRIMARY", "b", 1), ("u", "b", 1), ("u", "a", 2)]);
        let Keys { primary_key, is_declared } = identifying(&["a", "b"], &found);
        assert_eq!((primary_key, is_declared), (vec!["b".to_owned(), "a".to_owned()], true));
    }

    #[test]
    fn a_unique_index_may_stand_in_for_it() {
        let found = parts(&[("i", "a", 1), ("u", "a", 1), ("u", "b", 2)]);
        let Keys { primary_key, is_declared } = identifying(&["a", "b"], &found);
        assert_eq!((primary_key, is_declared), (vec!["a".to_owned(), "b".to_owned()], false));
        assert!(identifying(&[], &found).primary_key.is_empty());
    }

    #[test]
    fn a_key_whose_index_cannot_be_seen_has_the_order_of_the_table() {
        let Keys { primary_key, is_declared } = identifying(&["a", "b"], &[]);
        assert_eq!((primary_key, is_declared), (vec!["a".to_owned(), "b".to_owned()], true));
    }
}
