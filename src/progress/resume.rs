use connector_api::{Continuity, Position};

use crate::state::Checkpoint;

/// How a source goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Nothing is known anywhere: have the server keep its log from now on.
    FirstStart,
    /// No checkpoint, but the server kept a position for us: begin there.
    Adopt(Position),
    /// Go on behind the checkpoint.
    Resume,
    /// Go on behind the checkpoint; nothing is missing, but coordinates start anew.
    NewEpoch {
        /// Why, for people.
        reason: String,
        /// The checkpoint's place in the log that goes on.
        position: Position,
    },
    /// Something may be missing behind the checkpoint: say so, begin at the first provable
    /// position in a new epoch, and mark every table.
    Gap {
        /// Why, for people.
        reason: String,
        /// The first provable position, if there is one already.
        from: Option<Position>,
    },
}

/// Decides from what is remembered and what the connector found. Never compares positions, and
/// never takes the greater of two.
pub fn choose_resume(checkpoint: Option<&Checkpoint>, continuity: Continuity) -> Decision {
    match (checkpoint, continuity) {
        (None, Continuity::Adopted(position)) => Decision::Adopt(position),
        (None, Continuity::Broken { from: Some(position), .. }) => Decision::Adopt(position),
        (None, _) => Decision::FirstStart,
        (Some(_), Continuity::Intact) => Decision::Resume,
        (Some(_), Continuity::Renumbered { reason, position }) => {
            Decision::NewEpoch { reason, position }
        }
        (Some(_), Continuity::Broken { reason, from }) => Decision::Gap { reason, from },
        // A connector that answers as if there were no checkpoint has not proved anything.
        (Some(_), Continuity::New) => {
            Decision::Gap { reason: "the server keeps no position for us".into(), from: None }
        }
        (Some(_), Continuity::Adopted(position)) => Decision::Gap {
            reason: "the server's position was not compared with the checkpoint".into(),
            from: Some(position),
        },
    }
}

#[cfg(test)]
mod tests {
    use connector_api::{Capture, Lineage, ResumePoint};

    use super::*;
    use crate::state::MappingRevision;

    fn checkpoint() -> Checkpoint {
        let point =
            ResumePoint::new(Lineage::new("7/1/slot"), Position::new("0/10"), Capture::default());
        Checkpoint::first("acme", "main", point, MappingRevision { number: 1, hash: "".into() })
    }

    fn broken(from: Option<&str>) -> Continuity {
        Continuity::Broken { reason: "slot lost".into(), from: from.map(Position::new) }
    }

    #[test]
    fn only_an_intact_log_is_resumed_without_a_word() {
        let stored = checkpoint();
        let decide = |continuity| choose_resume(Some(&stored), continuity);
        assert_eq!(decide(Continuity::Intact), Decision::Resume);
        for continuity in [
            Continuity::New,
            Continuity::Adopted(Position::new("0/20")),
            broken(None),
            broken(Some("0/20")),
        ] {
            assert!(matches!(decide(continuity), Decision::Gap { .. }));
        }
    }

    #[test]
    fn a_gap_goes_on_where_the_log_is_provably_whole_from() {
        let decision = choose_resume(Some(&checkpoint()), broken(Some("0/20")));
        let from = Some(Position::new("0/20"));
        assert_eq!(decision, Decision::Gap { reason: "slot lost".into(), from });
    }

    #[test]
    fn without_a_checkpoint_a_slot_of_ours_is_adopted_and_otherwise_one_is_made() {
        let position = Position::new("0/20");
        let adopted = choose_resume(None, Continuity::Adopted(position.clone()));
        assert_eq!(adopted, Decision::Adopt(position));
        assert_eq!(choose_resume(None, Continuity::New), Decision::FirstStart);
        assert_eq!(choose_resume(None, broken(None)), Decision::FirstStart);
    }
}
