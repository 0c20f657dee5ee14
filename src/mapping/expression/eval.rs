use std::borrow::Cow;
use std::cmp::Ordering;

use connector_api::Value;

use super::tree::{Arithmetic, Case, Comparison, Node, Pick, Reading, Target, What};
use super::value::{Columns, Scalar};
use crate::stock::Quality;
use crate::stock::quantity::{Decimal, Exactness, NumberError};

/// The value of a checked tree for one row.
pub(super) fn eval<'a>(node: &'a Node, row: &'a impl Columns, quality: &mut Quality) -> Scalar<'a> {
    match &node.what {
        What::Column(column) => Scalar::of(row.get(*column), quality),
        What::Null => Scalar::Null,
        What::Bool(value) => Scalar::Bool(*value),
        What::Number(number) => Scalar::Number(*number),
        What::Text(text) => Scalar::Text(Cow::Borrowed(text)),
        What::Negate(of) => match eval(of, row, quality) {
            Scalar::Number(number) => Scalar::Number(-number),
            unknown => unknown,
        },
        What::Not(of) => match eval(of, row, quality) {
            Scalar::Bool(value) => Scalar::Bool(!value),
            unknown => unknown,
        },
        What::Arithmetic(op, of) => arithmetic(*op, of, row, quality),
        What::Compare(op, of) => {
            let [left, right] = both(of, row, quality);
            compare(*op, &left, &right, quality)
        }
        What::And(of) => decided_by(false, of, row, quality),
        What::Or(of) => decided_by(true, of, row, quality),
        What::Concat(of) => match both(of, row, quality).map(Scalar::into_text) {
            [Scalar::Text(left), Scalar::Text(right)] => Scalar::Text(left + right),
            [left, right] => missing(&left, &right),
        },
        What::IsNull(of) => is_null(of, row, quality),
        What::In { operand, list } => is_in(operand, list, row, quality),
        What::Like { operand, pattern } => match (eval(operand, row, quality), pattern) {
            (Scalar::Text(text), Some(pattern)) => Scalar::Bool(pattern.matches(&text)),
            (_, None) => Scalar::Null,
            (unknown, Some(_)) => unknown,
        },
        What::Between { operand, bounds } => between(operand, bounds, row, quality),
        What::Case(case) => choose(case, row, quality),
        What::Pick(Pick::Coalesce, of) => coalesce(of, row, quality),
        What::Pick(Pick::Least, of) => extreme(Ordering::Less, of, row, quality),
        What::Pick(Pick::Greatest, of) => extreme(Ordering::Greater, of, row, quality),
        What::Cast(target, of) => {
            let value = eval(of, row, quality);
            cast(*target, value, quality)
        }
        What::Read(reading, of) => {
            let value = eval(of, row, quality);
            match reading {
                Reading::Number => value.into_number(quality),
                Reading::Text => value.into_text(),
                Reading::Bool => value.into_bool(quality),
            }
        }
    }
}

fn both<'a>(
    [left, right]: &'a [Node; 2],
    row: &'a impl Columns,
    quality: &mut Quality,
) -> [Scalar<'a>; 2] {
    [eval(left, row, quality), eval(right, row, quality)]
}

/// The result where one of two operands that are both needed is not there: NULL with anything is
/// NULL, so an absent value matters only beside one that is there.
fn missing<'a>(left: &Scalar<'_>, right: &Scalar<'_>) -> Scalar<'a> {
    let absent = |value: &Scalar<'_>| matches!(value, Scalar::Absent);
    let null = |value: &Scalar<'_>| matches!(value, Scalar::Null);
    if (absent(left) || absent(right)) && !null(left) && !null(right) {
        Scalar::Absent
    } else {
        Scalar::Null
    }
}

fn arithmetic<'a>(
    op: Arithmetic,
    of: &'a [Node; 2],
    row: &'a impl Columns,
    quality: &mut Quality,
) -> Scalar<'a> {
    let (left, right) = match both(of, row, quality) {
        [Scalar::Number(left), Scalar::Number(right)] => (left, right),
        [left, right] => return missing(&left, &right),
    };
    let exact = |result: Result<Decimal, NumberError>| result.map(|sum| (sum, Exactness::Exact));
    let result = match op {
        Arithmetic::Add => exact(left.checked_add(right)),
        Arithmetic::Subtract => exact(left.checked_sub(right)),
        Arithmetic::Multiply => left.checked_mul(right),
    };
    Scalar::number(result, quality)
}

fn compare<'a>(
    op: Comparison,
    left: &Scalar<'_>,
    right: &Scalar<'_>,
    quality: &mut Quality,
) -> Scalar<'a> {
    let Some(order) = left.order(right, quality) else { return missing(left, right) };
    Scalar::Bool(match op {
        Comparison::Equal => order.is_eq(),
        Comparison::NotEqual => order.is_ne(),
        Comparison::Less => order.is_lt(),
        Comparison::LessOrEqual => order.is_le(),
        Comparison::Greater => order.is_gt(),
        Comparison::GreaterOrEqual => order.is_ge(),
    })
}

