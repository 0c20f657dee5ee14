//! Numbers that say their own length.

/// A number, and what is behind it; `None` for what stands for NULL or for an error.
pub(super) fn number(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (&first, rest) = bytes.split_first()?;
    let len = match first {
        0xfc => 2,
        0xfd => 3,
        0xfe => 8,
        0xfb | 0xff => return None,
        small => return Some((u64::from(small), rest)),
    };
    let (digits, rest) = rest.split_at_checked(len)?;
    let mut wide = [0; 8];
    wide[..len].copy_from_slice(digits);
    Some((u64::from_le_bytes(wide), rest))
}

/// Bytes behind their length, and what is behind them.
pub(super) fn prefixed(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = number(bytes)?;
    rest.split_at_checked(usize::try_from(len).ok()?)
}
