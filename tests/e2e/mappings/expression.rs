//! Random expressions, each written for tailstock and for the shop's server.

use crate::support::Random;

/// What an expression may name.
pub(super) struct Scope<'a> {
    pub(super) numbers: &'a [&'a str],
    pub(super) texts: &'a [&'a str],
    /// Whether the server's LEAST and GREATEST know no NULL, as those of MySQL and MariaDB.
    pub(super) strict: bool,
}

/// One expression in the words of both.
#[derive(Debug, Clone)]
pub(super) struct Sql {
    pub(super) ours: String,
    pub(super) theirs: String,
}

impl Sql {
    pub(super) fn same(text: &str) -> Self {
        Self { ours: text.to_owned(), theirs: text.to_owned() }
    }

    /// Parts in parentheses, with what stands before, between and behind them.
    fn of(between: &[&str], parts: &[&Sql]) -> Self {
        let join = |text: fn(&Sql) -> &str| {
            let mut joined = between[0].to_owned();
            for (part, behind) in parts.iter().zip(&between[1..]) {
                joined += &format!("({}){behind}", text(part));
            }
            joined
        };
        Self { ours: join(|part| &part.ours), theirs: join(|part| &part.theirs) }
    }
}

pub(super) fn pick<'a, T: ?Sized>(random: &mut Random, choices: &[&'a T]) -> &'a T {
    choices[usize::try_from(random.below(choices.len() as u64)).unwrap()]
}

const NUMBERS: [&str; 6] = ["0", "1", "2.5", "7", "10", "0.25"];
const TEXTS: [&str; 7] = ["'a'", "'b'", "'A-1'", "'a-1'", "'x'", "''", "'Z'"];
const PATTERNS: [&str; 6] = ["'a%'", "'%-1'", "'_'", "'%'", "'A_1'", "''"];

/// A number.
pub(super) fn number(random: &mut Random, scope: &Scope<'_>, depth: u32) -> Sql {
    if depth == 0 || random.chance(25) {
        return match random.chance(75) {
            true => Sql::same(pick(random, scope.numbers)),
            false => Sql::same(pick(random, &NUMBERS)),
        };
    }
    let one = number(random, scope, depth - 1);
    match random.below(8) {
        0 => Sql::of(&["", " + ", ""], &[&one, &number(random, scope, depth - 1)]),
        1 => Sql::of(&["", " - ", ""], &[&one, &number(random, scope, depth - 1)]),
        2 => Sql::of(&["", " * ", ""], &[&one, &Sql::same(pick(random, &NUMBERS))]),
        3 => Sql::of(&["COALESCE(", ", ", ")"], &[&one, &number(random, scope, 0)]),
        4 => Sql::of(&["- ", ""], &[&one]),
        5 => extreme(random, scope, &one),
        _ => {
            let other = number(random, scope, depth - 1);
            choice(random, scope, depth, [&one, &other])
        }
    }
}

fn extreme(random: &mut Random, scope: &Scope<'_>, one: &Sql) -> Sql {
    let name = pick(random, &["LEAST", "GREATEST"]);
    let other = number(random, scope, 0);
    let mut made = Sql::of(&[&format!("{name}("), ", ", ")"], &[one, &other]);
    if scope.strict {
        // NULL as soon as one of them is.
        made.theirs = format!("COALESCE({}, {}, {})", made.theirs, one.theirs, other.theirs);
    }
    made
}

/// A text.
pub(super) fn text(random: &mut Random, scope: &Scope<'_>, depth: u32) -> Sql {
    if depth == 0 || random.chance(30) {
        return match random.chance(75) {
            true => Sql::same(pick(random, scope.texts)),
            false => Sql::same(pick(random, &TEXTS)),
        };
    }
    let one = text(random, scope, depth - 1);
    let other = text(random, scope, depth - 1);
    match random.below(4) {
        0 => Sql::of(&["", " || ", ""], &[&one, &other]),
        // Whole numbers alone are written alike everywhere.
        1 => Sql::of(&["'n' || ", " || ", ""], &[&Sql::same("product"), &other]),
        2 => Sql::of(&["COALESCE(", ", ", ")"], &[&one, &other]),
        _ => choice(random, scope, depth, [&one, &other]),
    }
}

fn choice(random: &mut Random, scope: &Scope<'_>, depth: u32, [one, other]: [&Sql; 2]) -> Sql {
    let when = condition(random, scope, depth - 1);
    match random.chance(70) {
        true => Sql::of(&["CASE WHEN ", " THEN ", " ELSE ", " END"], &[&when, one, other]),
        false => Sql::of(&["CASE WHEN ", " THEN ", " END"], &[&when, one]),
    }
}

/// A condition.
pub(super) fn condition(random: &mut Random, scope: &Scope<'_>, depth: u32) -> Sql {
    if depth > 0 && random.chance(35) {
        let one = condition(random, scope, depth - 1);
        let other = condition(random, scope, depth - 1);
        return match random.below(3) {
            0 => Sql::of(&["", " AND ", ""], &[&one, &other]),
            1 => Sql::of(&["", " OR ", ""], &[&one, &other]),
            _ => Sql::of(&["NOT ", ""], &[&one]),
        };
    }
    let less = depth.saturating_sub(1);
    if random.chance(50) {
        let mut of = || number(random, scope, less);
        let (one, other, third) = (of(), of(), of());
        return match random.below(5) {
            0 => Sql::of(&["", " IS NULL"], &[&one]),
            1 => Sql::of(&["", " BETWEEN ", " AND ", ""], &[&one, &other, &third]),
            2 => Sql::of(&["", " IN (", ", ", ")"], &[&one, &other, &third]),
            _ => compared(random, [&one, &other]),
        };
    }
    let mut of = || text(random, scope, less);
    let (one, other, third) = (of(), of(), of());
    match random.below(6) {
        0 => Sql::of(&["", " IS NOT NULL"], &[&one]),
        1 => Sql::of(&["", " NOT IN (", ", ", ")"], &[&one, &other, &third]),
        2 => Sql::of(&["", &format!(" LIKE {}", pick(random, &PATTERNS))], &[&one]),
        3 => Sql::of(&["", " BETWEEN ", " AND ", ""], &[&one, &other, &third]),
        _ => compared(random, [&one, &other]),
    }
}

fn compared(random: &mut Random, sides: [&Sql; 2]) -> Sql {
    let operator = pick(random, &["=", "<>", "<", "<=", ">", ">="]);
    Sql::of(&["", &format!(" {operator} "), ""], &sides)
}
