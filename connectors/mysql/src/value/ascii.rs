/// A short ASCII text on the stack. `N` is at least as long as the longest text written.
#[derive(Debug)]
pub(super) struct Ascii<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

impl<const N: usize> Ascii<N> {
    pub(super) fn new() -> Self {
        Self { bytes: [0; N], len: 0 }
    }

    pub(super) fn push(&mut self, byte: u8) {
        self.bytes[self.len] = byte;
        self.len += 1;
    }

    /// `value` with at least `width` digits.
    pub(super) fn digits(&mut self, value: u32, width: usize) {
        let len = (value.checked_ilog10().unwrap_or(0) as usize + 1).max(width);
        let mut rest = value;
        for place in self.bytes[self.len..self.len + len].iter_mut().rev() {
            *place = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        self.len += len;
    }

    pub(super) fn text(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.len]).expect("digits and signs are ASCII")
    }
}
