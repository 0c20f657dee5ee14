use std::path::{Path, PathBuf};

use super::main_file::checked_name;
use super::outside::{self, Outside};
use super::problem::{Place, Problem};
use super::raw::{Document, Key, Section};
use super::source::{self, SOURCE, SourceConfig};
use super::stock::{self, Block, BlockPlaces, STOCK, TableNames};
use super::{Loader, keys, pattern};
use crate::mapping::Definition;
use crate::stock::SellerId;

/// One seller's file: one database of that seller and what its rows mean.
#[derive(Debug, Clone)]
pub struct SellerConfig {
    /// The tenant.
    pub seller: SellerId,
    /// The database.
    pub source: SourceConfig,
    /// What its rows mean; never empty.
    pub definitions: Vec<Definition>,
    /// 32 hex digits that change when a `[[stock]]` block says something else. Comments, layout,
    /// the order of keys and everything outside those blocks do not count.
    pub mapping_hash: String,
    /// The same of each definition alone.
    pub definition_hashes: Vec<String>,
    /// The file.
    pub file: PathBuf,
    /// Where `seller` stands, for messages.
    pub place: Place,
    /// Where the keys of each definition stand.
    pub(super) places: Vec<BlockPlaces>,
}

impl SellerConfig {
    /// Where a definition's key stands; the definition itself when it has no such key.
    pub fn place_of(&self, definition: usize, key: &str) -> &Place {
        self.places.get(definition).map_or(&self.place, |places| places.of(key))
    }
}

const PREFIX: Key = Key {
    name: "prefix",
    wanted: "what the names of the shop's tables begin with, written {prefix} in `table`",
    example: "prefix = \"wp_\"",
};

const SELLER: Key = Key {
    name: "seller",
    wanted: "the seller's name, the first part of every key",
    example: "seller = \"acme\"",
};

pub(super) fn load(loader: &Loader<'_>, file: &Path) -> Result<SellerConfig, Vec<Problem>> {
    let fix = "save it as UTF-8 text that tailstock may read, or let `sellers` in the main file \
               match less";
    let (name, text) = outside::read(file, fix).map_err(|problem| vec![problem])?;
    let document = Document::new(name, &text);
    let outside = Outside::of(loader, file);
    let root = document.parse(&text);
    let seller = root
        .as_ref()
        .and_then(|root| read(Section::root(&document, root), &outside, file, hashes(&text)));
    let problems = document.into_problems();
    seller.filter(|_| problems.is_empty()).ok_or(problems)
}

fn read(
    root: Section<'_>,
    outside: &Outside<'_>,
    file: &Path,
    (mapping_hash, definition_hashes): (String, Vec<String>),
) -> Option<SellerConfig> {
    let seller = root.required_text(&SELLER).and_then(|name| checked_name(&root, name));
    if !root.has(SOURCE.name) {
        root.report_missing(&SOURCE);
    }
    let source = root.section(&SOURCE).and_then(|section| source::read(section, outside));
    if !root.has(STOCK.name) {
        root.report_missing(&STOCK);
    }
    let prefix = root.text(&PREFIX);
    let is_wrong = |char: char| "{}.*?`\"'".contains(char) || char.is_whitespace();
    if let Some(prefix) = prefix.as_ref().filter(|prefix| prefix.text.contains(is_wrong)) {
        root.report(prefix.problem(PREFIX.wanted, PREFIX.example));
    }
    let prefix = prefix.map(|prefix| prefix.text);
    let sections = root.sections(&STOCK);
    let count = sections.len();
    let schema = source.as_ref().map_or("public", SourceConfig::schema);
    let names = TableNames { schema, prefix: prefix.as_deref() };
    let blocks: Vec<Block> =
        sections.into_iter().filter_map(|section| stock::read(section, names)).collect();
    if count == blocks.len() {
        let problems = keys::check(&blocks).into_iter().chain(pattern::check_all(&blocks));
        problems.for_each(|problem| root.report(problem));
    }
    let automatic = source.as_ref().is_none_or(|source| source.snapshot.automatic);
    for block in blocks.iter().filter(|block| !automatic && block.definition.is_derived()) {
        root.report(Problem::at(
            &block.places.own,
            "lookups or sums, with snapshot = \"never\" in [source]",
            "a source whose tables are read: before that nothing is known of the other rows",
            "remove snapshot = \"never\", or map columns of the table itself",
        ));
    }
    let (definitions, places) =
        blocks.into_iter().map(|block| (block.definition, block.places)).unzip();
    root.refuse("preset", "write the mapping itself in [[stock]] blocks");
    let wanted = "[[stock.lookup]] below the [[stock]] block that it belongs to";
    root.refuse_because("lookup", "[[lookup]] by itself", wanted, "write [[stock.lookup]]");
    let config = seller.zip(source).map(|(seller, source)| SellerConfig {
        seller: SellerId::new(&seller.text),
        source,
        definitions,
        mapping_hash,
        definition_hashes,
        file: file.to_owned(),
        place: seller.place,
        places,
    });
    root.finish();
    config
}

