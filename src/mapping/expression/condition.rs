use connector_api::{Comparison as Judged, Condition, Literal};

use super::tree::{Comparison, Node, What};

/// What of a checked condition a server can judge before it sends a row: true of every row of
/// which the whole is. `name` tells the column of a place, if it is one of the table's own.
pub(super) fn condition<'a>(
    node: &Node,
    name: &impl Fn(usize) -> Option<&'a str>,
) -> Option<Condition> {
    match &node.what {
        // One half restricts the rows as well as it can.
        What::And(of) => {
            let parts: Vec<Condition> =
                of.iter().filter_map(|part| condition(part, name)).collect();
            match parts.len() {
                0 | 1 => parts.into_iter().next(),
                _ => Some(Condition::All(parts)),
            }
        }
        What::Or(of) => {
            let parts = of.iter().map(|part| condition(part, name));
            Some(Condition::Any(parts.collect::<Option<_>>()?))
        }
        What::Compare(op, of) => compare(*op, of, name),
        What::In { operand, list } => {
            let column = column(operand, name)?;
            let items = list.iter().filter(|item| !matches!(item.what, What::Null));
            let equal = |item| Some(compared(column, Judged::Equal, literal(item)?));
            Some(Condition::Any(items.map(equal).collect::<Option<_>>()?))
        }
        What::Between { operand, bounds: of } => {
            let column = column(operand, name)?;
            let number = |bound| literal(bound).filter(|is| matches!(is, Literal::Number(_)));
            let (low, high) = number(&of[0]).zip(number(&of[1]))?;
            Some(Condition::All(vec![
                compared(column, Judged::GreaterOrEqual, low),
                compared(column, Judged::LessOrEqual, high),
            ]))
        }
        What::IsNull(of) => Some(Condition::IsNull(bare(of, name)?.to_owned())),
        What::Not(of) => match &of.what {
            What::IsNull(of) => Some(Condition::IsNotNull(bare(of, name)?.to_owned())),
            _ => Some(compared(column(of, name)?, Judged::Equal, Literal::Bool(false))),
        },
        _ => Some(compared(column(node, name)?, Judged::Equal, Literal::Bool(true))),
    }
}

fn compare<'a>(
    op: Comparison,
    [left, right]: &[Node; 2],
    name: &impl Fn(usize) -> Option<&'a str>,
) -> Option<Condition> {
    let (column, literal, flipped) = match (column(left, name), column(right, name)) {
        (Some(column), None) => (column, literal(right)?, false),
        (None, Some(column)) => (column, literal(left)?, true),
        _ => return None,
    };
    let judged = match (op, flipped) {
        (Comparison::Equal, _) => Judged::Equal,
        (Comparison::NotEqual, _) => return None,
        (Comparison::Less, false) | (Comparison::Greater, true) => Judged::Less,
        (Comparison::Greater, false) | (Comparison::Less, true) => Judged::Greater,
        (Comparison::LessOrEqual, false) | (Comparison::GreaterOrEqual, true) => {
            Judged::LessOrEqual
        }
        (Comparison::GreaterOrEqual, false) | (Comparison::LessOrEqual, true) => {
            Judged::GreaterOrEqual
        }
    };
    // Servers order text in ways of their own.
    let comparable = judged == Judged::Equal || matches!(literal, Literal::Number(_));
    comparable.then(|| compared(column, judged, literal))
}

fn compared(column: &str, comparison: Judged, literal: Literal) -> Condition {
    Condition::Compare { column: column.to_owned(), comparison, literal }
}

/// A column, also one whose kind is found out value by value: what its type allows to be compared
/// is known to who renders the condition.
fn column<'a>(node: &Node, name: &impl Fn(usize) -> Option<&'a str>) -> Option<&'a str> {
    match &node.what {
        What::Read(_, of) => bare(of, name),
        _ => bare(node, name),
    }
}

fn bare<'a>(node: &Node, name: &impl Fn(usize) -> Option<&'a str>) -> Option<&'a str> {
    match node.what {
        What::Column(place) => name(place),
        _ => None,
    }
}

fn literal(node: &Node) -> Option<Literal> {
    match &node.what {
        What::Text(text) => Some(Literal::Text(text.to_string())),
        What::Bool(value) => Some(Literal::Bool(*value)),
        What::Number(number) => Some(Literal::Number(number.to_string())),
        What::Negate(of) => match &of.what {
            What::Number(number) => Some(Literal::Number((-*number).to_string())),
            _ => None,
        },
        _ => None,
    }
}
