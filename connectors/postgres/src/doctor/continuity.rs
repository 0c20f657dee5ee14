use connector_api::{Continuity, ResumePoint, Survey};

use super::coverage::coverage;
use super::facts::{Facts, SlotFacts, System};
use crate::config::PostgresConfig;
use crate::position::{LogIdentity, Lsn};

/// Whether the log behind a remembered position is provably whole. The slot follows the
/// checkpoint, never the reverse: what cannot be explained is broken.
pub(crate) fn continuity(
    facts: &Facts,
    config: &PostgresConfig,
    slot: &str,
    last: Option<&ResumePoint>,
) -> Continuity {
    let from = facts.slot.as_ref().and_then(|found| found.usable_from(&config.database));
    let Some(last) = last else {
        let broken = |reason| Continuity::Broken { reason, from: None };
        return match (from, &facts.slot) {
            (Some(position), _) => Continuity::Adopted(position.to_position()),
            (None, Some(found)) => broken(format!("slot {slot} {}", unusable(found, config))),
            (None, None) => Continuity::New,
        };
    };
    let proved = prove(facts, config, slot, last);
    proved.unwrap_or_else(|reason| Continuity::Broken { reason, from: from.map(Lsn::to_position) })
}

/// Ends with the reason why nothing can be proved.
fn prove(
    facts: &Facts,
    config: &PostgresConfig,
    slot: &str,
    last: &ResumePoint,
) -> Result<Continuity, String> {
    let remembered = LogIdentity::from_lineage(&last.lineage)
        .ok_or("the checkpoint is of another kind of database")?;
    let position = Lsn::from_position(&last.position).map_err(|error| error.to_string())?;
    let system = facts.system.as_ref().ok_or("the server's log cannot be identified")?;
    if remembered.system_id != system.id {
        return Err(format!(
            "another server answers: system {} where the checkpoint is of {}",
            system.id, remembered.system_id
        ));
    }
    if slot != remembered.slot {
        return Err(format!("the checkpoint belongs to slot {}", remembered.slot));
    }
    kept_by_slot(facts, config, slot, position)?;
    let head = facts.server.head;
    if position > head {
        return Err(format!(
            "the server's log ends at {head}, before the checkpoint at {position}: it was restored"
        ));
    }
    let now = coverage(facts, &config.publication, &last.capture);
    if let Some(change) = Survey::coverage_change(&last.coverage, &now) {
        return Err(format!("the publication has changed while away: {change}"));
    }
    if remembered.timeline == system.timeline {
        return Ok(Continuity::Intact);
    }
    timeline_switch(system, remembered.timeline, position)
}

/// The slot keeps everything behind the position.
fn kept_by_slot(
    facts: &Facts,
    config: &PostgresConfig,
    slot: &str,
    position: Lsn,
) -> Result<(), String> {
    let found = facts.slot.as_ref().ok_or_else(|| format!("slot {slot} is gone"))?;
    let confirmed = found
        .usable_from(&config.database)
        .ok_or_else(|| format!("slot {slot} {}", unusable(found, config)))?;
    if confirmed > position {
        return Err(format!(
            "slot {slot} is at {confirmed}, ahead of the checkpoint at {position}"
        ));
    }
    Ok(())
}

/// What is wrong with a slot that is of no use.
fn unusable(slot: &SlotFacts, config: &PostgresConfig) -> String {
    match slot.lost() {
        _ if !slot.is_ours(&config.database) => "was made for something else".to_owned(),
        Some(why) => format!("is of no use any more: {why}"),
        None => "has no position".to_owned(),
    }
}

/// After a promotion the log is the same up to where the old timeline ended.
fn timeline_switch(system: &System, old: u32, position: Lsn) -> Result<Continuity, String> {
    let now = system.timeline;
    let Some((_, fork)) = system.forks.iter().find(|(timeline, _)| *timeline == old) else {
        return Err(format!("timeline {now} does not descend from timeline {old}"));
    };
    if position > *fork {
        return Err(format!(
            "timeline {old} was left at {fork}, before the checkpoint at {position}"
        ));
    }
    let reason = format!("the server went from timeline {old} to {now} at {fork}");
    // Places of the old timeline are places of the new one.
    Ok(Continuity::Renumbered { reason, position: position.to_position() })
}

#[cfg(test)]
mod tests;
