/// What a consumer should know about how good an event's numbers are. A closed set that only grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
#[allow(missing_docs, reason = "the printed names are the documentation; see docs/event.md")]
pub enum QualityFlag {
    SkuMissing,
    SkuDuplicate,
    Partial,
    LookupFilled,
    Aggregated,
    Negative,
    NonNumeric,
    Nan,
    Overflow,
    FloatSource,
    Rounded,
    ZeroDate,
    CharsetReplaced,
    NoPrimaryKey,
    Nontransactional,
    CascadeInferred,
    Untracked,
    Settled,
    Polled,
    AfterGap,
    ClockSkew,
}

impl QualityFlag {
    /// Every flag, in the order events list them.
    pub const ALL: [QualityFlag; 21] = [
        QualityFlag::SkuMissing,
        QualityFlag::SkuDuplicate,
        QualityFlag::Partial,
        QualityFlag::LookupFilled,
        QualityFlag::Aggregated,
        QualityFlag::Negative,
        QualityFlag::NonNumeric,
        QualityFlag::Nan,
        QualityFlag::Overflow,
        QualityFlag::FloatSource,
        QualityFlag::Rounded,
        QualityFlag::ZeroDate,
        QualityFlag::CharsetReplaced,
        QualityFlag::NoPrimaryKey,
        QualityFlag::Nontransactional,
        QualityFlag::CascadeInferred,
        QualityFlag::Untracked,
        QualityFlag::Settled,
        QualityFlag::Polled,
        QualityFlag::AfterGap,
        QualityFlag::ClockSkew,
    ];

    /// The name in an event.
    pub fn as_str(self) -> &'static str {
        match self {
            QualityFlag::SkuMissing => "SKU_MISSING",
            QualityFlag::SkuDuplicate => "SKU_DUPLICATE",
            QualityFlag::Partial => "PARTIAL",
            QualityFlag::LookupFilled => "LOOKUP_FILLED",
            QualityFlag::Aggregated => "AGGREGATED",
            QualityFlag::Negative => "NEGATIVE",
            QualityFlag::NonNumeric => "NON_NUMERIC",
            QualityFlag::Nan => "NAN",
            QualityFlag::Overflow => "OVERFLOW",
            QualityFlag::FloatSource => "FLOAT_SOURCE",
            QualityFlag::Rounded => "ROUNDED",
            QualityFlag::ZeroDate => "ZERO_DATE",
            QualityFlag::CharsetReplaced => "CHARSET_REPLACED",
            QualityFlag::NoPrimaryKey => "NO_PRIMARY_KEY",
            QualityFlag::Nontransactional => "NONTRANSACTIONAL",
            QualityFlag::CascadeInferred => "CASCADE_INFERRED",
            QualityFlag::Untracked => "UNTRACKED",
            QualityFlag::Settled => "SETTLED",
            QualityFlag::Polled => "POLLED",
            QualityFlag::AfterGap => "AFTER_GAP",
            QualityFlag::ClockSkew => "CLOCK_SKEW",
        }
    }
}

/// A set of [`QualityFlag`]s.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Quality(u32);

impl Quality {
    /// Adds a flag.
    pub fn set(&mut self, flag: QualityFlag) {
        self.0 |= 1 << flag as u8;
    }

    /// Adds every flag of `other`.
    pub fn merge(&mut self, other: Quality) {
        self.0 |= other.0;
    }

    /// The set without a flag.
    #[must_use]
    pub fn without(self, flag: QualityFlag) -> Quality {
        Quality(self.0 & !(1 << flag as u8))
    }

    /// Whether a flag is in the set.
    pub fn has(self, flag: QualityFlag) -> bool {
        self.0 & (1 << flag as u8) != 0
    }

    /// Whether the set is empty.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The flags in the order events list them.
    pub fn flags(self) -> impl Iterator<Item = QualityFlag> {
        QualityFlag::ALL.into_iter().filter(move |flag| self.has(*flag))
    }
}