/// [`SellerConfig::mapping_hash`] and [`SellerConfig::definition_hashes`].
fn hashes(text: &str) -> (String, Vec<String>) {
    let table: toml::Table = toml::from_str(text).unwrap_or_default();
    let stock = table.get(STOCK.name).cloned().unwrap_or(toml::Value::Array(Vec::new()));
    let hash = |stock: toml::Value| {
        let mut alone = toml::Table::from_iter([(STOCK.name.to_owned(), stock)]);
        // A part of what the tables are called.
        let prefix = table.get(PREFIX.name).cloned();
        alone.extend(prefix.map(|prefix| (PREFIX.name.to_owned(), prefix)));
        let canonical = toml::to_string(&alone).expect("what was parsed can be written");
        format!("{:032x}", xxhash_rust::xxh3::xxh3_128(canonical.as_bytes()))
    };
    let each = stock.as_array().into_iter().flatten();
    let each = each.map(|one| hash(toml::Value::Array(vec![one.clone()]))).collect();
    (hash(stock), each)
}

/// A seller's source that is described twice, and two that their server could not tell apart.
pub(super) fn twice(
    sellers: &[SellerConfig],
    known_as: &dyn Fn(&SellerConfig) -> Option<String>,
) -> Vec<Problem> {
    let names: Vec<Option<String>> = sellers.iter().map(known_as).collect();
    let mut problems = Vec::new();
    for (nth, later) in sellers.iter().enumerate() {
        let same = |earlier: &&SellerConfig| {
            earlier.seller == later.seller && earlier.source.name == later.source.name
        };
        if let Some(earlier) = sellers[..nth].iter().find(same) {
            let (seller, source) = (&later.seller, &later.source.name);
            problems.push(Problem::at(
                &later.place,
                format!("seller {seller} with source {source} again, after {}", earlier.place),
                "one file for each source of a seller",
                "remove one of the two files, or name another source: [source] name = \"second\"",
            ));
            continue;
        }
        let (what, key) = later.source.kind.known_by();
        let is_taken = |(earlier, name): &(&SellerConfig, &Option<String>)| {
            name.is_some()
                && **name == names[nth]
                && earlier.source.server() == later.source.server()
                && earlier.source.kind.known_by() == (what, key)
        };
        if let Some((earlier, _)) = sellers[..nth].iter().zip(&names).find(is_taken) {
            problems.push(Problem::at(
                &later.source.place,
                format!("the {what} and server of {} again", earlier.source.place),
                format!("a {what} of its own for each source"),
                format!("give one of the two another {what}, or leave `{key}` out"),
            ));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::hashes;

    #[test]
    fn the_hash_of_a_mapping_is_of_what_it_says_and_not_of_how() {
        let one = "seller = 'a'\n[[stock]]\ntable = 'public.t'\nitem = 'id'\n";
        let same = "seller = 'b'\n# new\n[[stock]]\nitem = \"id\" # the id\ntable='public.t'\n";
        let other = "seller = 'a'\n[[stock]]\ntable = 'public.t'\nitem = 'sku'\n";
        assert_eq!(hashes(one), hashes(same));
        assert_ne!(hashes(one).0, hashes(other).0);
        assert_ne!(hashes(one).1, hashes(other).1);
        assert_eq!(hashes(one).0.len(), 32);
    }
}
