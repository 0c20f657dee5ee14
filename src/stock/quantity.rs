/// An exact decimal: `units` * 10^-`scale`, in its shortest form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decimal {
    units: i128,
    scale: u8,
}
