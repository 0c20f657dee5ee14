use connector_api::TableName;

use super::definition::{Definition, Lookup};
use super::expression::Expression;

/// Stands for any part of a table's name.
pub const STAR: char = '*';
/// In the texts of a block: what the [`STAR`] of its table stands for.
pub const STAR_TEXT: &str = "{*}";

/// Whether it stands for several tables.
pub fn is_pattern(name: &TableName) -> bool {
    name.schema.contains(STAR) || name.table.contains(STAR)
}

/// What the one [`STAR`] of `pattern` stands for when `name` is one of its tables: never nothing.
pub fn star_of<'n>(pattern: &TableName, name: &'n TableName) -> Option<&'n str> {
    match pattern.schema.contains(STAR) {
        true if pattern.table == name.table => part_of(&pattern.schema, &name.schema),
        false if pattern.schema == name.schema => part_of(&pattern.table, &name.table),
        _ => None,
    }
}

/// The same of names as they are printed, those that are no patterns included.
pub fn is_meant(pattern: &str, name: &str) -> bool {
    pattern == name || part_of(pattern, name).is_some()
}

fn part_of<'n>(pattern: &str, name: &'n str) -> Option<&'n str> {
    let (before, behind) = pattern.split_once(STAR)?;
    let part = name.strip_prefix(before)?.strip_suffix(behind)?;
    (!part.is_empty()).then_some(part)
}

impl Definition {
    /// The same for the one table that it is about when its [`STAR`] stands for `star`.
    #[must_use]
    pub fn with_star(&self, star: &str) -> Self {
        let text = |of: &Expression| of.with_texts(STAR_TEXT, star);
        let optional = |of: &Option<Expression>| of.as_ref().map(text);
        let name = match self.name.contains(STAR) {
            true => self.name.replace(STAR, star),
            false => format!("{}.{star}", self.name),
        };
        Self {
            name,
            table: table(&self.table, star),
            filter: optional(&self.filter),
            removed_when: optional(&self.removed_when),
            item: text(&self.item),
            sku: optional(&self.sku),
            gtin: optional(&self.gtin),
            parent: optional(&self.parent),
            location: optional(&self.location),
            bucket: optional(&self.bucket),
            quantities: self.quantities.iter().map(|(one, of)| (*one, text(of))).collect(),
            delta: optional(&self.delta),
            active: optional(&self.active),
            tracked: optional(&self.tracked),
            lookups: self.lookups.iter().map(|lookup| lookup.with_star(star)).collect(),
            ..self.clone()
        }
    }

    /// The key of an expression with [`STAR_TEXT`] in it, if there is one.
    pub fn key_with_star(&self) -> Option<String> {
        let own = self.expressions().into_iter();
        let own = own.map(|(key, expression)| (key.to_owned(), expression));
        let looked_up = self.lookups.iter().enumerate().flat_map(|(nth, lookup)| {
            let key = move |part: &str| format!("lookup[{}].{part}", nth + 1);
            let filter = lookup.filter.iter().map(move |filter| (key("where"), filter));
            let on = lookup.on.iter().map(move |(name, of)| (key(&format!("on.{name}")), of));
            let columns = lookup.columns.iter();
            let columns = columns.map(move |(name, of)| (key(&format!("columns.{name}")), of));
            filter.chain(on).chain(columns)
        });
        let mut all = own.chain(looked_up);
        all.find(|(_, expression)| expression.mentions(STAR_TEXT)).map(|(key, _)| key)
    }
}

impl Lookup {
    fn with_star(&self, star: &str) -> Self {
        let text = |of: &Expression| of.with_texts(STAR_TEXT, star);
        let named = |pairs: &[(String, Expression)]| {
            pairs.iter().map(|(name, of)| (name.clone(), text(of))).collect()
        };
        Self {
            table: table(&self.table, star),
            filter: self.filter.as_ref().map(text),
            on: named(&self.on),
            columns: named(&self.columns),
            required: self.required,
        }
    }
}

fn table(pattern: &TableName, star: &str) -> TableName {
    TableName::new(pattern.schema.replace(STAR, star), pattern.table.replace(STAR, star))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn star(pattern: (&str, &str), name: (&str, &str)) -> Option<String> {
        let (pattern, name) =
            (TableName::new(pattern.0, pattern.1), TableName::new(name.0, name.1));
        star_of(&pattern, &name).map(str::to_owned)
    }

    #[test]
    fn a_star_stands_for_the_part_of_a_name_that_is_not_written() {
        let of_table = |name| star(("shop", "wp_*_postmeta"), ("shop", name));
        assert_eq!(of_table("wp_2_postmeta").as_deref(), Some("2"));
        assert_eq!(of_table("wp_a_b_postmeta").as_deref(), Some("a_b"));
        assert_eq!(of_table("wp_postmeta"), None);
        assert_eq!(of_table("wp__postmeta"), None);
        assert_eq!(of_table("wp_2_posts"), None);
        assert_eq!(star(("shop", "wp_*_postmeta"), ("other", "wp_2_postmeta")), None);
        let of_schema = |name| star(("shop_*", "stock"), name);
        assert_eq!(of_schema(("shop_eu", "stock")).as_deref(), Some("eu"));
        assert_eq!(of_schema(("shop_eu", "stocks")), None);
    }
}
