//! Random expressions, each written for tailstock and for PostgreSQL.
//!
//! The two texts are the same, with as few parentheses as PostgreSQL's own precedence needs,
//! except where the documented meaning differs: numbers are exact decimals (PostgreSQL's
//! literals and casts would be 32-bit integers), they become text without zeros at the end, and
//! text that is no number becomes NULL.

use proptest::prelude::*;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Number,
    Text,
    Bool,
}

impl Kind {
    pub(super) fn type_name(self) -> &'static str {
        match self {
            Kind::Number => "numeric",
            Kind::Text => "text",
            Kind::Bool => "boolean",
        }
    }
}

pub(super) const COLUMNS: [(&str, Kind); 7] = [
    ("n", Kind::Number),
    ("\"Qty on hand\"", Kind::Number),
    ("m", Kind::Number),
    ("t", Kind::Text),
    ("s", Kind::Text),
    ("b", Kind::Bool),
    ("c", Kind::Bool),
];

pub(super) const NUMBERS: &[&str] =
    &["0", "1", "-1", "7", "2.50", "-0.5", "0.01", "12", "99999.99", "-123456", "1000000"];

pub(super) const TEXTS: &[&str] = &[
    "", "A-1", "a-1", "a%b", "a_b", "aXb", "\u{e4}", "\u{e4}b", "\\", "12", " 7.50 ", "1e2", "-3",
    "0", "true", "it's", "Z", "b", "2.5",
];

const PATTERNS: &[&str] = &[
    "'%'",
    "''",
    "'_'",
    "'__'",
    "'A%'",
    "'_-1'",
    "'a\\%b'",
    "'a\\_b'",
    "'a_b'",
    "'%b'",
    "'\\\\'",
    "'%\u{e4}%'",
    "'%5%'",
    "'it''s'",
    "'a!%b' ESCAPE '!'",
    "'a\\%b' ESCAPE ''",
    "'aXXb' ESCAPE 'X'",
    "'%a%%b%'",
];

/// A text PostgreSQL reads as a number, blanks around it allowed.
const NUMERAL: &str = "'^ *([+-]?(?:[0-9]+[.]?[0-9]*|[.][0-9]+)(?:[eE][+-]?[0-9]+)?) *$'";

const OR: u8 = 10;
const AND: u8 = 20;
const NOT: u8 = 30;
const IS: u8 = 40;
const COMPARE: u8 = 50;
const MATCH: u8 = 60;
const CONCAT: u8 = 70;
const ADD: u8 = 80;
const MULTIPLY: u8 = 90;
const MINUS: u8 = 95;
const ATOM: u8 = 100;

/// One expression in two spellings, and how tightly its outermost operator binds.
#[derive(Debug, Clone)]
pub(super) struct Sql {
    pub(super) kind: Kind,
    pub(super) level: u8,
    pub(super) ours: String,
    pub(super) theirs: String,
}

type Text<'a> = &'a dyn Fn(&Sql) -> String;

