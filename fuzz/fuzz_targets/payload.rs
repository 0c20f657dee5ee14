//! Any packed transaction is unpacked or refused, and one that is read to its end has inflated to
//! what it states. Input: how it is made, then the body of the event, or what is to be packed.
#![no_main]

use connector_mysql::log::{Event, Flavor, Frame, HEADER_BYTES, Header, Kind, Unpacker};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some(([how, off], rest)) = data.split_first_chunk::<2>() else { return };
    // What is stated may be a little off.
    let stated = (rest.len() as u64).saturating_add_signed(i64::from(*off as i8));
    let body = match how % 3 {
        0 => rest.to_vec(),
        1 => body(255, stated, rest),
        _ => body(0, stated, &zstd::bulk::compress(rest, 1).expect("anything can be packed")),
    };
    let mut unpacker = Unpacker::default();
    // What was left behind by one that was not read to its end must not show in the next.
    let first = read(&body, &mut unpacker, 1);
    let again = read(&body, &mut unpacker, usize::MAX);
    assert_eq!(read(&body, &mut unpacker, usize::MAX), again);
    assert!(first.is_some() || again.is_none());
});

/// The fields of a TRANSACTION_PAYLOAD, and the bytes behind them.
fn body(compression: u64, stated: u64, bytes: &[u8]) -> Vec<u8> {
    let field = |number: u8, value: u64| [&[number, 9, 0xfe][..], &value.to_le_bytes()].concat();
    let fields = [field(2, compression), field(3, stated), field(1, bytes.len() as u64)];
    [&fields.concat()[..], &[0], bytes].concat()
}

/// Bytes of the events inside, up to so many of them; none where any is refused.
fn read(body: &[u8], unpacker: &mut Unpacker, most: usize) -> Option<u64> {
    let mut header = [0; HEADER_BYTES];
    header[4] = Kind::TRANSACTION_PAYLOAD.0;
    header[9..13].copy_from_slice(&((HEADER_BYTES + body.len()) as u32).to_le_bytes());
    let header = Header::read(&header).expect("it is whole");
    let event = Frame { header, body, flavor: Flavor::MySql }.event().ok()?;
    let Event::TransactionPayload(payload) = event else { panic!("{event:?}") };
    let mut events = payload.events(unpacker).expect("zstd starts");
    let mut bytes = 0;
    for _ in 0..most {
        let Some(frame) = events.read_event().ok()? else {
            assert_eq!(bytes, payload.inflated);
            break;
        };
        bytes += u64::from(frame.header.size);
        let _ = frame.event();
    }
    Some(bytes)
}
