use connector_api::{Continuity, ResumePoint};

use super::Facts;
use crate::position::{LogIdentity, Lsn};

/// Whether the log behind a remembered position is provably whole. The slot follows the
/// checkpoint, never the reverse: what cannot be explained is broken.
pub(crate) fn continuity(
    facts: &Facts,
    last: Option<&ResumePoint>,
    coverage: &str,
    slot: Option<&str>,
) -> Continuity {
    let usable = facts.slot.as_ref().filter(|slot| slot.wal_status.as_deref() != Some("lost"));
    let from = usable.and_then(|slot| slot.confirmed).map(Lsn::to_position);
    let Some(last) = last else {
        return from.map_or(Continuity::New, Continuity::Adopted);
    };
    let broken = |reason: String| Continuity::Broken { reason, from: from.clone() };
    let Some(remembered) = LogIdentity::from_lineage(&last.lineage) else {
        return broken("the checkpoint is of another kind of database".to_owned());
    };
    let Ok(position) = Lsn::from_position(&last.position) else {
        return broken("the checkpoint's position is not a PostgreSQL one".to_owned());
    };
    if remembered.system_id != facts.system_id {
        return broken(format!(
            "another server answers: system {} where the checkpoint is of {}",
            facts.system_id, remembered.system_id
        ));
    }
    if slot.is_some_and(|slot| slot != remembered.slot) {
        let other = remembered.slot;
        return broken(format!("the checkpoint belongs to slot {other}"));
    }
    let Some(slot) = &facts.slot else {
        return broken(format!("slot {} is gone", remembered.slot));
    };
    if slot.wal_status.as_deref() == Some("lost") {
        return broken(format!("the server has removed log that slot {} needed", remembered.slot));
    }
    match slot.confirmed {
        Some(confirmed) if confirmed <= position => {}
        Some(confirmed) => {
            return broken(format!(
                "slot {} is at {confirmed}, ahead of the checkpoint at {position}",
                remembered.slot
            ));
        }
        None => return broken(format!("slot {} has no position", remembered.slot)),
    }
    if position > facts.head {
        return broken(format!(
            "the server's log ends at {}, before the checkpoint at {position}: it was restored",
            facts.head
        ));
    }
    if last.coverage != coverage {
        return broken(format!(
            "the publication has changed while away: it was {}, it is {coverage}",
            last.coverage
        ));
    }
    if remembered.timeline == facts.timeline {
        return Continuity::Intact;
    }
    timeline_switch(facts, remembered.timeline, position).unwrap_or_else(broken)
}

/// After a promotion the log is the same up to where the old timeline ended.
fn timeline_switch(facts: &Facts, old: u32, position: Lsn) -> Result<Continuity, String> {
    let now = facts.timeline;
    let Some((_, fork)) = facts.forks.iter().find(|(timeline, _)| *timeline == old) else {
        return Err(format!("timeline {now} does not descend from timeline {old}"));
    };
    if position > *fork {
        return Err(format!(
            "timeline {old} was left at {fork}, before the checkpoint at {position}"
        ));
    }
    let reason = format!("the server went from timeline {old} to {now} at {fork}");
    Ok(Continuity::Renumbered { reason })
}

#[cfg(test)]
mod tests {
    use connector_api::{Capture, Position};

    use super::super::facts::SlotFacts;
    use super::*;

    fn facts() -> Facts {
        let slot = SlotFacts { confirmed: Some(Lsn(0x10)), ..SlotFacts::default() };
        Facts {
            system_id: "7".to_owned(),
            timeline: 1,
            head: Lsn(0x100),
            slot: Some(slot),
            ..Facts::default()
        }
    }

    fn point(position: &str) -> ResumePoint {
        let identity = LogIdentity { system_id: "7".to_owned(), timeline: 1, slot: "s".to_owned() };
        ResumePoint {
            lineage: identity.to_lineage(),
            position: Position::new(position),
            partial: None,
            capture: Capture::default(),
            coverage: "c".to_owned(),
        }
    }

    fn judge(facts: &Facts, last: Option<&ResumePoint>) -> Continuity {
        continuity(facts, last, "c", Some("s"))
    }

    fn reason(facts: &Facts, last: &ResumePoint) -> String {
        match judge(facts, Some(last)) {
            Continuity::Broken { reason, .. } => reason,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_slot_at_or_behind_the_checkpoint_is_intact() {
        assert_eq!(judge(&facts(), Some(&point("0/10"))), Continuity::Intact);
        assert_eq!(judge(&facts(), Some(&point("0/20"))), Continuity::Intact);
    }

    #[test]
    fn a_slot_that_was_moved_ahead_of_the_checkpoint_is_a_gap() {
        let reason = reason(&facts(), &point("0/F"));
        assert_eq!(reason, "slot s is at 0/10, ahead of the checkpoint at 0/F");
    }

    #[test]
    fn a_slot_that_is_gone_or_lost_or_of_another_server_is_a_gap() {
        let gone = Facts { slot: None, ..facts() };
        assert_eq!(reason(&gone, &point("0/10")), "slot s is gone");
        let mut lost = facts();
        lost.slot = lost.slot.map(|slot| SlotFacts { wal_status: Some("lost".into()), ..slot });
        assert!(reason(&lost, &point("0/10")).starts_with("the server has removed log"));
        let other = Facts { system_id: "8".to_owned(), ..facts() };
        assert!(reason(&other, &point("0/10")).starts_with("another server answers"));
        let restored = Facts { head: Lsn(0x15), ..facts() };
        assert!(reason(&restored, &point("0/20")).ends_with("it was restored"));
    }

    #[test]
    fn a_publication_that_changed_while_away_is_a_gap() {
        let changed = ResumePoint { coverage: "other".to_owned(), ..point("0/10") };
        assert!(reason(&facts(), &changed).starts_with("the publication has changed"));
    }

    #[test]
    fn a_promotion_is_provable_only_up_to_the_fork() {
        let promoted = Facts { timeline: 2, forks: vec![(1, Lsn(0x30))], ..facts() };
        let at_fork = judge(&promoted, Some(&point("0/30")));
        assert!(matches!(at_fork, Continuity::Renumbered { .. }));
        assert!(reason(&promoted, &point("0/31")).starts_with("timeline 1 was left at 0/30"));
        let stranger = Facts { timeline: 2, ..facts() };
        assert!(reason(&stranger, &point("0/10")).contains("does not descend"));
    }

    #[test]
    fn without_a_checkpoint_an_existing_slot_is_adopted_where_it_stands() {
        assert_eq!(judge(&facts(), None), Continuity::Adopted(Position::new("0/10")));
        let none = Facts { slot: None, ..facts() };
        assert_eq!(judge(&none, None), Continuity::New);
    }
}
