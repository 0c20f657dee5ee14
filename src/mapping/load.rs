use std::collections::HashMap;

use super::grace::Grace;
use super::held::Held;
use super::mapper::Mapper;
use super::row::Row;
use super::standing::{Standing, standing};
use crate::state::KeyHash;

impl Mapper {
    /// Takes back a stored row of the cache. Rows of tables no longer mapped are passed over; those
    /// that nothing asks for any more, or that are known by something else now, leave the store.
    pub fn load(&mut self, table: &str, key: &str, stored: &str) -> Result<(), String> {
        if table == Held::TABLE {
            return self.held.load(key, stored);
        }
        if table == Grace::TABLE {
            return self.held.grace.load(key, stored);
        }
        let Some(index) = self.plan.tables.iter().position(|plan| plan.text == table) else {
            return Ok(());
        };
        let plan = &self.plan.tables[index];
        let state = &mut self.tables[index];
        if !plan.cached {
            state.outdated.insert(key.to_owned());
            return Ok(());
        }
        let id = match state.rows.load(stored, &plan.columns) {
            Ok(id) if id.to_text() == key && plan.may_hold(state.rows.get(&id)) => id,
            Ok(id) => {
                // What has its name in the store now may be another row.
                state.rows.forget(&id);
                state.outdated.insert(key.to_owned());
                return Ok(());
            }
            Err(_) if !is_identified(stored, &plan.columns[..plan.identity_width]) => {
                state.outdated.insert(key.to_owned());
                return Ok(());
            }
            Err(error) => return Err(format!("{error}: table {table}")),
        };
        let view = Row::cached(state.rows.get(&id).expect("it was loaded above"));
        let who = (&self.source.seller, &self.source.source);
        let owned = plan.mappings.iter().zip(&mut state.owners);
        for (mapping, owners) in owned.filter(|(one, _)| one.owned && !one.derived) {
            let arena = &mut self.folding.arena;
            if let Ok(Standing::Live(key)) = standing(mapping, &view, who, arena) {
                let key = KeyHash::of(arena.get(key.record).as_bytes());
                owners.add(key, &id, &state.rows);
            }
        }
        self.folding.arena.clear();
        self.unlinked |= plan.derives;
        Ok(())
    }

    /// The last snapshot during which a row that is remembered was seen; 0 is none.
    pub fn last_snapshot(&self) -> u32 {
        self.tables.iter().map(|state| state.rows.last_snapshot()).max().unwrap_or(0)
    }
}

/// Whether a stored row says what it is known by now.
fn is_identified(stored: &str, identity: &[String]) -> bool {
    let stored: Result<HashMap<String, String>, _> = serde_json::from_str(stored);
    // What is damaged may have said so.
    let says = |column: &String| match &stored {
        Ok(values) => values.get(column).is_some_and(|value| value != "n"),
        Err(_) => true,
    };
    identity.iter().all(says)
}
