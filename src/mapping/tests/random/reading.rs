use super::*;
use crate::stock::{SYNTHETIC_ORDINAL, Version};

/// A table that is read row by row while it changes.
pub(super) struct Reading {
    table: &'static str,
    /// Rows up to this key have been published.
    after: i64,
    /// What was read and is to be published, and which transactions it saw.
    chunk: Option<(Vec<Cells>, i64, u64)>,
    /// What was published before and is not published since has no row.
    since: String,
}

/// Sees every transaction up to one.
#[derive(Debug)]
struct UpTo(u64);

impl connector_api::Sight for UpTo {
    fn sees(&self, coordinate: u64, _: &str) -> bool {
        coordinate <= self.0
    }
}

impl Shop {
    /// A shop of which nothing was seen before its tables had these contents.
    pub(super) fn begun(choice: &Choice, minimal: bool, rows: Vec<(&'static str, Cells)>) -> Self {
        let mut shop = Self::new(choice, minimal);
        for (table, row) in rows.into_iter().filter(|(table, _)| choice.captures(table)) {
            let id = int(&row[0]).unwrap();
            shop.tables.get_mut(table).unwrap().insert(id, row);
        }
        shop.reads = true;
        shop.due = shop.all();
        shop.unread.clone_from(&shop.due);
        let order = shop.world.mapper.plan().snapshot_order();
        shop.world.mapper.set_incomplete(&order.into_iter().collect());
        shop.set_dirty();
        shop
    }

    /// Every table that is read, in reverse.
    fn all(&self) -> Vec<&'static str> {
        let order = self.world.mapper.plan().snapshot_order();
        let known = |name: &TableName| SPECS.iter().find(|spec| spec.0 == name.table).unwrap().0;
        order.iter().rev().map(known).collect()
    }

    /// Something happens that the log does not say.
    pub(super) fn gap(&mut self, put: (&'static str, Cells), gone: (&'static str, i64)) {
        self.commit();
        let (table, row) = put;
        if self.choice.captures(table) {
            self.tables.get_mut(table).unwrap().insert(int(&row[0]).unwrap(), row);
        }
        if self.choice.captures(gone.0) {
            self.forget(gone.0, gone.1);
        }
        self.reading = None;
        self.due = self.all();
        self.restart();
    }

    /// The table that is being read is read from its beginning.
    pub(super) fn read_anew(&mut self) {
        let reading = self.reading.as_mut().expect("a table is being read");
        self.number += 1;
        let name = TableName::new("public", reading.table);
        (reading.after, reading.chunk) = (0, None);
        self.world.mapper.begin_snapshot(&name, self.number);
    }

    fn set_dirty(&mut self) {
        let reading = self.reading.as_ref().map(|reading| reading.table);
        let dirty: Vec<String> = self
            .due
            .iter()
            .copied()
            .chain(reading)
            .map(|table| format!("public.{table}"))
            .collect();
        self.world.mapper.set_dirty(dirty.iter());
    }

    fn at(&mut self, used: usize) -> Synthetic<'static> {
        let counter = self.counter;
        self.counter += u32::try_from(used).unwrap();
        // Transactions have the coordinates 2, 4, 6: between two of them there is room.
        Synthetic { coordinate: self.world.next * 2 - 1, counter, at_us: 0, position: "" }
    }

    /// One step of a snapshot: begin, read, publish, or end.
    pub(super) fn read_on(&mut self) {
        self.commit();
        let Some(mut reading) = self.reading.take() else {
            let Some(table) = self.due.pop() else { return };
            self.number += 1;
            let name = TableName::new("public", table);
            self.world.mapper.begin_snapshot(&name, self.number);
            let at = self.at(0);
            let (coordinate, ordinal) = (at.coordinate, SYNTHETIC_ORDINAL + at.counter);
            let since = Version { epoch: 1, coordinate, ordinal }.to_string();
            self.reading = Some(Reading { table, after: 0, chunk: None, since });
            return;
        };
        let name = TableName::new("public", reading.table);
        if let Some((rows, last, seen)) = reading.chunk.take() {
            if !self.world.mapper.has_lost_track() {
                let at = self.at(rows.len());
                let mapped = self.world.read(reading.table, rows, &UpTo(seen), &at);
                self.world.take(&mapped);
            }
            // What cannot be told is read once more.
            if self.world.mapper.has_lost_track() {
                self.world.mapper.begin_snapshot(&name, self.number);
            } else {
                reading.after = last;
            }
            self.reading = Some(reading);
            return;
        }
        let rows = self.tables[reading.table].range(reading.after + 1..).take(2);
        let rows: Vec<(i64, Cells)> = rows.map(|(id, row)| (*id, row.clone())).collect();
        if let Some((last, _)) = rows.last() {
            let seen = (self.world.next - 1) * 2;
            let last = *last;
            let rows = rows.into_iter().map(|(_, row)| row).collect();
            reading.chunk = Some((rows, last, seen));
            self.reading = Some(reading);
            return;
        }
        self.end(&name, &reading.since);
    }

    fn end(&mut self, name: &TableName, since: &str) {
        loop {
            let at = self.at(100);
            let Some(mapped) = self.world.mapper.sweep_rows(name, &at, 100) else { break };
            self.world.take(&mapped);
        }
        self.world.mapper.end_snapshot();
        let mut tables = self.world.mapper.completed(name);
        tables.retain(|table| table != name);
        tables.push(name.clone());
        for table in tables {
            let at = self.at(100);
            let (mapped, more) = self.world.mapper.publish_all(&table, None, 100, &at);
            assert_eq!(more, None);
            self.world.take(&mapped);
        }
        let is_old = |(version, event): &(String, serde_json::Value)| {
            let table = event["origin"]["table"].as_str().unwrap();
            version.as_str() < since && event["kind"] == "level" && table == name.to_string()
        };
        let old = self.world.levels.iter().filter(|(_, level)| is_old(level));
        let old: Vec<String> = old.map(|(key, _)| key.clone()).collect();
        let at = self.at(old.len());
        let gone = old.iter().map(|key| Vanished { key, sku: None });
        let mapped = self.world.mapper.sweep_keys(&name.to_string(), gone, &at);
        self.world.take(&mapped);
        self.unread.retain(|table| *table != name.table);
        self.set_dirty();
    }

    pub(super) fn restart(&mut self) {
        self.commit();
        self.world.restart(&[self.choice.definition()], specs(self.minimal));
        let unread = self.unread.iter();
        let incomplete = unread.map(|table| TableName::new("public", *table)).collect();
        self.world.mapper.set_incomplete(&incomplete);
        self.set_dirty();
        if let Some(reading) = &mut self.reading {
            // What the stream has changed is not known any more.
            reading.chunk = None;
            self.world.mapper.begin_snapshot(&TableName::new("public", reading.table), self.number);
        }
    }

    pub(super) fn finish(&mut self) {
        self.commit();
        while self.reading.is_some() || !self.due.is_empty() {
            self.read_on();
        }
    }
}
