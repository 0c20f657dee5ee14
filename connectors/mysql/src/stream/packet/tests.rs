#![allow(clippy::unwrap_used)]

use connector_api::Fault;
use connector_transport::ReadBuffer;
use proptest::prelude::*;

use super::*;

/// Writes packets as a server does.
struct Writer {
    bytes: Vec<u8>,
    number: u8,
}

impl Writer {
    fn new() -> Self {
        Self { bytes: Vec::new(), number: 1 }
    }

    fn packet(&mut self, payload: &[u8]) {
        let mut rest = payload;
        loop {
            let (part, behind) = rest.split_at(rest.len().min(CONTINUED));
            let [low, middle, high, _] = u32::try_from(part.len()).unwrap().to_le_bytes();
            self.bytes.extend_from_slice(&[low, middle, high, self.number]);
            self.bytes.extend_from_slice(part);
            self.number = self.number.wrapping_add(1);
            if part.len() < CONTINUED {
                return;
            }
            rest = behind;
        }
    }

    fn event(&mut self, event: &[u8]) {
        let mut payload = vec![EVENT];
        payload.extend_from_slice(event);
        self.packet(&payload);
    }
}

/// Reads as the stream's task does: `cuts` bytes at a time, over and over.
fn read(bytes: &[u8], cuts: &[usize]) -> Result<Vec<Vec<u8>>> {
    let (mut packets, mut buffer) = (Packets::new(), ReadBuffer::starting_with(&[]));
    let (mut events, mut rest) = (Vec::new(), bytes);
    let mut cuts = cuts.iter().cycle();
    loop {
        let (packet, taken) = packets.next(buffer.filled())?;
        let wanted = match packet {
            Packet::Event(event) => {
                events.push(event.to_vec());
                None
            }
            Packet::Incomplete(wanted) => Some(wanted),
            Packet::Failed(_) | Packet::Ended => return Ok(events),
        };
        buffer.consume(taken);
        if let Some(wanted) = wanted {
            if rest.is_empty() {
                return Ok(events);
            }
            let room = buffer.room(wanted);
            let count = (*cuts.next().unwrap()).clamp(1, rest.len()).min(room.len());
            room[..count].copy_from_slice(&rest[..count]);
            buffer.received(count);
            rest = &rest[count..];
        }
    }
}

fn event(len: usize) -> Vec<u8> {
    (0..len).map(|at| u8::try_from(at % 251).unwrap()).collect()
}

#[test]
fn an_event_of_several_packets_is_joined_whatever_its_length() {
    // With the byte before the event: one that fills its packet is followed by an empty one.
    for len in [CONTINUED - 2, CONTINUED - 1, CONTINUED, 2 * CONTINUED - 1, 2 * CONTINUED + 7] {
        let mut writer = Writer::new();
        writer.event(&event(40));
        writer.event(&event(len));
        writer.event(&event(41));
        let events = read(&writer.bytes, &[100_000, 1, 3, 70_001]).unwrap();
        assert_eq!(events.iter().map(Vec::len).collect::<Vec<_>>(), [40, len, 41]);
        assert!(events[1] == event(len), "{len}");
    }
}

#[test]
fn a_large_event_takes_memory_only_while_it_is_there() {
    let mut writer = Writer::new();
    writer.event(&event(2 * CONTINUED));
    let mut packets = Packets::new();
    let (packet, taken) = packets.next(&writer.bytes).unwrap();
    assert!(matches!(packet, Packet::Event(event) if event.len() == 2 * CONTINUED));
    assert_eq!(taken, writer.bytes.len());
    packets.next(&[]).unwrap();
    assert!(packets.large.is_none());
}

#[test]
fn an_announced_length_alone_takes_no_memory() {
    let mut packets = Packets::new();
    let (packet, taken) = packets.next(&[0xff, 0xff, 0xff, 1, 0, 9, 9]).unwrap();
    assert_eq!((packet, taken), (Packet::Incomplete(0), 7));
    assert!(packets.large.unwrap().bytes.capacity() < 64);
}

#[test]
fn an_event_beyond_every_bound_is_refused() {
    let mut packets = Packets { largest: 3 * CONTINUED, ..Packets::new() };
    let full = vec![0; CONTINUED];
    let mut number = 1_u8;
    let told = loop {
        let mut bytes = vec![0xff, 0xff, 0xff, number];
        bytes.extend_from_slice(&full);
        match packets.next(&bytes) {
            Ok(_) => number = number.wrapping_add(1),
            Err(told) => break told,
        }
    };
    assert_eq!(*told.fault(), Fault::Definite);
    assert!(told.to_string().contains("more than 50331645 bytes"), "{told}");
    let large = packets.large.unwrap();
    assert!(large.bytes.capacity() <= 3 * CONTINUED);
}

#[test]
fn what_is_no_event_is_told_apart() {
    let told = |payload: &[u8]| {
        let mut writer = Writer::new();
        writer.packet(payload);
        let mut packets = Packets::new();
        packets.next(&writer.bytes).map(|(packet, _)| format!("{packet:?}"))
    };
    assert_eq!(told(&[ENDED, 0, 0, 2, 0]).unwrap(), "Ended");
    assert!(told(b"\xff\xd4\x04#HY000gone").unwrap().contains("code: 1236"));
    assert!(told(&[7]).unwrap_err().to_string().contains("type 0x07"));
    assert!(told(&[]).unwrap_err().to_string().contains("without a byte"));
}

#[test]
fn a_packet_out_of_its_turn_is_an_error() {
    let mut packets = Packets::new();
    let told = packets.next(&[1, 0, 0, 2, 0]).unwrap_err();
    assert_eq!(told.to_string(), "the server sent packet 2 of the stream instead of packet 1");
}

proptest! {
    #[test]
    fn any_cut_of_the_bytes_gives_the_same_events(
        lens in prop::collection::vec(0usize..70_000, 1..300),
        cuts in prop::collection::vec(1usize..300_000, 1..20),
    ) {
        let mut writer = Writer::new();
        for len in &lens {
            writer.event(&event(*len % 977 * (1 + len % 3)));
        }
        let whole = read(&writer.bytes, &[usize::MAX]).unwrap();
        prop_assert_eq!(whole.len(), lens.len());
        prop_assert_eq!(read(&writer.bytes, &cuts).unwrap(), whole);
    }

    #[test]
    fn any_bytes_are_packets_or_an_error(
        bytes in prop::collection::vec(any::<u8>(), 0..400),
        cuts in prop::collection::vec(1usize..50, 1..5),
    ) {
        let _ = read(&bytes, &cuts);
        let mut begun = vec![0xff, 0xff, 0xff, 1, 0];
        begun.extend_from_slice(&bytes);
        let _ = read(&begun, &cuts);
    }
}
