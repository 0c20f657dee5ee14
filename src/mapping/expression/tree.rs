use super::like::Pattern;
use crate::stock::quantity::Decimal;

/// One piece of an expression and where its text begins, in characters from 1.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) at: usize,
    pub(super) what: What,
}

/// Parsed and checked expressions are made of the same pieces: checking replaces the number of a
/// column's name by the column's place, and adds the readings ([`What::Read`]).
#[derive(Debug, Clone)]
pub(super) enum What {
    Column(usize),
    Null,
    Bool(bool),
    Number(Decimal),
    Text(Box<str>),
    Negate(Box<Node>),
    Not(Box<Node>),
    Arithmetic(Arithmetic, Box<[Node; 2]>),
    Compare(Comparison, Box<[Node; 2]>),
    And(Box<[Node; 2]>),
    Or(Box<[Node; 2]>),
    Concat(Box<[Node; 2]>),
    IsNull(Box<Node>),
    In {
        operand: Box<Node>,
        list: Vec<Node>,
    },
    Like {
        operand: Box<Node>,
        pattern: Option<Pattern>,
    },
    Between {
        operand: Box<Node>,
        bounds: Box<[Node; 2]>,
    },
    Case(Box<Case>),
    Pick(Pick, Vec<Node>),
    Cast(Target, Box<Node>),
    /// A value of a kind found out at run time, read as this kind.
    Read(Reading, Box<Node>),
}

#[derive(Debug, Clone)]
pub(super) struct Case {
    pub(super) operand: Option<Node>,
    pub(super) branches: Vec<[Node; 2]>,
    pub(super) otherwise: Option<Node>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// Functions that answer with one of their arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pick {
    Coalesce,
    Least,
    Greatest,
}

/// What CAST makes of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    Text,
    Integer,
    /// With the most digits before the point and the number of decimals, if they are limited.
    Decimal(Option<(u8, u8)>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    Number,
    Text,
    Bool,
}

impl Node {
    pub(super) fn new(at: usize, what: What) -> Self {
        Self { at, what }
    }

    /// The text every value begins with, and whether it is the whole of every value.
    pub(super) fn start(&self) -> (String, bool) {
        match &self.what {
            What::Text(text) => (text.to_string(), true),
            What::Number(number) => (number.to_string(), true),
            What::Concat(of) => {
                let (mut start, whole) = of[0].start();
                if !whole {
                    return (start, false);
                }
                let (rest, whole) = of[1].start();
                start.push_str(&rest);
                (start, whole)
            }
            _ => (String::new(), false),
        }
    }

    /// Calls `visit` with every column of this tree.
    pub(super) fn columns_mut(&mut self, visit: &mut impl FnMut(&mut usize)) {
        self.leaves_mut(&mut |leaf| {
            if let What::Column(column) = leaf {
                visit(column);
            }
        });
    }

    /// Calls `visit` with every column and literal of this tree, and with every LIKE for its
    /// pattern.
    pub(super) fn leaves_mut(&mut self, visit: &mut impl FnMut(&mut What)) {
        if matches!(self.what, What::Like { .. }) {
            visit(&mut self.what);
        }
        let mut each = |nodes: &mut [Node]| nodes.iter_mut().for_each(|n| n.leaves_mut(visit));
        match &mut self.what {
            leaf @ (What::Column(_)
            | What::Null
            | What::Bool(_)
            | What::Number(_)
            | What::Text(_)) => visit(leaf),
            What::Negate(of)
            | What::Not(of)
            | What::IsNull(of)
            | What::Like { operand: of, .. }
            | What::Cast(_, of)
            | What::Read(_, of) => of.leaves_mut(visit),
            What::Arithmetic(_, of)
            | What::Compare(_, of)
            | What::And(of)
            | What::Or(of)
            | What::Concat(of) => each(&mut of[..]),
            What::Pick(_, of) => each(of),
            What::In { operand, list } => {
                each(std::slice::from_mut(operand));
                each(list);
            }
            What::Between { operand, bounds } => {
                each(std::slice::from_mut(operand));
                each(&mut bounds[..]);
            }
            What::Case(case) => {
                case.operand.iter_mut().for_each(|of| each(std::slice::from_mut(of)));
                case.branches.iter_mut().for_each(|of| each(&mut of[..]));
                case.otherwise.iter_mut().for_each(|of| each(std::slice::from_mut(of)));
            }
        }
    }
}
