use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::Connection;

/// What an event says of its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    Level { on_hand: Option<String>, sku: Option<String> },
    Removed,
}

/// One published event.
#[derive(Debug, Clone)]
pub struct Event {
    pub id: String,
    pub key: String,
    pub version: String,
    pub state: State,
    pub value: serde_json::Value,
}

/// The output of a run as a consumer reads it.
pub struct Published {
    connection: Connection,
}

impl Published {
    pub fn open(path: &Path) -> Self {
        let connection = Connection::open(path).unwrap();
        connection.busy_timeout(std::time::Duration::from_secs(10)).unwrap();
        Self { connection }
    }

    /// Whether a process that has just been started has made its store and this many rows of a
    /// table in it.
    pub fn has_begun(path: &Path, table: &str, rows: u64) -> bool {
        path.exists() && Self::open(path).has(table, rows)
    }

    /// Every event in the order of publication.
    pub fn events(&self) -> Vec<Event> {
        let sql = "SELECT id, key, version, value FROM events ORDER BY seq";
        let mut statement = self.connection.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get::<_, String>(3)?))
        });
        rows.unwrap()
            .map(|row| {
                let (id, key, version, value) = row.unwrap();
                let value: serde_json::Value = serde_json::from_str(&value).unwrap();
                Event { id, key, version, state: state(&value), value }
            })
            .collect()
    }

    /// See [`by_key`].
    pub fn by_key(&self) -> BTreeMap<String, Vec<State>> {
        by_key(self.events())
    }

    /// Every key has exactly these states, and there are no others.
    pub fn assert_exactly(&self, expected: &BTreeMap<String, Vec<State>>, log: &str) {
        assert_exactly(&self.by_key(), expected, log);
    }

    /// `on_hand` by key, from the levels table.
    pub fn levels(&self) -> BTreeMap<String, Option<String>> {
        self.pairs("SELECT key, on_hand FROM levels")
    }

    /// The checkpoint's place in the log, in the words of the source's connector.
    pub fn position(&self) -> String {
        let sql = "SELECT json_extract(value, '$.point.position') FROM checkpoints";
        self.texts(sql).pop().expect("a checkpoint")
    }

    /// Number of rows a query finds.
    pub fn count(&self, from: &str) -> u64 {
        let sql = format!("SELECT count(*) FROM {from}");
        let count: i64 = self.connection.query_row(&sql, [], |row| row.get(0)).unwrap();
        u64::try_from(count).unwrap()
    }

    /// Whether a table is there already and has at least this many rows.
    pub fn has(&self, table: &str, rows: u64) -> bool {
        let sql = format!("SELECT count(*) FROM {table}");
        let count = self.connection.query_row(&sql, [], |row| row.get::<_, i64>(0));
        count.is_ok_and(|count| count.cast_unsigned() >= rows)
    }

    /// The first column of a query, as text.
    pub fn texts(&self, sql: &str) -> Vec<String> {
        let mut statement = self.connection.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| row.get(0)).unwrap();
        rows.map(Result::unwrap).collect()
    }

    fn pairs(&self, sql: &str) -> BTreeMap<String, Option<String>> {
        let mut statement = self.connection.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        rows.map(Result::unwrap).collect()
    }
}

/// Events by key, after checking what holds for every run: ids are unique and the versions of a key
/// rise.
pub fn by_key(events: Vec<Event>) -> BTreeMap<String, Vec<State>> {
    let mut ids = std::collections::HashSet::new();
    let mut last: BTreeMap<String, String> = BTreeMap::new();
    let mut by_key: BTreeMap<String, Vec<State>> = BTreeMap::new();
    for event in events {
        assert!(ids.insert(event.id.clone()), "published twice: {event:?}");
        if let Some(last) = last.insert(event.key.clone(), event.version.clone()) {
            assert!(last < event.version, "{}: {last} then {}", event.key, event.version);
        }
        by_key.entry(event.key).or_default().push(event.state);
    }
    by_key
}

/// What a consumer holds that goes by versions, whatever came when: `on_hand` by key.
pub fn by_version(events: Vec<Event>) -> BTreeMap<String, Option<String>> {
    let mut newest: BTreeMap<String, Event> = BTreeMap::new();
    for event in events {
        if newest.get(&event.key).is_none_or(|known| known.version < event.version) {
            newest.insert(event.key.clone(), event);
        }
    }
    let on_hand = |state| match state {
        State::Level { on_hand, .. } => Some(on_hand),
        State::Removed => None,
    };
    newest.into_iter().filter_map(|(key, event)| Some((key, on_hand(event.state)?))).collect()
}

/// Every key has exactly these states, and there are no others.
pub fn assert_exactly(
    found: &BTreeMap<String, Vec<State>>,
    expected: &BTreeMap<String, Vec<State>>,
    log: &str,
) {
    for (key, states) in expected {
        assert_eq!(found.get(key), Some(states), "{key}\n{log}");
    }
    assert_eq!(found.len(), expected.len(), "keys nobody wrote");
}

/// What an event says of its key.
pub fn state(value: &serde_json::Value) -> State {
    let text = |value: &serde_json::Value| value.as_str().map(str::to_owned);
    match value["kind"].as_str() {
        Some("level") => State::Level {
            on_hand: text(&value["quantity"]["on_hand"]),
            sku: text(&value["item"]["sku"]),
        },
        Some("removed") => State::Removed,
        other => panic!("unexpected kind {other:?}"),
    }
}
