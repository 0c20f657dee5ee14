/// Usual size, bytes.
const USUAL: usize = 256 << 10;
/// Bytes that are moved to the front whenever there is a chance.
const CHEAP: usize = 4096;

/// What has arrived and is not decoded yet. Grows for a frame that is larger than usual, and
/// shrinks when it has been taken.
#[derive(Debug)]
pub struct ReadBuffer {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl ReadBuffer {
    /// A buffer that holds what came behind the last answer of a session.
    pub fn starting_with(arrived: &[u8]) -> Self {
        let mut bytes = vec![0; USUAL.max(arrived.len())];
        bytes[..arrived.len()].copy_from_slice(arrived);
        Self { bytes, start: 0, end: arrived.len() }
    }

    /// What has arrived and was not consumed.
    pub fn filled(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// Lets go of the first `count` bytes of [`Self::filled`].
    pub fn consume(&mut self, count: usize) {
        self.start += count;
        debug_assert!(self.start <= self.end, "consumed more than there is");
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
        }
    }

    /// Room for what comes next, at least one byte, with space for a frame of `wanted` bytes in
    /// all.
    pub fn room(&mut self, wanted: usize) -> &mut [u8] {
        let len = self.end - self.start;
        let wanted = wanted.max(len + 1);
        if self.bytes.len() > USUAL && wanted <= USUAL {
            let mut usual = vec![0; USUAL];
            usual[..len].copy_from_slice(self.filled());
            *self = Self { bytes: usual, start: 0, end: len };
        }
        if self.start > 0 && (self.start + wanted > self.bytes.len() || len < CHEAP) {
            self.bytes.copy_within(self.start..self.end, 0);
            self.start = 0;
            self.end = len;
        }
        if self.bytes.len() < wanted {
            // In steps, so that an announced length alone costs nothing.
            let target = wanted.min(self.bytes.len() * 2);
            self.bytes.resize(target.max(len + 1), 0);
        }
        &mut self.bytes[self.end..]
    }

    /// Counts bytes that were written into [`Self::room`].
    pub fn received(&mut self, count: usize) {
        self.end += count;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_large_frame_takes_memory_only_while_it_is_there() {
        let mut buffer = ReadBuffer::starting_with(&[]);
        let large = 8 << 20;
        while buffer.filled().len() < large {
            let count = buffer.room(large).len();
            buffer.received(count);
        }
        assert!(buffer.bytes.len() <= large);
        // The next frame has begun behind it.
        buffer.consume(large - 100);
        buffer.room(5);
        assert_eq!((buffer.filled().len(), buffer.bytes.len()), (100, USUAL));
    }

    #[test]
    fn an_announced_length_alone_takes_no_memory() {
        let mut buffer = ReadBuffer::starting_with(&[1, 2, 3]);
        buffer.room(1 << 30);
        assert!(buffer.bytes.len() <= 2 * USUAL);
    }

    proptest! {
        #[test]
        fn bytes_come_out_in_the_order_they_went_in(
            steps in prop::collection::vec((0usize..200_000, 0usize..200_000), 1..40),
        ) {
            let mut buffer = ReadBuffer::starting_with(&[]);
            let (mut written, mut read) = (0_u64, 0_u64);
            for (fill, take) in steps {
                let room = buffer.room(fill);
                let count = fill.min(room.len());
                for byte in &mut room[..count] {
                    *byte = (written % 251) as u8;
                    written += 1;
                }
                buffer.received(count);
                let take = take.min(buffer.filled().len());
                for byte in &buffer.filled()[..take] {
                    prop_assert_eq!(*byte, (read % 251) as u8);
                    read += 1;
                }
                buffer.consume(take);
            }
        }
    }
}
