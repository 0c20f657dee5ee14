//! The schemas describe what is sent: they take it, and nothing that differs from it.

use jsonschema::{Draft, Validator};
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use tailstock::sink::ControlKind;
use tailstock::stock::encode::{
    CloudEvents, Header, Rejection, Remark, asyncapi, control_value, dead_letter_value, json_schema,
};
use tailstock::stock::{SellerId, SourceName};

use super::any;
use super::feed::{Feed, steps};

/// A validator of one of the document's schemas; references lead into the document.
fn schema(name: &str) -> Validator {
    let mut document = json!({ "$ref": format!("#/components/schemas/{name}") });
    document["components"] = asyncapi()["components"].clone();
    jsonschema::options().with_draft(Draft::Draft7).build(&document).unwrap()
}

/// The golden events, each below its record key.
fn golden_events() -> Vec<(&'static str, Value)> {
    let lines: Vec<&str> = include_str!("../golden/events.jsonl").lines().collect();
    lines.chunks(2).map(|pair| (pair[0], serde_json::from_str(pair[1]).unwrap())).collect()
}

fn golden_remarks(kind: &str) -> Vec<Value> {
    let lines = include_str!("../golden/remarks.jsonl").lines();
    let values = lines.map(|line| serde_json::from_str::<Value>(line).unwrap());
    values.filter(|value| value["schema"] == kind).collect()
}

fn refused(validator: &Validator, value: &Value) -> Vec<String> {
    validator.iter_errors(value).map(|error| format!("{error} in {value}")).collect()
}

/// Everything that differs from `value` by one member more, one of the outer ones less, or a number
/// in place of a text. What a row or its columns are called is the seller's.
fn mutations(value: &Value) -> Vec<Value> {
    let mut found = Vec::new();
    let mut paths = vec![String::new()];
    while let Some(path) = paths.pop() {
        let part = value.pointer(&path).unwrap();
        let mut change = |with: Value| {
            let mut other = value.clone();
            *other.pointer_mut(&path).unwrap() = with;
            found.push(other);
        };
        if part.is_string() {
            change(json!(7));
        }
        let Some(members) = part.as_object().filter(|_| path != "/row") else { continue };
        let mut more = members.clone();
        more.insert("unheard_of".to_owned(), json!("x"));
        change(more.into());
        paths.extend(members.keys().map(|name| format!("{path}/{name}")));
    }
    found
}

fn without(value: &Value, member: &str) -> Value {
    let mut less = value.clone();
    less.as_object_mut().unwrap().remove(member).unwrap();
    less
}

#[test]
fn the_schemas_are_schemas() {
    assert!(jsonschema::draft202012::meta::is_valid(&json_schema()));
    for (name, schema) in asyncapi()["components"]["schemas"].as_object().unwrap() {
        assert!(jsonschema::draft7::meta::is_valid(schema), "{name}");
    }
}

#[test]
fn golden_events_are_taken_and_every_change_of_one_is_refused() {
    let of_events = jsonschema::draft202012::new(&json_schema()).unwrap();
    let always = json_schema()["required"].as_array().unwrap().clone();
    for validator in [of_events, schema("event")] {
        for (_, event) in golden_events() {
            assert_eq!(refused(&validator, &event), [""; 0]);
            for changed in mutations(&event) {
                assert!(!validator.is_valid(&changed), "{changed}");
            }
            for member in always.iter().map(|name| name.as_str().unwrap()) {
                assert!(!validator.is_valid(&without(&event, member)), "{member}");
            }
        }
    }
}

#[test]
fn only_levels_and_tombstones_are_on_the_compacted_topic() {
    let (level, tombstone) = (schema("level"), schema("tombstone"));
    for (_, event) in golden_events() {
        assert_eq!(level.is_valid(&event), event["kind"] == "level", "{event}");
        assert!(!tombstone.is_valid(&event));
    }
    assert!(tombstone.is_valid(&Value::Null) && !level.is_valid(&Value::Null));
}

#[test]
fn golden_remarks_are_taken_and_every_change_of_one_is_refused() {
    for (kind, name) in [("stock-control/1", "control"), ("stock-dlq/1", "deadLetter")] {
        let (validator, golden) = (schema(name), golden_remarks(kind));
        assert!(golden.len() > 1);
        for value in golden {
            assert_eq!(refused(&validator, &value), [""; 0]);
            let less = value.as_object().unwrap().keys().map(|member| without(&value, member));
            for changed in mutations(&value).into_iter().chain(less) {
                assert!(!validator.is_valid(&changed), "{changed}");
            }
        }
    }
}

#[test]
fn every_kind_of_control_record_is_described() {
    use ControlKind::{
        EpochBumped, Gap, SchemaChanged, ScopeCleared, SnapshotCompleted, SnapshotStarted,
    };
    // A kind that is not in the list fails to compile here.
    let known = |kind| match kind {
        Gap | EpochBumped | ScopeCleared | SchemaChanged | SnapshotStarted | SnapshotCompleted => {
            kind.as_str()
        }
    };
    let kinds = [Gap, EpochBumped, ScopeCleared, SchemaChanged, SnapshotStarted, SnapshotCompleted]
        .map(known);
    let document = asyncapi();
    let described = &document["components"]["schemas"]["control"];
    assert_eq!(described["properties"]["kind"]["enum"], json!(kinds));
    let golden = golden_remarks("stock-control/1");
    assert!(kinds.iter().all(|kind| golden.iter().any(|value| value["kind"] == *kind)));
}

