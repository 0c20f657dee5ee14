use super::*;

fn address(type_name: &'static str, len: u8) -> Definition<'static> {
    Definition { type_name, ..text(code::STRING, [code::STRING, len], "binary") }
}

#[test]
fn uuids_and_inet4_are_text_though_their_zeros_are_cut_off() {
    let uuid = address("uuid", 16);
    let raw: Vec<u8> = (0x11..=0x20).collect();
    let wanted = "11121314-1516-1718-191a-1b1c1d1e1f20";
    assert_reads(&uuid, &counted(1, &raw), Value::Text(wanted));
    let wanted = "11120000-0000-0000-0000-000000000000";
    assert_reads(&uuid, &counted(1, &raw[..2]), Value::Text(wanted));
    assert_reads(&address("inet4", 4), &counted(1, &[10, 1]), Value::Text("10.1.0.0"));
    let wanted = Unreadable::Malformed { type_name: "uuid", what: "there are too many" };
    assert_unreadable(&uuid, &counted(1, &[1; 17]), &wanted);
}

#[test]
fn inet6_is_text_as_the_server_prints_it() {
    let inet6 = address("INET6", 16);
    for (words, wanted) in [
        ([0, 0, 0, 0, 0, 0, 0, 0], "::"),
        ([0, 0, 0, 0, 0, 0, 0, 1], "::1"),
        ([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], "2001:db8::"),
        ([0x2001, 0xdb8, 0, 0, 1, 0, 0, 1], "2001:db8::1:0:0:1"),
        ([1, 0, 3, 4, 5, 6, 7, 8], "1::3:4:5:6:7:8"),
        ([0, 0, 0, 0, 0, 0xffff, 0x0a00, 0x0001], "::ffff:10.0.0.1"),
        ([0, 0, 0, 0, 0, 0, 0x0a00, 0x0001], "::10.0.0.1"),
    ] {
        let raw: Vec<u8> = words.iter().flat_map(|word: &u16| word.to_be_bytes()).collect();
        let end = raw.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        assert_reads(&inet6, &counted(1, &raw[..end]), Value::Text(wanted));
    }
}

#[test]
fn without_its_name_such_a_type_is_the_binary_it_comes_as() {
    let raw = counted(1, &[10, 1]);
    assert_reads(&address("", 4), &raw, Value::Bytes(&[10, 1, 0, 0]));
}
