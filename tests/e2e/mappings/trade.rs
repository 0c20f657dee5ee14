//! What happens to the tables of a group.

use super::expression::pick;
use crate::support::{Random, Shop};

/// Tables of one kind, and what may happen to them.
pub(super) struct Group {
    pub(super) number: u64,
    /// Whether a product goes with its rows, and none of them comes without it: what a foreign key
    /// that cascades does, and what a log of MySQL would not hold of it.
    pub(super) required: bool,
}

fn nullable(random: &mut Random, value: String) -> String {
    if random.chance(12) { "NULL".to_owned() } else { value }
}

fn small(random: &mut Random, bound: u64) -> String {
    let number = random.below(bound).to_string();
    nullable(random, number)
}

fn word(random: &mut Random, words: &[&str]) -> String {
    let word = format!("'{}'", pick(random, words));
    nullable(random, word)
}

fn quantity(random: &mut Random) -> String {
    let number = i64::try_from(random.below(40_000)).unwrap() - 5_000;
    let number = format!("{}.{:03}", number / 1_000, (number % 1_000).abs());
    nullable(random, number)
}

fn kind(random: &mut Random) -> String {
    word(random, &["a", "b", "Z"])
}

fn note(random: &mut Random) -> String {
    word(random, &["", "x", "A-1", "a-1", "b"])
}

fn code(random: &mut Random) -> String {
    word(random, &["A-1", "a-1", "x", "B"])
}

/// A row's name. Some are of two digits, whose order is not that of their texts.
fn id(random: &mut Random) -> u64 {
    random.below(14)
}

/// A product's name.
fn product(random: &mut Random) -> u64 {
    random.below(6)
}

impl Group {
    /// The tables, empty.
    pub(super) async fn create(&self, shop: &Shop) {
        let number = self.number;
        let (text, engine) = match (shop.is_mysql(), shop.is_mariadb()) {
            (false, _) => ("text", ""),
            (true, true) => ("varchar(40) COLLATE utf8mb4_nopad_bin", " ENGINE = InnoDB"),
            (true, false) => ("varchar(40) COLLATE utf8mb4_0900_bin", " ENGINE = InnoDB"),
        };
        let tables = [
            format!("family{number} (id bigint PRIMARY KEY, ref bigint, name {text})"),
            format!(
                "product{number} (id bigint PRIMARY KEY, ref bigint, code {text}, sold bigint, \
                 family bigint)"
            ),
            format!(
                "stock{number} (id bigint PRIMARY KEY, product bigint, kind {text}, place {text}, \
                 note {text}, qty numeric(12, 3), kept bigint)"
            ),
        ];
        for table in tables {
            shop.execute(&format!("CREATE TABLE {table}{engine}")).await;
        }
    }

    pub(super) fn tables(&self) -> [String; 3] {
        ["family", "product", "stock"].map(|name| format!("{name}{}", self.number))
    }

    /// Statements that put rows into the tables.
    pub(super) fn fill(&self, random: &mut Random, is_mysql: bool) -> Vec<String> {
        let mut statements = Vec::new();
        for _ in 0..4 {
            statements.push(self.family(random, is_mysql));
            statements.push(self.product(random, is_mysql));
        }
        for _ in 0..random.below(14) {
            statements.push(self.stock(random, is_mysql));
        }
        statements
    }

    /// What stands before and behind the rows of an INSERT that leaves rows alone that are there.
    fn insert(&self, table: &str, rows: &str, is_mysql: bool) -> String {
        let number = self.number;
        match is_mysql {
            true => format!("INSERT IGNORE INTO {table}{number} {rows}"),
            false => format!("INSERT INTO {table}{number} {rows} ON CONFLICT DO NOTHING"),
        }
    }

    fn family(&self, random: &mut Random, is_mysql: bool) -> String {
        let (id, reference) = (random.below(4), small(random, 4));
        let name = word(random, &["f", "g", "A-1"]);
        self.insert("family", &format!("VALUES ({id}, {reference}, {name})"), is_mysql)
    }

