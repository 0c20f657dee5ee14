use super::grants::Grants;
use super::quote;

/// Statements that undo what was granted to an account, as `CURRENT_USER()` and `SHOW GRANTS` tell
/// of it. An account that may do everything was not made for us: nothing of it is to be taken back.
pub fn undo<'a>(account: &str, grants: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    const FOR_MORE: [&str; 2] = ["SUPER", "CREATE USER"];
    if Grants::parse(grants).has(&FOR_MORE) {
        return Vec::new();
    }
    vec![format!("DROP USER {};", quote::account(account))]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_that_was_made_for_us_can_be_dropped_and_another_is_left_alone() {
        let ours = ["GRANT REPLICATION SLAVE, BINLOG MONITOR ON *.* TO `tailstock`@`10.%`"];
        assert_eq!(undo("tailstock@10.%", ours), ["DROP USER 'tailstock'@'10.%';"]);
        for more in ["GRANT ALL PRIVILEGES ON *.* TO `root`@`%`", "GRANT SUPER ON *.* TO `a`@`%`"] {
            assert!(undo("root@%", [more]).is_empty());
        }
    }
}
