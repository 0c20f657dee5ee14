use super::Statement;
use super::cursor::Cursor;
use super::lexer::Token;

/// A step of a distributed transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Xa {
    /// Which step.
    pub step: XaStep,
    /// Which transaction.
    pub xid: Xid,
}

/// What happens to a distributed transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum XaStep {
    /// It begins.
    Start,
    /// It has no more changes.
    End,
    /// Its changes wait for its end, in another transaction of the log.
    Prepare,
    /// It is committed.
    Commit {
        /// Without having been prepared.
        one_phase: bool,
    },
    /// It is rolled back.
    Rollback,
}

/// The name of a distributed transaction.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Xid {
    /// What its manager calls it.
    pub global: Vec<u8>,
    /// Its part in this server.
    pub branch: Vec<u8>,
    /// How the manager builds names.
    pub format: u32,
}

/// Statements that begin and end transactions and parts of them.
pub(super) fn read(mut cursor: Cursor<'_>) -> Option<Statement> {
    if cursor.take(&["START"]) {
        // Replication is started with the same word.
        let begins = cursor.take(&["TRANSACTION"]);
        return Some(if begins { Statement::Begin } else { Statement::Other });
    }
    if cursor.take(&["BEGIN"]) {
        cursor.skip(&["WORK"]);
        return cursor.at_end().then_some(Statement::Begin);
    }
    if cursor.take(&["COMMIT"]) {
        return Some(Statement::Commit);
    }
    if cursor.take(&["SAVEPOINT"]) {
        return name(cursor).map(Statement::Savepoint);
    }
    if cursor.take(&["RELEASE", "SAVEPOINT"]) {
        return name(cursor).map(Statement::Release);
    }
    if !cursor.take(&["ROLLBACK"]) {
        return None;
    }
    cursor.skip(&["WORK"]);
    if !cursor.take(&["TO"]) {
        return Some(Statement::Rollback);
    }
    // A savepoint may bear the name of the keyword.
    let mut named = cursor;
    let keyword = named.take(&["SAVEPOINT"]) && !named.at_end();
    name(if keyword { named } else { cursor }).map(Statement::RollbackTo)
}

/// A savepoint's name, which the server tells apart without regard to case.
fn name(mut cursor: Cursor<'_>) -> Option<String> {
    cursor.identifier().map(|name| name.to_lowercase())
}

/// What stands behind `XA`.
pub(super) fn xa(mut cursor: Cursor<'_>) -> Option<Xa> {
    let keyword = cursor.keyword();
    let step = match keyword.as_str() {
        "START" | "BEGIN" => XaStep::Start,
        "END" => XaStep::End,
        "PREPARE" => XaStep::Prepare,
        "COMMIT" => XaStep::Commit { one_phase: false },
        "ROLLBACK" => XaStep::Rollback,
        _ => return None,
    };
    let xid = xid(&mut cursor)?;
    let one_phase = cursor.take(&["ONE", "PHASE"]);
    let step = if one_phase { XaStep::Commit { one_phase } } else { step };
    Some(Xa { step, xid })
}

/// A name in one to three parts: `X'6162',X'',1`, `'ab'`.
fn xid(cursor: &mut Cursor<'_>) -> Option<Xid> {
    let global = bytes(cursor)?;
    let mut xid = Xid { global, branch: Vec::new(), format: 1 };
    if cursor.sign(b',') {
        xid.branch = bytes(cursor)?;
    }
    if cursor.sign(b',') {
        let Token::Word(digits) = cursor.next()? else { return None };
        xid.format = std::str::from_utf8(digits).ok()?.parse().ok()?;
    }
    Some(xid)
}

/// A string, or bytes in hex: `X'6162'` or `0x6162`.
fn bytes(cursor: &mut Cursor<'_>) -> Option<Vec<u8>> {
    match cursor.next()? {
        Token::Text(text) => Some(text.to_vec()),
        Token::Word([b'x' | b'X']) => match cursor.next()? {
            Token::Text(digits) => unhex(digits),
            _ => None,
        },
        Token::Word([b'0', b'x', digits @ ..]) => unhex(digits),
        _ => None,
    }
}

/// Bytes written as pairs of digits.
pub(crate) fn unhex(digits: &[u8]) -> Option<Vec<u8>> {
    let (pairs, rest) = digits.as_chunks::<2>();
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let bytes = pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?));
    if rest.is_empty() { bytes.collect() } else { None }
}