    fn product(&self, random: &mut Random, is_mysql: bool) -> String {
        let (id, reference, code) = (product(random), small(random, 6), code(random));
        let (sold, family) = (small(random, 4), small(random, 4));
        let values = format!("VALUES ({id}, {reference}, {code}, {sold}, {family})");
        self.insert("product", &values, is_mysql)
    }

    fn stock(&self, random: &mut Random, is_mysql: bool) -> String {
        let (id, kind, place) = (id(random), kind(random), word(random, &["k", "l", "m"]));
        let (note, quantity, kept) = (note(random), quantity(random), small(random, 14));
        let product = small(random, 6);
        let row = format!("{id}, {product}, {kind}, {place}, {note}, {quantity}, {kept}");
        let rows = match self.required && product != "NULL" {
            true => format!("SELECT {row} FROM product{} WHERE id = {product}", self.number),
            false => format!("VALUES ({row})"),
        };
        self.insert("stock", &rows, is_mysql)
    }

    /// Statements of a transaction that stand together.
    pub(super) fn change(&self, random: &mut Random, is_mysql: bool) -> Vec<String> {
        let number = self.number;
        match random.below(16) {
            0..4 => vec![self.stock(random, is_mysql)],
            4..9 => vec![self.update(random)],
            9..11 => vec![format!("DELETE FROM stock{number} WHERE id = {}", id(random))],
            11 => vec![self.rename(random, is_mysql)],
            12 => vec![self.product(random, is_mysql)],
            13 => {
                let (id, column) = (product(random), pick(random, &["ref", "sold", "family"]));
                let value = small(random, 6);
                let code = code(random);
                vec![format!(
                    "UPDATE product{number} SET {column} = {value}, code = {code} WHERE id = {id}"
                )]
            }
            14 => {
                let id = product(random);
                let rows = format!("DELETE FROM stock{number} WHERE product = {id}");
                let product = format!("DELETE FROM product{number} WHERE id = {id}");
                if self.required { vec![rows, product] } else { vec![product] }
            }
            _ => match random.below(3) {
                0 => vec![self.family(random, is_mysql)],
                1 => vec![format!("DELETE FROM family{number} WHERE id = {}", random.below(4))],
                _ => {
                    let (name, id) = (word(random, &["f", "h"]), random.below(4));
                    vec![format!("UPDATE family{number} SET name = {name} WHERE id = {id}")]
                }
            },
        }
    }

    fn update(&self, random: &mut Random) -> String {
        let number = self.number;
        let set = match random.below(7) {
            0 => format!("kind = {}", kind(random)),
            1 => format!("place = {}, note = {}", word(random, &["k", "l"]), note(random)),
            2 => format!("kept = {}", small(random, 14)),
            3 => {
                let product = small(random, 6);
                let id = id(random);
                let known = match self.required && product != "NULL" {
                    true => format!(
                        " AND EXISTS (SELECT 1 FROM product{number} p WHERE p.id = {product})"
                    ),
                    false => String::new(),
                };
                return format!(
                    "UPDATE stock{number} SET product = {product} WHERE id = {id}{known}"
                );
            }
            4 => {
                return format!("UPDATE stock{number} SET qty = qty + 1 WHERE id > {}", id(random));
            }
            _ => format!("qty = {}", quantity(random)),
        };
        format!("UPDATE stock{number} SET {set} WHERE id = {}", id(random))
    }

    /// A row goes on under another primary key.
    fn rename(&self, random: &mut Random, is_mysql: bool) -> String {
        let number = self.number;
        let (old, new) = (id(random), id(random));
        match is_mysql {
            true => format!("UPDATE IGNORE stock{number} SET id = {new} WHERE id = {old}"),
            false => format!(
                "UPDATE stock{number} SET id = {new} WHERE id = {old}
                 AND NOT EXISTS (SELECT 1 FROM stock{number} s WHERE s.id = {new})"
            ),
        }
    }
}
