use super::Report;
use crate::config::Slot;
use crate::doctor::facts::{Facts, SlotFacts};
use crate::doctor::literal;

impl Report<'_> {
    pub(super) fn slot(&mut self) {
        let name = match &self.config.slot {
            Slot::Named(name) | Slot::Unconfirmed(name) => name.as_str(),
            Slot::Temporary => return,
        };
        let check = format!("slot {name}");
        match &self.facts.slot {
            Some(slot) if slot.is_ours(&self.config.database) => self.our_slot(&check, slot),
            Some(slot) => self.foreign_slot(&check, slot),
            // It would keep the server's log for ever.
            None if matches!(self.config.slot, Slot::Unconfirmed(_)) => self.blocker(
                &check,
                "does not exist",
                "a slot to read without confirming, or none named",
                format!(
                    "SELECT pg_create_logical_replication_slot({}, 'pgoutput'); or remove slot \
                     from [source]",
                    literal(name)
                ),
            ),
            None => {}
        }
        self.former_slot(name);
    }

    /// Nobody would read it any more, and it would keep the server's log for ever.
    fn former_slot(&mut self, now: &str) {
        let Facts { former: Some(former), system: Some(system), .. } = self.facts else { return };
        let keeps = former.slot.usable_from(&self.config.database).is_some();
        if former.system_id != system.id || !keeps || former.slot.holder.is_some() {
            return;
        }
        let name = &former.name;
        self.blocker(
            &format!("slot {name}"),
            "keeps the log behind the checkpoint, and is not the slot that is named now",
            &format!("slot {now}, and no other that keeps log for this reader"),
            format!(
                "go on from it: name it again (slot = \"{name}\" in [source], or the former name \
                 of the installation, the seller or the source); or begin behind a gap: SELECT \
                 pg_drop_replication_slot({});",
                literal(name)
            ),
        );
    }

    fn foreign_slot(&mut self, check: &str, slot: &SlotFacts) {
        let database = &self.config.database;
        let found = match (&slot.plugin, &slot.database) {
            (Some(plugin), Some(of)) if of == database => format!(
                "a {} slot of plugin {plugin}{}",
                if slot.temporary { "temporary" } else { "lasting" },
                if slot.two_phase { ", made with two_phase" } else { "" },
            ),
            (Some(plugin), Some(of)) => format!("a slot of database {of}, plugin {plugin}"),
            _ => "a physical slot, as standbys use".to_owned(),
        };
        let wanted = format!(
            "a lasting slot of database {database}, plugin pgoutput, without two_phase, or none"
        );
        self.blocker(check, found, &wanted, "name another slot in [source]".to_owned());
    }

    fn our_slot(&mut self, check: &str, slot: &SlotFacts) {
        let server = &self.facts.server;
        if slot.synced && server.in_recovery {
            self.blocker(
                check,
                "is kept in step with the primary's and cannot be read here",
                "the primary's slot, or one of the standby's own",
                "put the primary's host into the URL, or name another slot in [source]".to_owned(),
            );
        }
        let limit = "raise max_slot_wal_keep_size, and watch wal_status in pg_replication_slots";
        if let Some(lost) = slot.lost() {
            self.warning(check, lost, "a slot whose log is kept", limit.to_owned());
            return;
        }
        let (kept, safe) = (server.max_slot_wal_keep_mib, slot.safe_wal_bytes);
        if slot.wal_status.as_deref() == Some("unreserved") {
            let found = "the server's next checkpoint removes log it needs";
            self.warning(check, found, "wal_status reserved", limit.to_owned());
        } else if let Some(safe) = safe.filter(|safe| (*safe >> 20) * 10 < kept) {
            let found = format!("{} MB of log from being lost", safe >> 20);
            self.warning(check, found, "more than a tenth of the limit", limit.to_owned());
        }
    }
}
