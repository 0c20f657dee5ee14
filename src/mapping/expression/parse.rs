use sqlparser::ast::{
    CastKind, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList,
    FunctionArguments, Ident, ObjectName, UnaryOperator, Value,
};
use sqlparser::dialect::{Dialect, Precedence};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Location, Span, Token, TokenWithSpan, Tokenizer, Whitespace, Word};

use super::error::{ALLOWED, ExpressionError};

/// The longest expression, bytes.
const TEXT_MAX: usize = 4096;
/// How deep parentheses, CASE and the like may be nested.
const NESTING_MAX: usize = 20;

/// The words expressions are written in: standard SQL, and backquotes as MySQL has them.
#[derive(Debug)]
struct Words;

impl Dialect for Words {
    fn is_identifier_start(&self, ch: char) -> bool {
        ch.is_alphabetic() || ch == '_'
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        ch.is_alphanumeric() || ch == '_' || ch == '$'
    }

    /// As PostgreSQL binds its operators: `||` looser than `+`, comparisons looser than LIKE.
    fn prec_value(&self, prec: Precedence) -> u8 {
        match prec {
            Precedence::Period => 120,
            Precedence::DoubleColon => 110,
            Precedence::AtTz => 100,
            Precedence::MulDivModOp => 90,
            Precedence::PlusMinus => 80,
            Precedence::Ampersand
            | Precedence::Caret
            | Precedence::Colon
            | Precedence::Pipe
            | Precedence::PgOther
            | Precedence::Xor => 70,
            Precedence::Between | Precedence::Like => 60,
            Precedence::Eq => 50,
            Precedence::Is => 40,
            Precedence::UnaryNot => 30,
            Precedence::And => 20,
            Precedence::Or => 10,
        }
    }

    /// The beginnings an expression can have, and no others: what the parser would try besides
    /// (types, intervals, queries, dozens of functions) is not allowed, takes most of its stack,
    /// and would keep columns from being named `date` or `position`.
    fn parse_prefix(&self, parser: &mut Parser) -> Option<Result<Expr, ParserError>> {
        Some(self.prefix(parser))
    }

    fn get_next_precedence(&self, parser: &Parser) -> Option<Result<u8, ParserError>> {
        let concatenates = parser.peek_token_ref().token == Token::StringConcat;
        concatenates.then(|| Ok(self.prec_value(Precedence::PgOther)))
    }
}

impl Words {
    fn prefix(&self, parser: &mut Parser) -> Result<Expr, ParserError> {
        let token = parser.next_token();
        match token.token {
            Token::Word(word) if word.quote_style.is_none() => self.word(parser, word, token.span),
            Token::Word(word) => Ok(Expr::Identifier(word.into_ident(token.span))),
            Token::Number(digits, long) => {
                Ok(Expr::Value(Value::Number(digits, long).with_span(token.span)))
            }
            Token::SingleQuotedString(text) => {
                Ok(Expr::Value(Value::SingleQuotedString(text).with_span(token.span)))
            }
            Token::LParen => {
                let inner = parser.parse_expr()?;
                parser.expect_token(&Token::RParen)?;
                Ok(Expr::Nested(Box::new(inner)))
            }
            Token::Minus => self.operator(parser, UnaryOperator::Minus, Precedence::MulDivModOp),
            Token::Plus => self.operator(parser, UnaryOperator::Plus, Precedence::MulDivModOp),
            _ => parser.expected("an expression", token),
        }
    }

    fn word(&self, parser: &mut Parser, word: Word, span: Span) -> Result<Expr, ParserError> {
        let opens = parser.peek_token_ref().token == Token::LParen;
        let value = |value: Value| Ok(Expr::Value(value.with_span(span)));
        match word.keyword {
            Keyword::TRUE => value(Value::Boolean(true)),
            Keyword::FALSE => value(Value::Boolean(false)),
            Keyword::NULL => value(Value::Null),
            Keyword::NOT => self.operator(parser, UnaryOperator::Not, Precedence::UnaryNot),
            Keyword::CASE => parser.parse_case_expr(),
            Keyword::CAST if opens => parser.parse_cast_expr(CastKind::Cast),
            Keyword::AND
            | Keyword::OR
            | Keyword::IS
            | Keyword::IN
            | Keyword::LIKE
            | Keyword::BETWEEN
            | Keyword::WHEN
            | Keyword::THEN
            | Keyword::ELSE
            | Keyword::END => {
                let token = TokenWithSpan { token: Token::Word(word), span };
                parser.expected("an expression", token)
            }
            _ if opens => self.call(parser, word.into_ident(span)),
            _ => Ok(Expr::Identifier(word.into_ident(span))),
        }
    }

    fn operator(
        &self,
        parser: &mut Parser,
        op: UnaryOperator,
        binds: Precedence,
    ) -> Result<Expr, ParserError> {
        let expr = Box::new(parser.parse_subexpr(self.prec_value(binds))?);
        Ok(Expr::UnaryOp { op, expr })
    }