/// AND is decided by FALSE and OR by TRUE, on either side and whatever the other side is.
fn decided_by<'a>(
    decisive: bool,
    [left, right]: &'a [Node; 2],
    row: &'a impl Columns,
    quality: &mut Quality,
) -> Scalar<'a> {
    let left = eval(left, row, quality);
    if left == Scalar::Bool(decisive) {
        return left;
    }
    let right = eval(right, row, quality);
    combine(decisive, left, right)
}

fn combine<'a>(decisive: bool, left: Scalar<'a>, right: Scalar<'a>) -> Scalar<'a> {
    let either = |value| left == value || right == value;
    if either(Scalar::Bool(decisive)) {
        Scalar::Bool(decisive)
    } else if either(Scalar::Absent) {
        Scalar::Absent
    } else if either(Scalar::Null) {
        Scalar::Null
    } else {
        Scalar::Bool(!decisive)
    }
}

/// A column is NULL only where the row says so, not where its number cannot be read.
fn is_null<'a>(of: &'a Node, row: &'a impl Columns, quality: &mut Quality) -> Scalar<'a> {
    if let What::Column(column) = of.what {
        return match row.get(column) {
            Value::Absent => Scalar::Absent,
            value => Scalar::Bool(value == Value::Null),
        };
    }
    match eval(of, row, quality) {
        Scalar::Absent => Scalar::Absent,
        value => Scalar::Bool(value == Scalar::Null),
    }
}

fn is_in<'a>(
    operand: &'a Node,
    list: &'a [Node],
    row: &'a impl Columns,
    quality: &mut Quality,
) -> Scalar<'a> {
    let operand = eval(operand, row, quality);
    if matches!(operand, Scalar::Null | Scalar::Absent) {
        return operand;
    }
    let mut found = Scalar::Bool(false);
    for item in list {
        let item = eval(item, row, quality);
        let equal = compare(Comparison::Equal, &operand, &item, quality);
        found = combine(true, found, equal);
        if found == Scalar::Bool(true) {
            break;
        }
    }
    found
}

fn between<'a>(
    operand: &'a Node,
    [low, high]: &'a [Node; 2],
    row: &'a impl Columns,
    quality: &mut Quality,
) -> Scalar<'a> {
    let operand = eval(operand, row, quality);
    let low = eval(low, row, quality);
    let above = compare(Comparison::GreaterOrEqual, &operand, &low, quality);
    if above == Scalar::Bool(false) {
        return above;
    }
    let high = eval(high, row, quality);
    let below = compare(Comparison::LessOrEqual, &operand, &high, quality);
    combine(false, above, below)
}

fn choose<'a>(case: &'a Case, row: &'a impl Columns, quality: &mut Quality) -> Scalar<'a> {
    let operand = case.operand.as_ref().map(|operand| eval(operand, row, quality));
    for [condition, result] in &case.branches {
        let condition = eval(condition, row, quality);
        let met = match &operand {
            Some(operand) => compare(Comparison::Equal, operand, &condition, quality),
            None => condition,
        };
        match met {
            Scalar::Bool(true) => return eval(result, row, quality),
            Scalar::Absent => return Scalar::Absent,
            _ => {}
        }
    }
    case.otherwise.as_ref().map_or(Scalar::Null, |otherwise| eval(otherwise, row, quality))
}

fn coalesce<'a>(of: &'a [Node], row: &'a impl Columns, quality: &mut Quality) -> Scalar<'a> {
    for argument in of {
        let value = eval(argument, row, quality);
        if value != Scalar::Null {
            return value;
        }
    }
    Scalar::Null
}

/// The least or greatest argument that is not NULL.
fn extreme<'a>(
    wanted: Ordering,
    of: &'a [Node],
    row: &'a impl Columns,
    quality: &mut Quality,
) -> Scalar<'a> {
    let mut best = Scalar::Null;
    for argument in of {
        let value = eval(argument, row, quality);
        match (&best, &value) {
            (_, Scalar::Absent) => return Scalar::Absent,
            (_, Scalar::Null) => {}
            (Scalar::Null, _) => best = value,
            _ => match value.order(&best, quality) {
                Some(order) if order == wanted => best = value,
                Some(_) => {}
                None => return Scalar::Null,
            },
        }
    }
    best
}

fn cast<'a>(target: Target, value: Scalar<'a>, quality: &mut Quality) -> Scalar<'a> {
    let (digits, decimals) = match target {
        Target::Text => return value.into_text(),
        Target::Integer => (None, 0),
        Target::Decimal(None) => return value.into_number(quality),
        Target::Decimal(Some((digits, decimals))) => (Some(digits), decimals),
    };
    let number = match value.into_number(quality) {
        Scalar::Number(number) => number,
        unknown => return unknown,
    };
    let rounded = number.round_half_away(decimals).and_then(|rounded| match digits {
        Some(digits) if !rounded.fits_digits(digits) => Err(NumberError::OutOfRange),
        _ => Ok((rounded, Exactness::Exact)),
    });
    Scalar::number(rounded, quality)
}
