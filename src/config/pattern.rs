//! Blocks whose `table` stands for several tables: what can be wrong with them before and after
//! the tables are known.

use connector_api::{TableDescription, TableName};

use super::keys;
use super::problem::{Place, Problem};
use super::raw::Section;
use super::seller_file::SellerConfig;
use super::stock::{Block, BlockPlaces};
use crate::mapping::{Definition, STAR_TEXT, is_pattern, star_of};

/// The most tables that one pattern may stand for.
const TABLES_MAX: usize = 500;

const DISTINCT: &str = "mappings of the tables that differ in a literal, or in the literal \
                        beginning, of item, location or bucket";
const DISTINCT_FIX: &str = "write what the * stands for as {*} into one of them: location = \
                            \"'{*}'\", or item = \"'{*}-' || id\"";

/// What can be wrong with one block whatever tables there are. `place` says where a key is.
pub(super) fn check(section: &Section<'_>, definition: &Definition, place: &dyn Fn(&str) -> Place) {
    if is_pattern(&definition.table) {
        let [one, other] = ["1", "11"].map(|star| definition.with_star(star));
        if keys::can_meet(&one, &other) {
            let found = format!("two tables of {} that can yield the same keys", definition.table);
            section.report(Problem::at(&place("table"), found, DISTINCT, DISTINCT_FIX));
        }
        return;
    }
    for (nth, lookup) in definition.lookups.iter().enumerate() {
        if is_pattern(&lookup.table) {
            section.report(Problem::at(
                &place(&format!("lookup[{}].table", nth + 1)),
                format!("{}, where the block is about {}", lookup.table, definition.table),
                "a * that stands for what that of the block's table stands for",
                "name one table, or write a * into the `table` of the block",
            ));
        }
    }
    if let Some(key) = definition.key_with_star() {
        let found = format!("{STAR_TEXT} in a block about {} alone", definition.table);
        let wanted = "a text, or a * in `table` for it to stand for";
        section.report(Problem::at(&place(&key), found, wanted, "write the text itself"));
    }
}

/// A table that a block names and the pattern of another one stands for too.
pub(super) fn check_all(blocks: &[Block]) -> Vec<Problem> {
    let patterns = || blocks.iter().filter(|block| is_pattern(&block.definition.table));
    let named = blocks.iter().filter(|block| !is_pattern(&block.definition.table));
    let met = |block: &Block| {
        let table = &block.definition.table;
        let pattern = patterns().find(|one| star_of(&one.definition.table, table).is_some())?;
        Some(twice(table, block.places.of("table"), pattern.places.of("table")))
    };
    named.filter_map(met).collect()
}

fn twice(table: &TableName, here: &Place, there: &Place) -> Problem {
    Problem::at(
        here,
        format!("{table}, for which the * of {there} stands too"),
        "one pattern that stands for a table, in all blocks about it",
        "write more of the names into the patterns, or leave one of the blocks out",
    )
}

impl SellerConfig {
    /// Whether there are blocks about several tables.
    pub fn has_patterns(&self) -> bool {
        self.definitions.iter().any(|definition| is_pattern(&definition.table))
    }

    /// The same with a definition for each of these tables that a pattern stands for.
    ///
    /// # Errors
    /// Everything that keeps it from being so.
    pub fn of_tables(&self, tables: &[TableDescription]) -> Result<Self, Vec<Problem>> {
        let mut expanded = Self {
            definitions: Vec::new(),
            definition_hashes: Vec::new(),
            places: Vec::new(),
            ..self.clone()
        };
        let mut problems = Vec::new();
        let hashes = self.definition_hashes.iter();
        for ((definition, hash), places) in self.definitions.iter().zip(hashes).zip(&self.places) {
            match of_tables(definition, places, tables) {
                Ok(found) => {
                    let count = found.len();
                    expanded.definitions.extend(found);
                    expanded.definition_hashes.extend(std::iter::repeat_n(hash.clone(), count));
                    expanded.places.extend(std::iter::repeat_n(places.clone(), count));
                }
                Err(problem) => problems.push(problem),
            }
        }
        problems.extend(self.claimed_twice(tables));
        if problems.is_empty() {
            problems.extend(expanded.met());
        }
        if problems.is_empty() { Ok(expanded) } else { Err(problems) }
    }

    /// Tables for which different patterns stand, one problem for each two.
    fn claimed_twice(&self, tables: &[TableDescription]) -> Vec<Problem> {
        let mut problems = Vec::new();
        for (nth, later) in self.definitions.iter().enumerate() {
            for (earlier, there) in self.definitions[..nth].iter().zip(&self.places) {
                let patterns = [&later.table, &earlier.table];
                if patterns[0] == patterns[1] || !patterns.iter().all(|name| is_pattern(name)) {
                    continue;
                }
                let both = tables.iter().find(|table| {
                    patterns.iter().all(|pattern| star_of(pattern, &table.name).is_some())
                });
                let here = self.places[nth].of("table");
                problems.extend(both.map(|table| twice(&table.name, here, there.of("table"))));
            }
        }
        problems
    }

    /// Definitions that can yield one key, now that all tables are known; the first two.
    fn met(&self) -> Option<Problem> {
        let (earlier, later) = keys::first_to_meet(&self.definitions)?;
        let (one, other) = (&self.definitions[earlier].table, &self.definitions[later].table);
        let found = format!("tables {one} and {other}, which can yield the same keys");
        Some(Problem::at(self.places[later].of("table"), found, DISTINCT, DISTINCT_FIX))
    }
}

/// The definitions of the tables that a definition stands for, in the order of their names.
fn of_tables(
    definition: &Definition,
    places: &BlockPlaces,
    tables: &[TableDescription],
) -> Result<Vec<Definition>, Problem> {
    let pattern = &definition.table;
    if !is_pattern(pattern) {
        return Ok(vec![definition.clone()]);
    }
    let mut names: Vec<&TableName> = tables.iter().map(|table| &table.name).collect();
    names.sort_unstable();
    let stars: Vec<&str> = names.into_iter().filter_map(|name| star_of(pattern, name)).collect();
    let problem = |found: String, wanted: &str, fix: &str| {
        Err(Problem::at(places.of("table"), found, wanted, fix))
    };
    match stars.len() {
        0 => problem(
            format!("no table like {pattern} that exists and can be seen"),
            "one at least",
            "check its spelling, schema and prefix included, and the account's grants",
        ),
        count if count > TABLES_MAX => problem(
            format!("{count} tables like {pattern}"),
            &format!("at most {TABLES_MAX} of one pattern"),
            "write more of the names into the pattern, and divide the tables among several blocks",
        ),
        _ => Ok(stars.into_iter().map(|star| definition.with_star(star)).collect()),
    }
}
