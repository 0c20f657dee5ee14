use super::json::member;
use super::time::write_timestamp;
use crate::stock::{SellerId, SourceName, key};

/// A row that could not be mapped, as its dead letter tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rejection<'a> {
    /// `schema.table`.
    pub table: &'a str,
    /// Its transaction's place in the log.
    pub position: &'a str,
    /// Why, for people.
    pub reason: &'a str,
    /// When it was found, microseconds since 1970 UTC.
    pub at_us: i64,
    /// The mapped columns: the text of a JSON object, which is taken over as it is.
    pub row: &'a str,
}

/// The record key of what is said about a source rather than about an item: `seller/source`,
/// percent-encoded as in the keys of events.
pub fn source_key(seller: &SellerId, source: &SourceName) -> String {
    let mut key = String::new();
    key::write_source(seller.as_str(), source.as_str(), &mut key);
    key
}

/// The value of a control record, one JSON object with its members always in the same order. `kind`
/// is its word, `at_us` are microseconds since 1970 UTC, and `detail` is the text of a JSON object,
/// which is taken over as it is.
pub fn control_value(
    seller: &SellerId,
    source: &SourceName,
    kind: &str,
    at_us: i64,
    detail: &str,
) -> String {
    let mut out = String::with_capacity(192 + detail.len());
    member(&mut out, "{\"schema\":\"stock-control/1\",\"kind\":\"", kind);
    member(&mut out, ",\"seller\":\"", seller.as_str());
    member(&mut out, ",\"source\":\"", source.as_str());
    at(at_us, &mut out);
    out.push_str(",\"detail\":");
    object(detail, &mut out);
    out
}

/// The value of a dead letter, one JSON object with its members always in the same order.
pub fn dead_letter_value(
    seller: &SellerId,
    source: &SourceName,
    rejection: &Rejection<'_>,
) -> String {
    let mut out = String::with_capacity(256 + rejection.reason.len() + rejection.row.len());
    member(&mut out, "{\"schema\":\"stock-dlq/1\",\"seller\":\"", seller.as_str());
    member(&mut out, ",\"source\":\"", source.as_str());
    member(&mut out, ",\"table\":\"", rejection.table);
    member(&mut out, ",\"position\":\"", rejection.position);
    member(&mut out, ",\"reason\":\"", rejection.reason);
    at(rejection.at_us, &mut out);
    out.push_str(",\"row\":");
    object(rejection.row, &mut out);
    out
}

fn at(at_us: i64, out: &mut String) {
    out.push_str(",\"at\":\"");
    write_timestamp(at_us, out);
    out.push('"');
}

/// The last member, and the end of the whole.
fn object(text: &str, out: &mut String) {
    out.push_str(text);
    out.push('}');
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    const AT: i64 = 1_700_000_000_000_001;

    fn control(kind: &str, detail: &str) -> String {
        control_value(&SellerId::new("acme"), &SourceName::new("main"), kind, AT, detail)
    }

    fn rejection() -> Rejection<'static> {
        Rejection {
            table: "public.stock",
            position: "16/B374D848",
            reason: "the location is NULL:\n\"warehouse\"",
            at_us: AT,
            row: r#"{"product_id":"42","warehouse":null}"#,
        }
    }

    /// What the golden file shows, one a line: each kind in the words of the loop that reports it.
    fn remarks() -> Vec<String> {
        let odd = (SellerId::new("a/\"b\""), SourceName::new("é\u{1}"));
        vec![
            control("gap", r#"{"from":"16/B374D848","to":"16/B3800000","reason":"log is gone"}"#),
            control("gap", r#"{"table":"public.stock","from":"16/B374D848","reason":"as SQL"}"#),
            control("epoch_bumped", r#"{"epoch":2,"reason":"another server"}"#),
            control(
                "scope_cleared",
                r#"{"table":"public.stock","position":"16/B374D848","cause":"truncate"}"#,
            ),
            control("schema_changed", r#"{"table":"public.stock","columns":["id","qty"]}"#),
            control(
                "snapshot_started",
                concat!(
                    r#"{"table":"public.stock","position":"16/B374D848","reason":"gap","#,
                    r#""estimated_rows":9}"#
                ),
            ),
            control(
                "snapshot_completed",
                concat!(
                    r#"{"table":"public.stock","position":"16/B3800000","rows":9,"levels":8,"#,
                    r#""removed":1,"sums":{"on_hand":"12.5","available":"-3"}}"#
                ),
            ),
            control_value(&odd.0, &odd.1, "gap", -1, r#"{"from":"","reason":""}"#),
            dead_letter_value(&SellerId::new("acme"), &SourceName::new("main"), &rejection()),
            dead_letter_value(&odd.0, &odd.1, &Rejection { row: "{}", ..rejection() }),
        ]
    }

    #[test]
    fn remarks_are_the_bytes_of_the_golden_file() {
        let lines: String = remarks().into_iter().map(|line| line + "\n").collect();
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/remarks.jsonl");
        let golden = std::fs::read_to_string(path).unwrap_or_default();
        if golden != lines && std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(path, &lines).unwrap();
        }
        for (found, wanted) in lines.lines().zip(golden.lines()) {
            assert_eq!(found, wanted, "run with UPDATE_GOLDEN=1 only if the contract is to change");
        }
        assert_eq!(lines.lines().count(), golden.lines().count());
    }

    #[test]
    fn the_key_is_how_the_keys_of_the_sources_events_begin() {
        let key = source_key(&SellerId::new("a/b"), &SourceName::new("é"));
        assert_eq!(key, "a%2Fb/%C3%A9");
    }

    proptest! {
        #[test]
        fn any_text_survives_in_a_remark(texts in prop::collection::vec(".*", 6)) {
            let (seller, source) = (SellerId::new(&texts[0]), SourceName::new(&texts[1]));
            let object = json!({ &texts[2]: &texts[3] }).to_string();
            let value = control_value(&seller, &source, &texts[2], AT, &object);
            let value: Value = serde_json::from_str(&value).unwrap();
            prop_assert_eq!(value, json!({
                "schema": "stock-control/1", "kind": texts[2], "seller": texts[0],
                "source": texts[1], "at": "2023-11-14T22:13:20.000001Z",
                "detail": { &texts[2]: &texts[3] },
            }));
            let rejection = Rejection {
                table: &texts[3],
                position: &texts[4],
                reason: &texts[5],
                at_us: AT,
                row: &object,
            };
            let value = dead_letter_value(&seller, &source, &rejection);
            let value: Value = serde_json::from_str(&value).unwrap();
            prop_assert_eq!(value, json!({
                "schema": "stock-dlq/1", "seller": texts[0], "source": texts[1],
                "table": texts[3], "position": texts[4], "reason": texts[5],
                "at": "2023-11-14T22:13:20.000001Z", "row": { &texts[2]: &texts[3] },
            }));
        }
    }
}