#[test]
fn record_keys_are_as_described() {
    let (record, source) = (schema("recordKey"), schema("sourceKey"));
    for (key, _) in golden_events() {
        assert!(record.is_valid(&json!(key)) && !source.is_valid(&json!(key)), "{key}");
    }
    for key in ["acme/main", "a%2Fb/%C3%A9", "/"] {
        assert!(source.is_valid(&json!(key)) && !record.is_valid(&json!(key)), "{key}");
    }
    for key in ["", "acme", "acme/main/é/w1", "acme/main/%2f/w1", "a/b/c/d/e/f", "a/b/c"] {
        assert!(!source.is_valid(&json!(key)) && !record.is_valid(&json!(key)), "{key}");
    }
}

/// Headers as the document describes them: an object.
fn object<'a>(headers: impl Iterator<Item = Header<'a>>) -> Value {
    let text = |value: &[u8]| Value::from(std::str::from_utf8(value).unwrap());
    let members = headers.map(|(name, value)| (name.to_owned(), text(&value)));
    Value::Object(members.collect::<Map<_, _>>())
}

/// None at all, or all of them: `optional` may be away.
fn assert_described(name: &str, headers: &Value, optional: &str) {
    let validator = schema(name);
    assert!(validator.is_valid(&json!({})));
    assert_eq!(refused(&validator, headers), [""; 0]);
    for member in headers.as_object().unwrap().keys() {
        assert_eq!(validator.is_valid(&without(headers, member)), member == optional, "{member}");
    }
    for changed in mutations(headers) {
        assert!(!validator.is_valid(&changed), "{changed}");
    }
}

#[test]
fn the_headers_are_those_of_cloudevents_and_as_described() {
    let (seller, source) = (SellerId::new("a/b"), SourceName::new("é"));
    let headers = CloudEvents::new(&seller, &source);
    let feed = Feed::of(&[
        super::feed::Step::Set { row: 0, on_hand: 7 },
        super::feed::Step::Remove { row: 0 },
    ]);
    for (entry, kind) in feed.records.iter().zip(["level", "removed"]) {
        let found = object(headers.event(&feed.records, entry));
        let event: Value = serde_json::from_str(feed.records.value(entry)).unwrap();
        let expected = json!({
            "ce_specversion": "1.0", "ce_id": event["id"], "ce_source": "/tailstock/a%2Fb/%C3%A9",
            "ce_type": format!("stock.{kind}.v1"), "ce_subject": "acme/main/0/w1",
            "ce_time": event["committed_at"], "ce_sequence": event["version"],
            "content-type": "application/json",
        });
        assert_eq!(found, expected);
        assert_described("eventHeaders", &found, "ce_time");
        let tombstone = object(headers.tombstone(&feed.records, entry));
        assert_eq!(tombstone, without(&expected, "content-type"));
        assert_eq!(schema("tombstoneHeaders").is_valid(&tombstone), kind == "removed");
    }
    let at = 1_700_000_000_000_001;
    let value = control_value(&seller, &source, "gap", at, r#"{"from":"1","reason":"lost"}"#);
    let found = object(headers.remark(Remark::Control("gap"), at, &value));
    assert_eq!(found["ce_type"], "stock.control.gap.v1");
    assert_eq!(
        (&found["ce_subject"], &found["ce_time"]),
        (&json!("a%2Fb/%C3%A9"), &json!("2023-11-14T22:13:20.000001Z"),)
    );
    assert_described("controlHeaders", &found, "");
    let rejection = Rejection { table: "t", position: "1", reason: "r", at_us: at, row: "{}" };
    let value = dead_letter_value(&seller, &source, &rejection);
    let other = object(headers.remark(Remark::DeadLetter, at, &value));
    assert_described("deadLetterHeaders", &other, "");
    assert_ne!(found["ce_id"], other["ce_id"]);
    assert_eq!(other, object(headers.remark(Remark::DeadLetter, at, &value)));
}

proptest! {
    #[test]
    fn whatever_a_shop_does_its_events_are_as_described(steps in steps(1..40)) {
        let feed = Feed::of(&steps);
        let (event, key) = (schema("event"), schema("recordKey"));
        for (name, value) in feed.published() {
            let value: Value = serde_json::from_slice(value).unwrap();
            prop_assert_eq!(refused(&event, &value), [""; 0]);
            prop_assert!(key.is_valid(&json!(name)));
        }
    }

    #[test]
    fn an_event_of_any_shape_is_as_described_and_so_are_its_headers(records in any::events()) {
        let headers = CloudEvents::new(&SellerId::new("acme"), &SourceName::new("main"));
        let of_events = jsonschema::draft202012::new(&json_schema()).unwrap();
        for entry in records.iter() {
            let value: Value = serde_json::from_str(records.value(entry)).unwrap();
            prop_assert_eq!(refused(&of_events, &value), [""; 0]);
            prop_assert_eq!(refused(&schema("event"), &value), [""; 0]);
            prop_assert_eq!(schema("level").is_valid(&value), value["kind"] == "level");
            prop_assert!(schema("recordKey").is_valid(&json!(records.key(entry))));
            let found = object(headers.event(&records, entry));
            prop_assert_eq!(refused(&schema("eventHeaders"), &found), [""; 0]);
        }
    }
}
