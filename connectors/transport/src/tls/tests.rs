#![allow(clippy::unwrap_used)]

use super::*;

#[test]
fn a_name_and_an_address_can_be_checked_and_nonsense_is_told() {
    for host in ["db.acme.example", "127.0.0.1", "::1"] {
        server_name(host).unwrap();
    }
    let told = server_name("not a name").unwrap_err();
    assert_eq!(told.to_string(), "not a name cannot be a name in a certificate");
}
