//! ENUM and SET: numbers in the log, labels outside.

use connector_api::{BatchBuilder, TextKind};

use super::cursor::little_endian;
use super::{Definition, Unreadable};

/// The labels of a column in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Labels {
    type_name: &'static str,
    labels: Box<[Box<str>]>,
}

impl Labels {
    pub(super) fn of(
        type_name: &'static str,
        definition: &Definition<'_>,
    ) -> Result<Self, Unreadable> {
        let raw = definition.labels.ok_or(Unreadable::LabelsMissing { type_name })?;
        let charset = definition.charset.as_ref().ok_or(Unreadable::CharsetMissing)?;
        let coding = charset.coding()?;
        let invalid = || {
            let what = "a label is no text in the character set of the column";
            Unreadable::Malformed { type_name, what }
        };
        let mut scratch = String::new();
        let label = |raw: &Vec<u8>| match coding.text(raw, &mut scratch) {
            Some(text) => Ok(text.into()),
            None => std::str::from_utf8(raw).map(Into::into).map_err(|_| invalid()),
        };
        let labels = raw.iter().map(label).collect::<Result<_, _>>()?;
        Ok(Self { type_name, labels })
    }

    /// ENUM: from 1; 0 is the empty text that stands for a value that was refused.
    pub(super) fn push_one(&self, raw: &[u8], out: &mut BatchBuilder) -> Result<(), Unreadable> {
        let label = match little_endian(raw) {
            0 => "",
            number => usize::try_from(number - 1)
                .ok()
                .and_then(|index| self.labels.get(index))
                .ok_or_else(|| self.unknown())?,
        };
        out.push_text(TextKind::Text, label);
        Ok(())
    }

    /// SET: a bit for each label.
    pub(super) fn push_set(
        &self,
        raw: &[u8],
        scratch: &mut String,
        out: &mut BatchBuilder,
    ) -> Result<(), Unreadable> {
        let bits = little_endian(raw);
        let unknown = bits.checked_shr(self.labels.len() as u32).unwrap_or(0);
        if unknown != 0 {
            return Err(self.unknown());
        }
        scratch.clear();
        let chosen = self
            .labels
            .iter()
            .enumerate()
            .filter(|(nth, _)| bits.checked_shr(*nth as u32).is_some_and(|rest| rest & 1 == 1));
        for (nth, (_, label)) in chosen.enumerate() {
            if nth > 0 {
                scratch.push(',');
            }
            scratch.push_str(label);
        }
        out.push_text(TextKind::Text, scratch);
        Ok(())
    }

    fn unknown(&self) -> Unreadable {
        Unreadable::Label { type_name: self.type_name, labels: self.labels.len() }
    }
}
