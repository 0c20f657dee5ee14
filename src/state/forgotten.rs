use serde::{Deserialize, Serialize};

use super::{Checkpoint, UnusableCheckpoint};

/// The format of what is left in the place of a checkpoint. A version that does not know it refuses
/// it, rather than to begin with versions that consumers have seen.
const FORMAT: u32 = 3;

/// What is left of a source that was forgotten. Its events are still with consumers, who take
/// nothing of it that has no higher version: it must not begin where it once began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Forgotten {
    format: u32,
    forgotten: bool,
    seller: String,
    source: String,
    epoch: u32,
}

/// What stands in the place of a checkpoint.
#[derive(Debug)]
pub enum Recalled {
    /// The source goes on from here.
    Checkpoint(Box<Checkpoint>),
    /// The source was forgotten; no version of it has a greater epoch than this one.
    Forgotten {
        /// High part of its last versions.
        epoch: u32,
    },
}

impl Recalled {
    /// Reads what is stored under the name of a source.
    pub fn decode(text: &str, seller: &str, source: &str) -> Result<Self, UnusableCheckpoint> {
        match serde_json::from_str::<Forgotten>(text) {
            Ok(left) if left.format == FORMAT => Ok(Self::Forgotten { epoch: left.epoch }),
            _ => Checkpoint::decode(text, seller, source).map(|it| Self::Checkpoint(Box::new(it))),
        }
    }

    /// The checkpoint, unless the source was forgotten.
    pub fn checkpoint(self) -> Option<Checkpoint> {
        match self {
            Self::Checkpoint(checkpoint) => Some(*checkpoint),
            Self::Forgotten { .. } => None,
        }
    }
}

/// What is to stand in the place of the checkpoint of a source that is forgotten, whose last
/// versions have this epoch.
pub fn forgotten(seller: &str, source: &str, epoch: u32) -> String {
    let (seller, source) = (seller.to_owned(), source.to_owned());
    let left = Forgotten { format: FORMAT, forgotten: true, seller, source, epoch };
    serde_json::to_string(&left).expect("it has only text keys")
}

/// The epoch of what is stored in the place of a checkpoint, even where this version can make
/// nothing else of it.
pub fn epoch_of(text: &str) -> Option<u32> {
    #[derive(Deserialize)]
    struct Epoch {
        epoch: u32,
    }
    serde_json::from_str(text).ok().map(|Epoch { epoch }| epoch)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_of_a_source_is_its_epoch() {
        let text = forgotten("acme", "main", 7);
        let recalled = Recalled::decode(&text, "acme", "main").unwrap();
        assert!(matches!(recalled, Recalled::Forgotten { epoch: 7 }), "{recalled:?}");
        assert!(recalled.checkpoint().is_none());
        assert_eq!(epoch_of(&text), Some(7));
        assert_eq!(epoch_of("damaged"), None);
        // An earlier version says that it is too old for it.
        let error = Checkpoint::decode(&text, "acme", "main").unwrap_err();
        assert!(matches!(error, UnusableCheckpoint::Newer { found: FORMAT }), "{error}");
    }
}