    fn call(&self, parser: &mut Parser, name: Ident) -> Result<Expr, ParserError> {
        parser.expect_token(&Token::LParen)?;
        let arguments = match parser.peek_token_ref().token {
            Token::RParen => Vec::new(),
            _ => parser.parse_comma_separated(Parser::parse_expr)?,
        };
        parser.expect_token(&Token::RParen)?;
        let unnamed = |expr| FunctionArg::Unnamed(FunctionArgExpr::Expr(expr));
        Ok(Expr::Function(Function {
            name: ObjectName::from(vec![name]),
            uses_odbc_syntax: false,
            parameters: FunctionArguments::None,
            args: FunctionArguments::List(FunctionArgumentList {
                duplicate_treatment: None,
                args: arguments.into_iter().map(unnamed).collect(),
                clauses: Vec::new(),
            }),
            within_group: Vec::new(),
            filter: None,
            null_treatment: None,
            over: None,
        }))
    }
}

/// The parser's own tree of one expression.
pub(super) fn parse(text: &str) -> Result<Expr, ExpressionError> {
    if text.len() > TEXT_MAX {
        let found = format!("the expression is longer than {TEXT_MAX} bytes");
        return Err(ExpressionError::new(None, found, "write a shorter one"));
    }
    let tokens = Tokenizer::new(&Words, text).tokenize_with_location().map_err(|error| {
        let at = offset(text, error.location);
        ExpressionError::new(at, error.message.to_lowercase(), ALLOWED)
    })?;
    for token in &tokens {
        admit(token).map_err(|(found, fix)| {
            ExpressionError::new(offset(text, token.span.start), format!("{found} found"), fix)
        })?;
    }
    let mut parser = Parser::new(&Words)
        .with_recursion_limit(NESTING_MAX + 1)
        .with_tokens_with_locations(tokens);
    let tree = parser.parse_expr().map_err(|error| syntax_error(text, error))?;
    let behind = parser.peek_token_ref();
    if behind.token == Token::EOF {
        return Ok(tree);
    }
    let found = format!("{} found behind a complete expression", behind.token);
    let fix = format!("put an operator before it, or quotes around text; {ALLOWED}");
    Err(ExpressionError::new(offset(text, behind.span.start), found, fix))
}

/// The place of `location` in `text`, in characters from 1.
pub(super) fn offset(text: &str, location: Location) -> Option<usize> {
    let (mut line, mut column) = (1, 1);
    let mut at = 1;
    for char in text.chars() {
        if (line, column) == (location.line, location.column) {
            return Some(at);
        }
        at += 1;
        (line, column) = if char == '\n' { (line + 1, 1) } else { (line, column + 1) };
    }
    (location.line > 0).then_some(at)
}

/// Refuses what no expression may hold, before the parser can make something of it.
fn admit(token: &TokenWithSpan) -> Result<(), (String, &'static str)> {
    let fix = match &token.token {
        Token::EOF
        | Token::Number(_, false)
        | Token::SingleQuotedString(_)
        | Token::Comma
        | Token::Eq
        | Token::Neq
        | Token::Lt
        | Token::Gt
        | Token::LtEq
        | Token::GtEq
        | Token::Plus
        | Token::Minus
        | Token::Mul
        | Token::StringConcat
        | Token::LParen
        | Token::RParen => return Ok(()),
        Token::Whitespace(Whitespace::Space | Whitespace::Newline | Whitespace::Tab) => {
            return Ok(());
        }
        Token::Word(word) => match word.keyword {
            Keyword::SELECT | Keyword::WITH | Keyword::EXISTS | Keyword::VALUES
                if word.quote_style.is_none() =>
            {
                "an expression sees one row of one table and cannot query; a column of that name \
                 is written in double quotes"
            }
            _ => return Ok(()),
        },
        Token::Whitespace(_) => "leave the comment out, or write it in front of the key",
        Token::DoubleEq => "write =",
        Token::DoubleColon => "write CAST(value AS type)",
        Token::Period => "name the column alone, without its table",
        Token::SemiColon => "write one expression, without the semicolon",
        Token::Placeholder(_) => "write the value itself",
        Token::Mod => "remainders are not allowed; keep them in a column of the table",
        Token::Overlap => "write AND",
        Token::Div | Token::DuckIntDiv => {
            "division is not exact and not allowed; multiply by a decimal, as in qty * 0.5"
        }
        _ => ALLOWED,
    };
    let found = match &token.token {
        Token::Whitespace(_) => "a comment".to_owned(),
        other => other.to_string(),
    };
    Err((found, fix))
}

fn syntax_error(text: &str, error: ParserError) -> ExpressionError {
    let message = match error {
        ParserError::RecursionLimitExceeded => {
            let found = format!("the expression is nested more than {NESTING_MAX} deep");
            return ExpressionError::new(None, found, "use fewer parentheses");
        }
        ParserError::TokenizerError(message) | ParserError::ParserError(message) => message,
    };
    let (message, location) = split_location(&message);
    let at = location.and_then(|location| offset(text, location));
    let message = message
        .replace("Expected: ", "expected ")
        .replace("found: EOF", "found the end of the expression")
        .replace("found: ", "found ");
    let at = at.or_else(|| Some(text.chars().count() + 1));
    ExpressionError::new(at, message, ALLOWED)
}

/// Takes ` at Line: 1, Column: 5` off the end of a message of the parser.
fn split_location(message: &str) -> (&str, Option<Location>) {
    let split = || {
        let (message, place) = message.rsplit_once(" at Line: ")?;
        let (line, column) = place.split_once(", Column: ")?;
        Some((message, Location { line: line.parse().ok()?, column: column.parse().ok()? }))
    };
    match split() {
        Some((message, location)) => (message, Some(location)),
        None => (message, None),
    }
}
