use std::ops::Neg;

use super::{Decimal, Exactness, NumberError, POWERS, SCALE_MAX};

impl Decimal {
    /// The sum; always exact.
    pub fn checked_add(self, other: Self) -> Result<Self, NumberError> {
        let scale = self.scale.max(other.scale);
        let sum = self.units_at(scale).checked_add(other.units_at(scale));
        Self::shortest(sum.ok_or(NumberError::OutOfRange)?, scale)
    }

    /// The difference; always exact.
    pub fn checked_sub(self, other: Self) -> Result<Self, NumberError> {
        self.checked_add(-other)
    }

    /// The product, rounded half to even at the ninth decimal.
    pub fn checked_mul(self, other: Self) -> Result<(Self, Exactness), NumberError> {
        let scale = self.scale + other.scale;
        let negative = (self.units < 0) != (other.units < 0);
        let (a, b) = (self.units.unsigned_abs(), other.units.unsigned_abs());
        let extra = scale.saturating_sub(SCALE_MAX);
        let unit = POWERS[usize::from(extra)].unsigned_abs();
        let (units, exactness) = match a.checked_mul(b) {
            Some(product) => round(product / unit, product % unit, unit),
            None => wide_product(a, b, unit)?,
        };
        let units = i128::try_from(units).map_err(|_| NumberError::OutOfRange)?;
        let value = Self::shortest(if negative { -units } else { units }, scale - extra)?;
        Ok((value, exactness))
    }

    /// The nearest value with at most `scale` decimals; halves go away from zero, as in SQL.
    pub fn round_half_away(self, scale: u8) -> Result<Self, NumberError> {
        if self.scale <= scale {
            return Ok(self);
        }
        let unit = POWERS[usize::from(self.scale - scale)];
        let half = if self.units < 0 { -unit / 2 } else { unit / 2 };
        Self::shortest((self.units + half) / unit, scale)
    }

    /// Whether the value has at most this many digits before the point.
    pub fn fits_digits(self, digits: u8) -> bool {
        let limit = POWERS.get(usize::from(digits + self.scale));
        limit.is_none_or(|limit| self.units.unsigned_abs() < limit.unsigned_abs())
    }
}

impl Neg for Decimal {
    type Output = Decimal;

    fn neg(self) -> Decimal {
        Decimal { units: -self.units, scale: self.scale }
    }
}

/// A quotient and its remainder by `unit`, a power of ten, rounded half to even.
fn round(kept: u128, dropped: u128, unit: u128) -> (u128, Exactness) {
    if dropped == 0 {
        return (kept, Exactness::Exact);
    }
    let up = dropped > unit / 2 || (dropped == unit / 2 && kept % 2 == 1);
    (kept + u128::from(up), Exactness::Rounded)
}

/// The product of two numbers below 10^38 that does not fit 128 bits, divided by `unit`.
fn wide_product(a: u128, b: u128, unit: u128) -> Result<(u128, Exactness), NumberError> {
    const LOW: u128 = u64::MAX as u128;
    let mut limbs = [0_u64; 4];
    for (i, x) in [a & LOW, a >> 64].into_iter().enumerate() {
        let mut carry = 0;
        for (j, y) in [b & LOW, b >> 64].into_iter().enumerate() {
            let sum = x * y + u128::from(limbs[i + j]) + carry;
            limbs[i + j] = (sum & LOW) as u64;
            carry = sum >> 64;
        }
        limbs[i + 2] = carry as u64;
    }
    let mut dropped = 0;
    for limb in limbs.iter_mut().rev() {
        let part = (dropped << 64) | u128::from(*limb);
        *limb = (part / unit) as u64;
        dropped = part % unit;
    }
    if limbs[3] != 0 || limbs[2] != 0 || limbs[1] > i64::MAX.unsigned_abs() {
        return Err(NumberError::OutOfRange);
    }
    let kept = (u128::from(limbs[1]) << 64) | u128::from(limbs[0]);
    Ok(round(kept, dropped, unit))
}
