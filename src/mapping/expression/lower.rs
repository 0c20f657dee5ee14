use sqlparser::ast::{
    BinaryOperator, CaseWhen, CastKind, DataType, ExactNumberInfo, Expr, Function, FunctionArg,
    FunctionArgExpr, FunctionArguments, Ident, UnaryOperator, Value, ValueWithSpan,
};

use super::Name;
use super::error::{ALLOWED, ExpressionError};
use super::like::Pattern;
use super::parse::offset;
use super::tree::{Arithmetic, Case, Comparison, Node, Pick, Target, What};
use crate::stock::quantity::{Decimal, Exactness, SCALE_MAX};

/// How deep a tree may be: more than any parentheses, for chains of one operator.
const DEPTH_MAX: usize = 128;

type Lowered = Result<Node, ExpressionError>;

/// Turns the parser's tree into ours and refuses what has no place in it.
pub(super) struct Lowering<'a> {
    text: &'a str,
    names: Vec<Name>,
    depth: usize,
}

impl<'a> Lowering<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, names: Vec::new(), depth: 0 }
    }

    pub(super) fn into_names(self) -> Vec<Name> {
        self.names
    }

    pub(super) fn node(&mut self, expr: &Expr) -> Lowered {
        if self.depth > DEPTH_MAX {
            let found = format!("more than {DEPTH_MAX} operators in a row or in each other");
            let fix = "use IN (list) for many alternatives, or parentheses around halves";
            return Err(ExpressionError::new(self.start(expr), found, fix));
        }
        self.depth += 1;
        let node = self.lower(expr);
        self.depth -= 1;
        node
    }

    fn lower(&mut self, expr: &Expr) -> Lowered {
        let at = self.start(expr).unwrap_or(1);
        let what = match expr {
            Expr::Nested(inner) => return self.node(inner),
            Expr::Identifier(ident) => self.column(ident),
            Expr::Value(value) => self.literal(value)?,
            Expr::UnaryOp { op: UnaryOperator::Minus, expr } => What::Negate(self.boxed(expr)?),
            Expr::UnaryOp { op: UnaryOperator::Not, expr } => What::Not(self.boxed(expr)?),
            Expr::BinaryOp { left, op, right } => self.binary(left, op, right)?,
            Expr::IsNull(operand) => What::IsNull(self.boxed(operand)?),
            Expr::IsNotNull(operand) => {
                let is_null = What::IsNull(self.boxed(operand)?);
                negated_if(true, at, is_null)
            }
            Expr::InList { expr, list, negated } => {
                let operand = self.boxed(expr)?;
                let list = list.iter().map(|item| self.node(item)).collect::<Result<_, _>>()?;
                negated_if(*negated, at, What::In { operand, list })
            }
            Expr::Between { expr, negated, low, high } => {
                let operand = self.boxed(expr)?;
                let bounds = self.pair(low, high)?;
                negated_if(*negated, at, What::Between { operand, bounds })
            }
            Expr::Like { negated, any: false, expr, pattern, escape_char } => {
                let operand = self.boxed(expr)?;
                let pattern = self.pattern(pattern, escape_char.as_deref())?;
                negated_if(*negated, at, What::Like { operand, pattern })
            }
            Expr::Case { operand, conditions, else_result, .. } => {
                self.case(operand.as_deref(), conditions, else_result.as_deref())?
            }
            Expr::Function(function) => self.function(function)?,
            Expr::Cast { kind: CastKind::Cast, expr: operand, data_type, format: None } => {
                What::Cast(self.target(data_type, expr)?, self.boxed(operand)?)
            }
            _ => return Err(self.refused(expr)),
        };
        Ok(Node::new(at, what))
    }

    fn boxed(&mut self, expr: &Expr) -> Result<Box<Node>, ExpressionError> {
        self.node(expr).map(Box::new)
    }

    fn pair(&mut self, left: &Expr, right: &Expr) -> Result<Box<[Node; 2]>, ExpressionError> {
        Ok(Box::new([self.node(left)?, self.node(right)?]))
    }

    fn column(&mut self, ident: &Ident) -> What {
        let known = self.names.iter().position(|name| name.text == ident.value);
        What::Column(known.unwrap_or_else(|| {
            let quoted = ident.quote_style.is_some();
            self.names.push(Name { text: ident.value.clone(), quoted });
            self.names.len() - 1
        }))
    }

    fn literal(&self, literal: &ValueWithSpan) -> Result<What, ExpressionError> {
        let refused = |found: String, fix: &str| {
            Err(ExpressionError::new(offset(self.text, literal.span.start), found, fix))
        };
        match &literal.value {
            Value::Null => Ok(What::Null),
            Value::Boolean(value) => Ok(What::Bool(*value)),
            Value::SingleQuotedString(text) => Ok(What::Text(text.as_str().into())),
            Value::Number(digits, false) => match Decimal::parse(digits) {
                Ok((number, Exactness::Exact)) => Ok(What::Number(number)),
                Ok((_, Exactness::Rounded)) => refused(
                    format!("the number {digits} has more than {SCALE_MAX} decimals"),
                    "round it",
                ),
                Err(error) => refused(format!("{digits} cannot be used: {error}"), ALLOWED),
            },
            _ => refused("a literal of a kind that is not allowed found".to_owned(), ALLOWED),
        }
    }

    fn binary(
        &mut self,
        left: &Expr,
        op: &BinaryOperator,
        right: &Expr,
    ) -> Result<What, ExpressionError> {
        let operands = self.pair(left, right)?;
        Ok(match op {
            BinaryOperator::Plus => What::Arithmetic(Arithmetic::Add, operands),
            BinaryOperator::Minus => What::Arithmetic(Arithmetic::Subtract, operands),
            BinaryOperator::Multiply => What::Arithmetic(Arithmetic::Multiply, operands),
            BinaryOperator::Eq => What::Compare(Comparison::Equal, operands),
            BinaryOperator::NotEq => What::Compare(Comparison::NotEqual, operands),
            BinaryOperator::Lt => What::Compare(Comparison::Less, operands),
            BinaryOperator::LtEq => What::Compare(Comparison::LessOrEqual, operands),
            BinaryOperator::Gt => What::Compare(Comparison::Greater, operands),
            BinaryOperator::GtEq => What::Compare(Comparison::GreaterOrEqual, operands),
            BinaryOperator::And => What::And(operands),
            BinaryOperator::Or => What::Or(operands),
            BinaryOperator::StringConcat => What::Concat(operands),
            other => {
                let found = format!("the operator {other} found behind this");
                return Err(ExpressionError::new(self.start(left), found, ALLOWED));
            }
        })
    }

    fn pattern(
        &mut self,
        pattern: &Expr,
        escape: Option<&Expr>,
    ) -> Result<Option<Pattern>, ExpressionError> {
        let at = self.start(pattern);
        let unfit = |what: &str| {
            let found = format!("the {what} of LIKE is not a text literal");
            ExpressionError::new(at, found, "write it in single quotes, as in 'A-%'")
        };
        let literal = |expr: &Expr| match expr {
            Expr::Value(ValueWithSpan { value: Value::SingleQuotedString(text), .. }) => {
                Some(text.clone())
            }
            _ => None,
        };
        let escape = match escape {
            None => Some('\\'),
            Some(expr) => {
                let text = literal(expr).ok_or_else(|| unfit("ESCAPE"))?;
                let mut chars = text.chars();
                match (chars.next(), chars.next()) {
                    (escape, None) => escape,
                    _ => {
                        let found = "the ESCAPE of LIKE is longer than one character";
                        let fix = "write one character, or '' for none";
                        return Err(ExpressionError::new(at, found, fix));
                    }
                }
            }
        };
        if let Expr::Value(ValueWithSpan { value: Value::Null, .. }) = pattern {
            return Ok(None);
        }
        let text = literal(pattern).ok_or_else(|| unfit("pattern"))?;
        Pattern::new(&text, escape, at.unwrap_or(1)).map(Some)
    }

    fn case(
        &mut self,
        operand: Option<&Expr>,
        conditions: &[CaseWhen],
        otherwise: Option<&Expr>,
    ) -> Result<What, ExpressionError> {
        let operand = operand.map(|operand| self.node(operand)).transpose()?;
        let mut branches = Vec::with_capacity(conditions.len());
        for when in conditions {
            branches.push([self.node(&when.condition)?, self.node(&when.result)?]);
        }
        let otherwise = otherwise.map(|otherwise| self.node(otherwise)).transpose()?;
        Ok(What::Case(Box::new(Case { operand, branches, otherwise })))
    }

    fn function(&mut self, function: &Function) -> Result<What, ExpressionError> {
        let called = function.name.to_string();
        let name = function.name.0.first().and_then(|part| part.as_ident());
        let at = name.and_then(|name| offset(self.text, name.span.start));
        let pick = match called.to_ascii_lowercase().as_str() {
            "coalesce" => Pick::Coalesce,
            "least" => Pick::Least,
            "greatest" => Pick::Greatest,
            _ => {
                let found = format!("the function {called} found");
                let fix = format!("{}{ALLOWED}", instead_of(&called));
                return Err(ExpressionError::new(at, found, fix));
            }
        };
        let mut arguments = Vec::new();
        if let FunctionArguments::List(list) = &function.args {
            for argument in &list.args {
                if let FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) = argument {
                    arguments.push(self.node(expr)?);
                }
            }
        }
        if arguments.is_empty() {
            let fix = format!("write {called}(first, second, ...)");
            return Err(ExpressionError::new(at, format!("{called} without arguments found"), fix));
        }
        Ok(What::Pick(pick, arguments))
    }

    fn target(&self, data_type: &DataType, cast: &Expr) -> Result<Target, ExpressionError> {
        let refused = |found: String| {
            let fix = "CAST to text, integer, decimal, or decimal(digits, decimals) with at most \
                       38 digits and 9 decimals";
            Err(ExpressionError::new(self.start(cast), found, fix))
        };
        match data_type {
            DataType::Text | DataType::Varchar(None) | DataType::CharacterVarying(None) => {
                Ok(Target::Text)
            }
            DataType::SmallInt(None)
            | DataType::Int(None)
            | DataType::Integer(None)
            | DataType::BigInt(None) => Ok(Target::Integer),
            DataType::Numeric(info) | DataType::Decimal(info) | DataType::Dec(info) => {
                let (digits, decimals) = match info {
                    ExactNumberInfo::None => return Ok(Target::Decimal(None)),
                    ExactNumberInfo::Precision(digits) => (*digits, 0),
                    ExactNumberInfo::PrecisionAndScale(digits, decimals) => (*digits, *decimals),
                };
                let limits = (u8::try_from(digits), u8::try_from(decimals));
                match limits {
                    (Ok(digits @ 1..=38), Ok(decimals)) if decimals <= SCALE_MAX.min(digits) => {
                        Ok(Target::Decimal(Some((digits - decimals, decimals))))
                    }
                    _ => refused(format!("CAST to decimal({digits}, {decimals}) found")),
                }
            }
            other => refused(format!("CAST to {other} found")),
        }
    }

    fn refused(&self, expr: &Expr) -> ExpressionError {
        let (found, fix) = match expr {
            Expr::UnaryOp { op: UnaryOperator::Plus, .. } => ("a + in front of a value", ""),
            Expr::IsTrue(_) | Expr::IsNotTrue(_) | Expr::IsFalse(_) | Expr::IsNotFalse(_) => {
                ("IS [NOT] TRUE or FALSE", "write = TRUE or = FALSE, with COALESCE for NULL; ")
            }
            Expr::IsUnknown(_) | Expr::IsNotUnknown(_) => {
                ("IS [NOT] UNKNOWN", "write IS [NOT] NULL; ")
            }
            Expr::IsDistinctFrom(..) | Expr::IsNotDistinctFrom(..) => {
                ("IS [NOT] DISTINCT FROM", "write = or <> with IS NULL; ")
            }
            Expr::ILike { .. } => ("ILIKE", "write LIKE, which minds upper and lower case; "),
            Expr::SimilarTo { .. } | Expr::RLike { .. } => ("a regular expression", "use LIKE; "),
            Expr::AnyOp { .. } | Expr::AllOp { .. } => ("ANY or ALL", "write IN (list); "),
            Expr::AtTimeZone { .. } => ("AT TIME ZONE", "leave it out; "),
            Expr::Collate { .. } => ("COLLATE", "leave it out: text compares by bytes; "),
            _ => ("something that is not allowed", ""),
        };
        let found = format!("{found} found");
        ExpressionError::new(self.start(expr), found, format!("{fix}{ALLOWED}"))
    }

    /// Where the text of `expr` begins; walks down its left side only, so that it costs no stack.
    fn start(&self, expr: &Expr) -> Option<usize> {
        let mut leftmost = expr;
        let span = loop {
            leftmost = match leftmost {
                Expr::BinaryOp { left, .. } => left,
                Expr::Nested(inner)
                | Expr::IsNull(inner)
                | Expr::IsNotNull(inner)
                | Expr::IsTrue(inner)
                | Expr::IsNotTrue(inner)
                | Expr::IsFalse(inner)
                | Expr::IsNotFalse(inner)
                | Expr::IsUnknown(inner)
                | Expr::IsNotUnknown(inner)
                | Expr::IsDistinctFrom(inner, _)
                | Expr::IsNotDistinctFrom(inner, _)
                | Expr::UnaryOp { expr: inner, .. }
                | Expr::InList { expr: inner, .. }
                | Expr::Between { expr: inner, .. }
                | Expr::Like { expr: inner, .. }
                | Expr::ILike { expr: inner, .. }
                | Expr::SimilarTo { expr: inner, .. }
                | Expr::RLike { expr: inner, .. }
                | Expr::Collate { expr: inner, .. }
                | Expr::AnyOp { left: inner, .. }
                | Expr::AllOp { left: inner, .. }
                | Expr::AtTimeZone { timestamp: inner, .. }
                | Expr::Cast { expr: inner, .. } => inner,
                Expr::Identifier(ident) => break ident.span,
                Expr::Value(value) => break value.span,
                Expr::Case { case_token, .. } => break case_token.0.span,
                Expr::Function(function) => {
                    break function.name.0.first().and_then(|part| part.as_ident())?.span;
                }
                _ => return None,
            };
        };
        offset(self.text, span.start)
    }
}

/// What says the same as a function that is none of ours.
fn instead_of(function: &str) -> &'static str {
    match function.to_ascii_lowercase().as_str() {
        "ifnull" | "nvl" | "isnull" => "write COALESCE(a, b); ",
        "if" | "iif" => "write CASE WHEN a = 1 THEN b ELSE c END; ",
        "nullif" => "write CASE WHEN a <> b THEN a END; ",
        "concat" => "write a || b; ",
        "round" => "write CAST(a AS integer), or CAST(a AS decimal(12, 2)); ",
        _ => "",
    }
}

fn negated_if(negated: bool, at: usize, what: What) -> What {
    if negated { What::Not(Box::new(Node::new(at, what))) } else { what }
}
