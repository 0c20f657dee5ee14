use std::path::{Path, PathBuf};

use super::main_file::checked_name;
use super::outside::{self, Outside};
use super::problem::{Place, Problem};
use super::raw::{Document, Key, Section};
use super::source::{self, SOURCE, SourceConfig};
use super::stock::{self, STOCK, StockMapping};
use super::{Loader, keys};
use crate::stock::SellerId;

/// One seller's file: one database of that seller and what its rows mean.
#[derive(Debug, Clone)]
pub struct SellerConfig {
    /// The tenant.
    pub seller: SellerId,
    /// The database.
    pub source: SourceConfig,
    /// What its rows mean; never empty.
    pub stock: Vec<StockMapping>,
    /// The `[[stock]]` blocks in one canonical form, without comments and layout: the mapping's
    /// revision rises when this text changes.
    pub mapping_text: String,
    /// The file.
    pub file: PathBuf,
    /// Where `seller` stands, for messages.
    pub place: Place,
}

const SELLER: Key = Key {
    name: "seller",
    wanted: "the seller's name, the first part of every key",
    example: "seller = \"acme\"",
};

pub(super) fn load(loader: &Loader<'_>, file: &Path) -> Result<SellerConfig, Vec<Problem>> {
    let (name, text) = outside::read(file).map_err(|problem| vec![problem])?;
    let document = Document::new(name, &text);
    let outside = Outside::of(loader, file);
    let root = document.parse(&text);
    let seller = root.as_ref().and_then(|root| {
        read(Section::root(&document, root), &outside, file, canonical_stock(&text))
    });
    let problems = document.into_problems();
    seller.filter(|_| problems.is_empty()).ok_or(problems)
}

fn read(
    root: Section<'_>,
    outside: &Outside<'_>,
    file: &Path,
    mapping_text: String,
) -> Option<SellerConfig> {
    let seller = root.required_text(&SELLER).and_then(|name| checked_name(&root, name));
    if !root.has(SOURCE.name) {
        root.report_missing(&SOURCE);
    }
    let source = root.section(&SOURCE).and_then(|section| source::read(section, outside));
    if !root.has(STOCK.name) {
        root.report_missing(&STOCK);
    }
    let sections = root.sections(&STOCK);
    let count = sections.len();
    let stock: Vec<StockMapping> = sections.into_iter().filter_map(stock::read).collect();
    if count == stock.len() {
        keys::check(&stock).into_iter().for_each(|problem| root.report(problem));
    }
    root.refuse("preset", "write the mapping itself in [[stock]] blocks");
    let config = seller.zip(source).map(|(seller, source)| SellerConfig {
        seller: SellerId::new(&seller.text),
        source,
        stock,
        mapping_text,
        file: file.to_owned(),
        place: seller.place,
    });
    root.finish();
    config
}

/// The `[[stock]]` blocks of a seller's file with keys in order and every value in one spelling.
fn canonical_stock(text: &str) -> String {
    let table: toml::Table = toml::from_str(text).unwrap_or_default();
    let stock = table.get(STOCK.name).cloned().unwrap_or(toml::Value::Array(Vec::new()));
    let alone = toml::Table::from_iter([(STOCK.name.to_owned(), stock)]);
    toml::to_string(&alone).expect("what was parsed can be written")
}

/// A seller's source that is described twice.
pub(super) fn twice(sellers: &[SellerConfig]) -> Vec<Problem> {
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
        }
        let same_slot = |earlier: &&SellerConfig| {
            later.source.slot.is_some()
                && earlier.source.slot == later.source.slot
                && earlier.source.url == later.source.url
        };
        if let Some(earlier) = sellers[..nth].iter().find(same_slot) {
            problems.push(Problem::at(
                &later.source.place,
                format!("the slot and URL of {} again", earlier.source.place),
                "a slot of its own for each source",
                "give one of the two another slot, or leave `slot` out",
            ));
        }
    }
    problems
}
