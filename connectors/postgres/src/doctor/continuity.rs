use connector_api::{Continuity, Error, Result, ResumePoint, Survey};

use super::coverage::coverage;
use super::facts::{Facts, Server, SlotFacts};
use crate::config::PostgresConfig;
use crate::position::{LogIdentity, Lsn};

/// Whether the log behind a remembered position is provably whole. The slot follows the
/// checkpoint, never the reverse: what cannot be explained is broken.
///
/// # Errors
/// A standby that has not replayed its log up to the position yet proves nothing either way.
pub(crate) fn continuity(
    facts: &Facts,
    config: &PostgresConfig,
    slot: &str,
    last: Option<&ResumePoint>,
) -> Result<Continuity> {
    let kept = facts.slot.as_ref().and_then(|found| found.usable_from(&config.database));
    let broken = |reason: String, from: Option<Lsn>| {
        Ok(Continuity::Broken { reason, from: from.map(Lsn::to_position) })
    };
    let Some(last) = last else {
        return match (kept, &facts.slot) {
            (Some(position), _) => Ok(Continuity::Adopted(position.to_position())),
            (None, Some(found)) => broken(format!("slot {slot} {}", unusable(found, config)), None),
            (None, None) => Ok(Continuity::New),
        };
    };
    let (position, switch) = match same_log(facts, config, slot, last) {
        Ok(found) => found,
        Err(reason) => return broken(reason, kept),
    };
    if let Some(Switch { old, fork, .. }) = switch.filter(|switch| position > switch.fork) {
        // Up to the fork both are one log, and it was read.
        let reason =
            format!("timeline {old} was left at {fork}, before the checkpoint at {position}");
        return broken(reason, kept.max(Some(fork)));
    }
    let Server { head, in_recovery, .. } = facts.server;
    if position > head && in_recovery {
        return Err(Error::transient(format!(
            "the standby has replayed its log up to {head}, and not up to the checkpoint at \
             {position} yet"
        )));
    }
    if position > head {
        let reason = format!(
            "the server's log ends at {head}, before the checkpoint at {position}: it was restored"
        );
        return broken(reason, kept);
    }
    let now = coverage(facts, &config.publication, &last.capture);
    if let Some(change) = Survey::coverage_change(&last.coverage, &now) {
        // The place itself holds: what lies before it does not come again.
        let reason = format!("the publication has changed while away: {change}");
        return broken(reason, Some(position));
    }
    let Some(Switch { old, now, fork }) = switch else { return Ok(Continuity::Intact) };
    let reason = format!("the server went from timeline {old} to {now} at {fork}");
    // Places of the old timeline are places of the new one.
    Ok(Continuity::Renumbered { reason, position: position.to_position() })
}

/// A promotion: up to `fork` the log of the timeline before is that of the one now.
#[derive(Clone, Copy)]
struct Switch {
    old: u32,
    now: u32,
    fork: Lsn,
}

/// The remembered position, in a log that is the server's own and kept behind it, and how that log
/// went over to another timeline since. Ends with the reason why that cannot be proved.
fn same_log(
    facts: &Facts,
    config: &PostgresConfig,
    slot: &str,
    last: &ResumePoint,
) -> Result<(Lsn, Option<Switch>), String> {
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
    let (old, now) = (remembered.timeline, system.timeline);
    if old == now {
        return Ok((position, None));
    }
    let fork = system.forks.iter().find(|(timeline, _)| *timeline == old).map(|(_, fork)| *fork);
    let fork =
        fork.ok_or_else(|| format!("timeline {now} does not descend from timeline {old}"))?;
    Ok((position, Some(Switch { old, now, fork })))
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

#[cfg(test)]
mod tests;
