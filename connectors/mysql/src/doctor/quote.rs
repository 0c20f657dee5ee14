use connector_api::TableName;

/// A name as SQL: quoted where it has to be.
pub(crate) fn identifier(name: &str) -> String {
    let plain = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && !RESERVED.contains(&&*name.to_ascii_lowercase());
    if plain { name.to_owned() } else { format!("`{}`", name.replace('`', "``")) }
}

/// A table's name as SQL.
pub(crate) fn qualified(name: &TableName) -> String {
    format!("{}.{}", identifier(&name.schema), identifier(&name.table))
}

/// A text as SQL, where a backslash escapes.
pub(crate) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

/// An account as SQL, from what `CURRENT_USER()` says.
pub(crate) fn account(current: &str) -> String {
    let (user, host) = current.rsplit_once('@').unwrap_or((current, "%"));
    format!("{}@{}", literal(user), literal(host))
}

/// A pattern of ours as LIKE has it, with `!` to escape.
pub(super) fn like(pattern: &str) -> String {
    let mut like = String::new();
    for char in pattern.chars() {
        match char {
            '*' => like.push('%'),
            '%' | '_' | '!' => like.extend(['!', char]),
            other => like.push(other),
        }
    }
    like
}

/// What is left of a text in which names are quoted.
pub(super) struct Text<'a>(pub(super) &'a str);

impl Text<'_> {
    /// `a, b)`, behind its opening parenthesis.
    pub(super) fn names(&mut self) -> Option<Vec<String>> {
        let mut names = vec![self.name()?];
        while self.skip(",") {
            self.skip(" ");
            names.push(self.name()?);
        }
        self.skip(")").then_some(names)
    }

    /// A name in quotes of any kind, or as it is.
    pub(super) fn name(&mut self) -> Option<String> {
        let quote = self.0.chars().next()?;
        if !matches!(quote, '`' | '"' | '\'') {
            let end = self.0.find([',', ')', '.', ' ']).unwrap_or(self.0.len());
            return Some(self.take(end).to_owned()).filter(|name| !name.is_empty());
        }
        self.take(1);
        let mut name = String::new();
        loop {
            let end = self.0.find(quote)?;
            name.push_str(self.take(end));
            self.take(1);
            if !self.skip(quote.encode_utf8(&mut [0; 4])) {
                return Some(name);
            }
            name.push(quote);
        }
    }

    pub(super) fn take(&mut self, bytes: usize) -> &str {
        let (taken, rest) = self.0.split_at(bytes);
        self.0 = rest;
        taken
    }

    pub(super) fn skip(&mut self, text: &str) -> bool {
        let rest = self.0.strip_prefix(text);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }
}

/// Names that shops give to tables and columns although SQL keeps them for itself.
const RESERVED: [&str; 32] = [
    "all",
    "analyze",
    "and",
    "as",
    "between",
    "both",
    "by",
    "case",
    "check",
    "column",
    "condition",
    "desc",
    "div",
    "for",
    "from",
    "grant",
    "group",
    "groups",
    "in",
    "index",
    "key",
    "keys",
    "limit",
    "option",
    "order",
    "primary",
    "range",
    "rank",
    "references",
    "table",
    "to",
    "where",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_where_sql_needs_it() {
        assert_eq!(identifier("Stock_2"), "Stock_2");
        assert_eq!(identifier("order"), "`order`");
        assert_eq!(identifier("2nd"), "`2nd`");
        assert_eq!(identifier("a`b"), "`a``b`");
        assert_eq!(qualified(&TableName::new("my-shop", "stock")), "`my-shop`.stock");
    }

    #[test]
    fn an_account_has_a_name_and_a_host() {
        assert_eq!(account("tailstock@%"), "'tailstock'@'%'");
        assert_eq!(account("o'neill@home@10.0.0.%"), "'o''neill@home'@'10.0.0.%'");
    }

    #[test]
    fn a_pattern_matches_in_sql_what_it_matches_here() {
        assert_eq!(like("wp_*"), "wp!_%");
        assert_eq!(like("50%!"), "50!%!!");
    }
}
