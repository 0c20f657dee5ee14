//! The numbers that a server tells its readers apart by.
//!
//! Whoever reads a binlog as a replica does gives a server id. Of two readers with one id the
//! server keeps the later and ends the earlier one's dump, so that two which both come again end
//! each other for ever, and neither gets far. Ids given by hand are small (1, 2, 101) or the
//! address of a machine as a number (10.0.0.7 is 167772167, 192.168.0.7 is 3232235527), and those
//! that other readers choose by themselves have four to six digits. The numbers here keep clear of
//! all of them:
//!
//! | numbers | whose |
//! |---|---|
//! | 1073741824 to 2147483647 | sources, each its own for ever: [`server_id`] |
//! | 2147483648 to 2684354559 | readers that go with their connection: [`temporary_server_id`] |

use std::hash::{BuildHasher as _, RandomState};

const DURABLE: u32 = 1 << 30;
const DURABLE_COUNT: u64 = 1 << 30;
const TEMPORARY: u32 = 1 << 31;
const TEMPORARY_COUNT: u64 = 1 << 29;

/// The server id of one source of one seller: 1073741824 to 2147483647, the same in every version,
/// so that a process which takes a source over ends what its predecessor left open on the server.
///
/// Two sources get one id once in a thousand million pairs: of servers with a hundred sources each,
/// one in 200,000 has such a pair. It shows as two sources whose streams end again and again, and
/// is mended by a `server_id` of its own for one of them.
pub fn server_id(process: &str, seller: &str, source: &str) -> u32 {
    let hash = digest(&format!("{process}\0{seller}\0{source}"));
    // The last byte has reached the lower half alone.
    within(DURABLE, DURABLE_COUNT, hash ^ (hash >> 32))
}

/// FNV-1a: what it gives must not change with a library.
pub(crate) fn digest(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// A server id for a reader that keeps nothing: 2147483648 to 2684354559, another one each time.
pub fn temporary_server_id() -> u32 {
    within(TEMPORARY, TEMPORARY_COUNT, RandomState::new().hash_one(std::process::id()))
}

fn within(first: u32, count: u64, chance: u64) -> u32 {
    first + u32::try_from(chance % count).expect("no range is longer than its numbers")
}

#[cfg(test)]
mod tests;