impl Sql {
    /// Both spellings of the same template.
    fn new(kind: Kind, level: u8, template: impl Fn(Text<'_>) -> String) -> Self {
        let ours = template(&|part| part.ours.clone());
        let theirs = template(&|part| part.theirs.clone());
        Self { kind, level, ours, theirs }
    }

    fn differing(kind: Kind, ours: String, theirs: String) -> Self {
        Self { kind, level: ATOM, ours, theirs }
    }

    fn same(kind: Kind, text: &str) -> Self {
        Self::differing(kind, text.to_owned(), text.to_owned())
    }

    /// In parentheses unless its operator binds at least as tightly as `level`.
    fn within(&self, level: u8) -> Self {
        if self.level >= level {
            return self.clone();
        }
        Self::new(self.kind, ATOM, |of| format!("({})", of(self)))
    }

    /// Both sides of an operator that groups from the left.
    fn chain(kind: Kind, level: u8, operator: &str, [left, right]: [Sql; 2]) -> Self {
        let (left, right) = (left.within(level), right.within(level + 1));
        Self::new(kind, level, |of| format!("{} {operator} {}", of(&left), of(&right)))
    }

    /// As `||` and CAST AS text take it.
    fn as_text(&self) -> Self {
        let theirs = match self.kind {
            Kind::Number => format!("CAST(trim_scale({}) AS text)", self.theirs),
            Kind::Bool => format!("CAST({} AS text)", self.theirs),
            Kind::Text => return self.clone(),
        };
        Self { theirs, ..self.clone() }
    }
}

pub(super) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// An expression of any kind.
pub(super) fn any() -> impl Strategy<Value = Sql> {
    prop_oneof![number(3), text(3), condition(3)]
}

fn of(kind: Kind, depth: u32) -> BoxedStrategy<Sql> {
    match kind {
        Kind::Number => number(depth),
        Kind::Text => text(depth),
        Kind::Bool => condition(depth),
    }
}

/// Two expressions of one kind, whichever it is.
fn alike(depth: u32) -> impl Strategy<Value = [Sql; 2]> {
    prop_oneof![
        [number(depth), number(depth)],
        [text(depth), text(depth)],
        [condition(depth), condition(depth)],
    ]
}

fn null(kind: Kind) -> Sql {
    let theirs = format!("CAST(NULL AS {})", kind.type_name());
    Sql::differing(kind, "NULL".to_owned(), theirs)
}

fn leaf(kind: Kind) -> BoxedStrategy<Sql> {
    let columns: Vec<&str> =
        COLUMNS.iter().filter(|column| column.1 == kind).map(|column| column.0).collect();
    let literals: Vec<String> = match kind {
        // With a point, so that PostgreSQL does not take them for 32-bit integers.
        Kind::Number => {
            ["0.0", "1.0", "2.5", "10.0", "100.0", "0.1", ".5", "1e1"].map(str::to_owned).into()
        }
        Kind::Text => TEXTS.iter().map(|text| quoted(text)).collect(),
        Kind::Bool => vec!["TRUE".to_owned(), "FALSE".to_owned()],
    };
    prop_oneof![
        6 => prop::sample::select(columns).prop_map(move |name| Sql::same(kind, name)),
        3 => prop::sample::select(literals).prop_map(move |text| Sql::same(kind, &text)),
        1 => Just(null(kind)),
    ]
    .boxed()
}

/// What every kind can be made of.
fn chosen(kind: Kind, depth: u32) -> BoxedStrategy<Sql> {
    let some = || prop::collection::vec(of(kind, depth), 1..4);
    let picked = (prop::sample::select(vec!["COALESCE", "LEAST", "GREATEST"]), some());
    let cases = (prop::collection::vec((condition(depth), of(kind, depth)), 1..3), some());
    let simple = (alike(depth), some());
    prop_oneof![
        picked.prop_map(move |(name, arguments)| Sql::new(kind, ATOM, |of| {
            let arguments: Vec<String> = arguments.iter().map(of).collect();
            format!("{name}({})", arguments.join(", "))
        })),
        cases.prop_map(move |(branches, rest)| Sql::new(kind, ATOM, |of| {
            let when = |(condition, result): &(Sql, Sql)| {
                format!("WHEN {} THEN {} ", of(condition), of(result))
            };
            let branches: String = branches.iter().map(when).collect();
            let otherwise = rest.get(1).map(|otherwise| format!("ELSE {} ", of(otherwise)));
            format!("CASE {branches}{}END", otherwise.unwrap_or_default())
        })),
        simple.prop_map(move |([operand, when], rest)| Sql::new(kind, ATOM, |of| {
            let otherwise = of(rest.last().expect("there is at least one"));
            let (operand, when, then) = (of(&operand), of(&when), of(&rest[0]));
            format!("CASE {operand} WHEN {when} THEN {then} ELSE {otherwise} END")
        })),
    ]
    .boxed()
}

fn number(depth: u32) -> BoxedStrategy<Sql> {
    let Some(less) = depth.checked_sub(1) else { return leaf(Kind::Number) };
    let sums = (prop::sample::select(vec!["+", "-"]), [number(less), number(less)]);
    // By one leaf at a time, or the products outgrow the 29 digits of a decimal.
    let products = [number(less), leaf(Kind::Number)];
    let rounded = |x: Sql| {
        let theirs = format!("CAST({} AS numeric(40))", x.theirs);
        Sql::differing(Kind::Number, format!("CAST({} AS integer)", x.ours), theirs)
    };
    let read = |x: Sql| {
        let theirs = format!("CAST(substring({} from {NUMERAL}) AS numeric)", x.theirs);
        Sql::differing(Kind::Number, format!("CAST({} AS decimal)", x.ours), theirs)
    };
    let truth = |x: Sql| {
        let theirs = format!("CAST(CAST({} AS integer) AS numeric)", x.theirs);
        Sql::differing(Kind::Number, format!("CAST({} AS integer)", x.ours), theirs)
    };
    prop_oneof![
        4 => leaf(Kind::Number),
        4 => sums.prop_map(|(operator, sides)| Sql::chain(Kind::Number, ADD, operator, sides)),
        3 => products.prop_map(|sides| Sql::chain(Kind::Number, MULTIPLY, "*", sides)),
        1 => number(less).prop_map(|x| {
            let x = x.within(MINUS);
            Sql::new(Kind::Number, MINUS, |of| format!("- {}", of(&x)))
        }),
        1 => number(less).prop_map(rounded),
        1 => number(less).prop_map(|x| {
            Sql::new(Kind::Number, ATOM, |of| format!("CAST({} AS numeric(30, 1))", of(&x)))
        }),
        // Not of texts joined to numerals of any length.
        1 => prop_oneof![leaf(Kind::Text), chosen(Kind::Text, 0)].prop_map(read),
        1 => condition(less).prop_map(truth),
        4 => chosen(Kind::Number, less),
    ]
    .boxed()
}

fn text(depth: u32) -> BoxedStrategy<Sql> {
    let Some(less) = depth.checked_sub(1) else { return leaf(Kind::Text) };
    let anything = move || prop_oneof![3 => text(less), 2 => number(less), 1 => condition(less)];
    prop_oneof![
        3 => leaf(Kind::Text),
        3 => [anything(), anything()].prop_map(|sides| {
            let [left, right] = sides;
            let ours = Sql::chain(Kind::Text, CONCAT, "||", [left.clone(), right.clone()]).ours;
            let theirs = format!("({}) || ({})", left.as_text().theirs, right.as_text().theirs);
            Sql { kind: Kind::Text, level: CONCAT, ours, theirs }
        }),
        1 => anything().prop_map(|x| {
            let theirs = format!("CAST({} AS text)", x.as_text().theirs);
            Sql::differing(Kind::Text, format!("CAST({} AS text)", x.ours), theirs)
        }),
        3 => chosen(Kind::Text, less),
    ]
    .boxed()
}

fn condition(depth: u32) -> BoxedStrategy<Sql> {
    let Some(less) = depth.checked_sub(1) else { return leaf(Kind::Bool) };
    let compared = (prop::sample::select(vec!["=", "<>", "!=", "<", "<=", ">", ">="]), alike(less));
    let logic = (any_bool(), [condition(less), condition(less)]);
    let not = || prop::sample::select(vec!["", "NOT "]);
    let listed = (not(), prop::collection::vec(alike(less), 1..3), 0_usize..3);
    let ranged = (not(), alike(less), alike(0));
    let liked = (not(), text(less), prop::sample::select(PATTERNS));
    prop_oneof![
        1 => leaf(Kind::Bool),
        4 => compared.prop_map(|(operator, [left, right])| {
            let (left, right) = (left.within(COMPARE + 1), right.within(COMPARE + 1));
            Sql::new(Kind::Bool, COMPARE, |of| format!("{} {operator} {}", of(&left), of(&right)))
        }),
        4 => logic.prop_map(|(and, sides)| {
            let (level, operator) = if and { (AND, "AND") } else { (OR, "OR") };
            Sql::chain(Kind::Bool, level, operator, sides)
        }),
        2 => condition(less).prop_map(|x| {
            let x = x.within(NOT);
            Sql::new(Kind::Bool, NOT, |of| format!("NOT {}", of(&x)))
        }),
        2 => (any_bool(), alike(less)).prop_map(|(negated, [x, _])| {
            let (x, not) = (x.within(IS + 1), if negated { "NOT " } else { "" });
            Sql::new(Kind::Bool, IS, |of| format!("{} IS {not}NULL", of(&x)))
        }),
        2 => listed.prop_map(|(not, pairs, nulls)| {
            let kind = pairs[0][0].kind;
            let operand = pairs[0][0].within(MATCH + 1);
            let mut items: Vec<Sql> =
                pairs.into_iter().flatten().skip(1).filter(|item| item.kind == kind).collect();
            items.extend(std::iter::repeat_n(null(kind), nulls / 2));
            Sql::new(Kind::Bool, MATCH, |of| {
                let items: Vec<String> = items.iter().map(of).collect();
                format!("{} {not}IN ({})", of(&operand), items.join(", "))
            })
        }),
        2 => ranged.prop_map(|(not, [operand, low], [high, other])| {
            let high = [high, other].into_iter().find(|side| side.kind == operand.kind);
            let high = high.unwrap_or_else(|| low.clone()).within(MATCH + 1);
            let (operand, low) = (operand.within(MATCH + 1), low.within(MATCH + 1));
            Sql::new(Kind::Bool, MATCH, |of| {
                format!("{} {not}BETWEEN {} AND {}", of(&operand), of(&low), of(&high))
            })
        }),
        2 => liked.prop_map(|(not, operand, pattern)| {
            let operand = operand.within(MATCH + 1);
            Sql::new(Kind::Bool, MATCH, |of| format!("{} {not}LIKE {pattern}", of(&operand)))
        }),
        2 => chosen(Kind::Bool, less),
    ]
    .boxed()
}

fn any_bool() -> impl Strategy<Value = bool> {
    prop::bool::ANY
}
