use super::error::ExpressionError;
use super::tree::{Case, Node, Pick, Reading, What};
use super::{ColumnInfo, ColumnKind, Name};

/// At most this many column names are listed in an error.
const LISTED_MAX: usize = 20;

type Checked = Result<(Node, ColumnKind), ExpressionError>;

/// Gives every column its place and every node its kind.
pub(super) struct Checker<'a> {
    columns: &'a [ColumnInfo],
    names: &'a [Name],
}

impl<'a> Checker<'a> {
    pub(super) fn new(columns: &'a [ColumnInfo], names: &'a [Name]) -> Self {
        Self { columns, names }
    }

    pub(super) fn node(&self, node: &Node) -> Checked {
        let (what, kind) = match &node.what {
            What::Column(name) => self.column(node.at, &self.names[*name])?,
            What::Null => (What::Null, ColumnKind::Unknown),
            What::Bool(value) => (What::Bool(*value), ColumnKind::Bool),
            What::Number(number) => (What::Number(*number), ColumnKind::Number),
            What::Text(text) => (What::Text(text.clone()), ColumnKind::Text),
            What::Negate(of) => {
                (What::Negate(self.boxed(of, ColumnKind::Number)?), ColumnKind::Number)
            }
            What::Not(of) => (What::Not(self.boxed(of, ColumnKind::Bool)?), ColumnKind::Bool),
            What::Arithmetic(op, of) => {
                (What::Arithmetic(*op, self.pair(of, ColumnKind::Number)?), ColumnKind::Number)
            }
            What::And(of) => (What::And(self.pair(of, ColumnKind::Bool)?), ColumnKind::Bool),
            What::Or(of) => (What::Or(self.pair(of, ColumnKind::Bool)?), ColumnKind::Bool),
            What::Concat(of) => {
                (What::Concat(self.pair(of, ColumnKind::Unknown)?), ColumnKind::Text)
            }
            What::IsNull(of) => {
                (What::IsNull(self.boxed(of, ColumnKind::Unknown)?), ColumnKind::Bool)
            }
            What::Like { operand, pattern } => {
                let operand = self.boxed(operand, ColumnKind::Text)?;
                (What::Like { operand, pattern: pattern.clone() }, ColumnKind::Bool)
            }
            What::Compare(op, of) => {
                let (nodes, _) = self.alike(of.iter())?;
                (What::Compare(*op, two(nodes)), ColumnKind::Bool)
            }
            What::In { operand, list } => {
                let (mut list, _) = self.alike(std::iter::once(&**operand).chain(list))?;
                let operand = Box::new(list.remove(0));
                (What::In { operand, list }, ColumnKind::Bool)
            }
            What::Between { operand, bounds } => {
                let all = std::iter::once(&**operand).chain(&bounds[..]);
                let (mut nodes, _) = self.alike(all)?;
                let operand = Box::new(nodes.remove(0));
                (What::Between { operand, bounds: two(nodes) }, ColumnKind::Bool)
            }
            What::Case(case) => self.case(case)?,
            What::Pick(pick, of) => self.pick(*pick, of)?,
            What::Cast(target, of) => {
                let kind = match target {
                    super::tree::Target::Text => ColumnKind::Text,
                    _ => ColumnKind::Number,
                };
                (What::Cast(*target, self.boxed(of, ColumnKind::Unknown)?), kind)
            }
            What::Read(reading, of) => {
                let (of, kind) = self.node(of)?;
                (What::Read(*reading, Box::new(of)), kind)
            }
        };
        Ok((Node::new(node.at, what), kind))
    }

    fn column(&self, at: usize, name: &Name) -> Result<(What, ColumnKind), ExpressionError> {
        match self.columns.iter().position(|column| column.name == name.text) {
            Some(place) => {
                let column = &self.columns[place];
                let own = || What::Column(place);
                Ok((column.means.as_ref().map_or_else(own, |node| node.what.clone()), column.kind))
            }
            None => Err(self.unknown(at, name)),
        }
    }

    fn case(&self, case: &Case) -> Result<(What, ColumnKind), ExpressionError> {
        let conditions = case.branches.iter().map(|[condition, _]| condition);
        let (operand, conditions) = match &case.operand {
            Some(operand) => {
                let (mut nodes, _) = self.alike(std::iter::once(operand).chain(conditions))?;
                (Some(nodes.remove(0)), nodes)
            }
            None => {
                let each = conditions.map(|condition| self.wanted(condition, ColumnKind::Bool));
                (None, each.collect::<Result<_, _>>()?)
            }
        };
        let results = case.branches.iter().map(|[_, result]| result);
        let (mut results, kind) = self.alike(results.chain(&case.otherwise))?;
        let otherwise = case.otherwise.is_some().then(|| results.pop()).flatten();
        let branches =
            conditions.into_iter().zip(results).map(|(condition, result)| [condition, result]);
        let case = Case { operand, branches: branches.collect(), otherwise };
        Ok((What::Case(Box::new(case)), kind))
    }

