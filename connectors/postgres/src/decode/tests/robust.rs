//! Whatever comes is decoded or refused, and nothing panics.

use proptest::prelude::*;

use super::*;

/// One message of each kind, in an order in which they may come.
fn conversation() -> Vec<Vec<u8>> {
    let row = [text("5"), Wire::Null, Wire::Unchanged];
    vec![
        begin(0x100, 0, 1),
        encode::origin(),
        encode::described_type(20_001, "", "int8"),
        stock(),
        insert(STOCK, &row),
        update(STOCK, None, &row),
        update(STOCK, Some((Old::Key, &row)), &row),
        update(STOCK, Some((Old::Whole, &row)), &row),
        delete(STOCK, Old::Key, &row),
        delete(STOCK, Old::Whole, &row),
        truncate(&[STOCK], 1),
        encode::logical_message(true),
        commit(0x100, 0x130),
    ]
}

/// What comes of the last of these messages.
fn last(messages: &[Vec<u8>]) -> Result<()> {
    let (last, before) = messages.split_last().unwrap();
    let mut stream = Stream::new(&capture(&[whole("stock")]));
    stream.feed(before);
    stream.try_feed(std::slice::from_ref(last))
}

#[test]
fn a_message_cut_anywhere_is_refused() {
    let messages = conversation();
    for place in 0..messages.len() {
        let whole = &messages[place];
        if matches!(whole[0], b'O' | b'M') {
            continue;
        }
        // The end of a commit's own time is not needed.
        let end = if whole[0] == b'C' { 18 } else { whole.len() };
        for len in 0..end {
            let mut cut = messages[..place].to_vec();
            cut.push(whole[..len].to_vec());
            assert!(last(&cut).is_err(), "{} of {whole:02x?}", len);
        }
    }
}

#[test]
fn a_row_with_more_in_it_than_was_read_is_refused() {
    for (place, message) in conversation().into_iter().enumerate() {
        if matches!(message[0], b'I' | b'U' | b'D' | b'T' | b'R') {
            let mut messages = conversation()[..place].to_vec();
            messages.push([&message[..], &[0]].concat());
            let error = last(&messages).unwrap_err();
            assert!(error.to_string().contains("1 bytes too many"), "{error}");
        }
    }
}

#[test]
fn what_protocol_version_1_does_not_have_is_refused() {
    for unknown in [b'S', b'E', b'c', b'A', b'b', b'P', b'K', b'r', b'p', 0] {
        let error = last(&[vec![unknown, 0, 0, 0, 0]]).unwrap_err();
        assert!(error.to_string().contains("protocol version 1 does not have"), "{error}");
    }
    let binary = [Wire::Binary(vec![0; 8]), Wire::Null, Wire::Null];
    let messages = vec![begin(1, 0, 1), stock(), insert(STOCK, &binary)];
    assert!(last(&messages).unwrap_err().to_string().contains("a column in text format"));
}

#[test]
fn messages_out_of_order_are_refused() {
    let row = [text("5"), Wire::Null, Wire::Null];
    let outside = |message: Vec<u8>| {
        let mut messages = transaction(1, vec![stock()]);
        messages.push(message);
        last(&messages).unwrap_err().to_string()
    };
    for message in [insert(STOCK, &row), truncate(&[STOCK], 0), stock(), commit(1, 2)] {
        assert!(outside(message).contains("outside of a transaction"));
    }
    let nested = last(&[begin(1, 0, 1), begin(2, 0, 2)]).unwrap_err();
    assert!(nested.to_string().contains("inside another"), "{nested}");
    let unknown = last(&[begin(1, 0, 1), insert(STOCK, &row)]).unwrap_err();
    assert!(unknown.to_string().contains("before describing it"), "{unknown}");
    let narrow = last(&[begin(1, 0, 1), stock(), insert(STOCK, &row[..2])]).unwrap_err();
    assert!(narrow.to_string().contains("a row of 2 columns for table public.stock"), "{narrow}");
}

/// Feeds everything, whatever is refused on the way.
fn survive(messages: &[Vec<u8>], from: &ResumePoint, captured: &Capture) {
    let mut stream = Stream::resumed(from, captured);
    for message in messages {
        let _ = stream.try_feed(std::slice::from_ref(message));
    }
    lines(&stream.batches());
}

fn wire() -> impl Strategy<Value = Wire> {
    prop_oneof![
        Just(Wire::Null),
        Just(Wire::Unchanged),
        prop::collection::vec(any::<u8>(), 0..12).prop_map(Wire::Text),
        any::<String>().prop_map(|value| text(&value)),
        any::<i64>().prop_map(|value| text(&value.to_string())),
    ]
}

/// What a text column holds for what was sent.
fn expected(wire: &Wire) -> String {
    match wire {
        Wire::Null => "Null".to_owned(),
        Wire::Unchanged => "Absent".to_owned(),
        Wire::Text(bytes) | Wire::Binary(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => format!("{:?}", Value::Text(text)),
            Err(_) => format!("{:?}", Value::Bytes(bytes)),
        },
    }
}

proptest! {
    #[test]
    fn random_bytes_never_panic(
        messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 0..20),
        partial in prop::option::of(0..5_u32),
    ) {
        let captured = capture(&[CaptureTable {
            name: TableName::new("*", "*"),
            columns: Columns::All,
        }]);
        survive(&messages, &point(partial.map(|rows| ("1", rows)), &captured), &captured);
    }

    #[test]
    fn damaged_messages_never_panic(
        order in prop::collection::vec(0..13_usize, 1..40),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        partial in prop::option::of(0..5_u32),
    ) {
        let captured = capture(&[whole("stock")]);
        let all = conversation();
        let mut messages: Vec<Vec<u8>> = vec![all[0].clone(), all[3].clone()];
        messages.extend(order.iter().map(|place| all[*place].clone()));
        for (place, byte) in damage {
            let message = place.get(&messages).clone();
            let mut damaged = message.clone();
            *damaged.last_mut().expect("no message is empty") = byte;
            let index = place.index(damaged.len());
            damaged[index] = byte;
            let at = place.index(messages.len());
            messages[at] = damaged;
        }
        survive(&messages, &point(partial.map(|rows| ("1", rows)), &captured), &captured);
    }

    #[test]
    fn random_rows_decode_to_what_was_sent(
        rows in prop::collection::vec(prop::collection::vec(wire(), 3), 1..30),
    ) {
        let captured = capture(&[whole("stock")]);
        let described = relation(
            STOCK,
            "stock",
            &[(true, "a", TEXT), (false, "b", TEXT), (false, "c", TEXT)],
        );
        let mut changes = vec![described];
        changes.extend(rows.iter().map(|row| insert(STOCK, row)));
        let found = lines(&decode(&captured, &transaction(1, changes)));
        for (ordinal, (row, line)) in rows.iter().zip(&found[1..]).enumerate() {
            let values: Vec<String> = row.iter().map(expected).collect();
            let wanted = format!("{ordinal} insert public.stock - -> [{}]", values.join(", "));
            prop_assert_eq!(line, &wanted);
        }
    }
}