    fn pick(&self, pick: Pick, of: &[Node]) -> Result<(What, ColumnKind), ExpressionError> {
        let (nodes, kind) = self.alike(of.iter())?;
        Ok((What::Pick(pick, nodes), kind))
    }

    fn boxed(&self, node: &Node, kind: ColumnKind) -> Result<Box<Node>, ExpressionError> {
        self.wanted(node, kind).map(Box::new)
    }

    fn pair(&self, nodes: &[Node; 2], kind: ColumnKind) -> Result<Box<[Node; 2]>, ExpressionError> {
        let [left, right] = nodes;
        Ok(Box::new([self.wanted(left, kind)?, self.wanted(right, kind)?]))
    }

    fn wanted(&self, node: &Node, kind: ColumnKind) -> Result<Node, ExpressionError> {
        let (node, found) = self.node(node)?;
        read_as(node, found, kind)
    }

    /// Nodes that must be of one kind: the first known one.
    fn alike<'n>(
        &self,
        nodes: impl Iterator<Item = &'n Node>,
    ) -> Result<(Vec<Node>, ColumnKind), ExpressionError> {
        let checked = nodes.map(|node| self.node(node)).collect::<Result<Vec<_>, _>>()?;
        let known = checked.iter().map(|(_, kind)| *kind);
        let kind = known.clone().find(|kind| *kind != ColumnKind::Unknown);
        let kind = kind.unwrap_or(ColumnKind::Unknown);
        let read = checked.into_iter().map(|(node, found)| read_as(node, found, kind));
        Ok((read.collect::<Result<_, _>>()?, kind))
    }

    fn unknown(&self, at: usize, name: &Name) -> ExpressionError {
        let found = format!("there is no column {}, named", name.text);
        if self.columns.is_empty() {
            return ExpressionError::new(Some(at), found, "there are no columns to name here");
        }
        let nearest = self
            .columns
            .iter()
            .map(|column| (distance(&column.name, &name.text), column.name.as_str()))
            .min()
            .filter(|(distance, _)| *distance <= 2.max(name.text.chars().count() / 3));
        let mut fix = match nearest {
            Some((_, nearest)) => format!("did you mean {nearest}? "),
            None => String::new(),
        };
        if name.quoted {
            fix.push_str("Text is written in single quotes. ");
        }
        let mut names: Vec<&str> =
            self.columns.iter().take(LISTED_MAX).map(|column| column.name.as_str()).collect();
        if self.columns.len() > LISTED_MAX {
            names.push("...");
        }
        fix.push_str("The columns are ");
        fix.push_str(&names.join(", "));
        ExpressionError::new(Some(at), found, fix)
    }
}

fn two(nodes: Vec<Node>) -> Box<[Node; 2]> {
    nodes.try_into().expect("as many nodes come out as went in")
}

/// `node`, whose kind is `found`, where `wanted` is needed.
fn read_as(node: Node, found: ColumnKind, wanted: ColumnKind) -> Result<Node, ExpressionError> {
    let reading = match wanted {
        _ if found == wanted => return Ok(node),
        ColumnKind::Unknown => return Ok(node),
        ColumnKind::Number => Reading::Number,
        ColumnKind::Text => Reading::Text,
        ColumnKind::Bool => Reading::Bool,
    };
    if matches!(node.what, What::Null) {
        return Ok(node);
    }
    if found == ColumnKind::Unknown {
        return Ok(Node::new(node.at, What::Read(reading, Box::new(node))));
    }
    let fix = match (found, wanted) {
        (ColumnKind::Bool, ColumnKind::Number) => "write CASE WHEN ... THEN 1 ELSE 0 END",
        (_, ColumnKind::Number) => {
            "write CAST(... AS decimal) around text that holds a number, and literals without \
             quotes"
        }
        (_, ColumnKind::Text) => "write CAST(... AS text), or compare it with its own kind",
        (_, _) => "write a comparison, such as qty > 0 or active = 1",
    };
    let found = format!("{} where {} is needed found", named(found), named(wanted));
    Err(ExpressionError::new(Some(node.at), found, fix))
}

fn named(kind: ColumnKind) -> &'static str {
    match kind {
        ColumnKind::Number => "a number",
        ColumnKind::Text => "text",
        ColumnKind::Bool => "a condition",
        ColumnKind::Unknown => "a value",
    }
}

/// How many letters differ: inserted, left out or other ones; case does not count.
fn distance(a: &str, b: &str) -> usize {
    let lower = |text: &str| text.to_lowercase().chars().take(128).collect::<Vec<char>>();
    let (a, b) = (lower(a), lower(b));
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
