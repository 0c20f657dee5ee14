use serde_json::{Value, json};

use super::schema::{json_schema, object, timestamp};

/// The partitions with which the topics of events and levels are created unless told otherwise.
const PARTITIONS: u32 = 1;
const KAFKA_BINDING: &str = "0.5.0";

/// The AsyncAPI 3.0 document of what is sent to Kafka: topics, record keys, values and headers,
/// seen from the program, which sends all of it.
pub fn asyncapi() -> Value {
    let about = "What tailstock sends to Kafka, in transactions: read with \
                 `isolation.level=read_committed`. The topics `tailstock.checkpoints` and \
                 `tailstock.rows` are its own memory and no part of this contract. Topics can have \
                 other names and partition counts; these are the defaults.";
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "tailstock",
            "version": env!("CARGO_PKG_VERSION"),
            "description": about,
            "license": { "name": env!("CARGO_PKG_LICENSE") },
        },
        "defaultContentType": "application/json",
        "channels": channels(),
        "operations": {
            "sendEvents": send("events"),
            "sendLevels": send("levels"),
            "sendControl": send("control"),
            "sendDeadLetters": send("deadLetters"),
        },
        "components": { "messages": messages(), "schemas": schemas() },
    })
}

fn channels() -> Value {
    json!({
        "events": channel(
            "stock.events.v1", "delete", &["event"],
            "Every event. The events of an item are in one partition, in order: murmur2 of \
             `seller`, a zero byte and `item.id`.",
        ),
        "levels": channel(
            "stock.levels.v1", "compact", &["level", "tombstone"],
            "The last level of each key, and nothing of a key that was removed; partitioned like \
             the events. Absent when the sink keeps no levels.",
        ),
        "control": channel(
            "stock.control.v1", "delete", &["control"],
            "What concerns a source as a whole. In one partition, or by murmur2 of `seller`.",
        ),
        "deadLetters": channel(
            "stock.dlq.v1", "delete", &["deadLetter"],
            "Rows that could not be mapped. In one partition, or by murmur2 of `seller`.",
        ),
    })
}

fn channel(topic: &str, cleanup: &str, messages: &[&str], about: &str) -> Value {
    let message = |name: &&str| ((*name).to_owned(), reference("messages", name));
    let messages: serde_json::Map<String, Value> = messages.iter().map(message).collect();
    let of_items = messages.contains_key("event") || messages.contains_key("level");
    json!({
        "address": topic,
        "description": about,
        "messages": messages,
        "bindings": { "kafka": {
            "partitions": if of_items { PARTITIONS } else { 1 },
            "topicConfiguration": { "cleanup.policy": [cleanup] },
            "bindingVersion": KAFKA_BINDING,
        } },
    })
}

fn send(channel: &str) -> Value {
    json!({ "action": "send", "channel": { "$ref": format!("#/channels/{channel}") } })
}

fn messages() -> Value {
    json!({
        "event": message("event", "recordKey", "eventHeaders", "An event of any kind."),
        "level": message("level", "recordKey", "eventHeaders", "The state of a key."),
        "tombstone": message(
            "tombstone", "recordKey", "tombstoneHeaders",
            "No value: the key was removed. The event says why.",
        ),
        "control": message(
            "control", "sourceKey", "controlHeaders", "Something about a source as a whole.",
        ),
        "deadLetter": message(
            "deadLetter", "sourceKey", "deadLetterHeaders", "A row that could not be mapped.",
        ),
    })
}

fn message(payload: &str, key: &str, headers: &str, about: &str) -> Value {
    json!({
        "name": payload,
        "summary": about,
        "contentType": "application/json",
        "payload": reference("schemas", payload),
        "headers": reference("schemas", headers),
        "bindings": { "kafka": {
            "key": reference("schemas", key),
            "bindingVersion": KAFKA_BINDING,
        } },
    })
}

fn reference(kind: &str, name: &str) -> Value {
    json!({ "$ref": format!("#/components/{kind}/{name}") })
}

fn schemas() -> Value {
    let mut event = json_schema();
    let members = event.as_object_mut().expect("a schema is an object");
    // Here the document says which JSON Schema applies.
    members.remove("$schema");
    let kind =
        |kind: &str| json!({ "type": "string", "pattern": format!("^stock\\.{kind}\\.v1$") });
    let level = json!({ "properties": { "kind": { "const": "level" } } });
    json!({
        "event": event,
        "level": { "allOf": [reference("schemas", "event"), level] },
        "tombstone": { "type": "null" },
        "control": control(),
        "deadLetter": object(
            &["schema", "seller", "source", "table", "position", "reason", "at", "row"],
            json!({
                "schema": { "const": "stock-dlq/1" },
                "seller": text(), "source": text(), "table": text(), "position": text(),
                "reason": text(),
                "at": timestamp(),
                "row": { "type": "object", "description": "the mapped columns, and no others" },
            }),
        ),
        "recordKey": key("seller/source/item.id/location.id[/bucket]", "(/PART){3,4}"),
        "sourceKey": key("seller/source", "/PART"),
        "eventHeaders": headers(&kind("(level|movement|removed)"), true, true),
        "tombstoneHeaders": headers(&kind("removed"), true, false),
        "controlHeaders": headers(&kind("control\\.[a-z_]+"), false, true),
        "deadLetterHeaders": headers(&kind("dlq"), false, true),
    })
}

fn control() -> Value {
    let details = [
        (
            "gap",
            object(
                &["from", "reason"],
                json!({ "from": text(), "to": text(), "table": text(), "reason": text() }),
            ),
        ),
        (
            "epoch_bumped",
            object(
                &["epoch", "reason"],
                json!({ "epoch": { "type": "integer", "minimum": 1 }, "reason": text() }),
            ),
        ),
        (
            "scope_cleared",
            object(
                &["table", "position", "cause"],
                json!({
                    "table": text(), "position": text(),
                    "cause": { "enum": ["truncate", "replaced"] },
                }),
            ),
        ),
        (
            "schema_changed",
            object(
                &["table", "columns"],
                json!({ "table": text(), "columns": { "type": "array", "items": text() } }),
            ),
        ),
        ("snapshot_started", snapshot_started()),
        ("snapshot_completed", snapshot_completed()),
    ];
    let kinds: Vec<&str> = details.iter().map(|(kind, _)| *kind).collect();
    let rule = |(kind, detail): &(&str, Value)| {
        json!({
            "if": { "properties": { "kind": { "const": kind } } },
            "then": { "properties": { "detail": detail } },
        })
    };
    let mut schema = object(
        &["schema", "kind", "seller", "source", "at", "detail"],
        json!({
            "schema": { "const": "stock-control/1" },
            "kind": { "enum": kinds },
            "seller": text(), "source": text(),
            "at": timestamp(),
            "detail": { "type": "object" },
        }),
    );
    schema["allOf"] = details.iter().map(rule).collect();
    schema
}

fn snapshot_started() -> Value {
    object(
        &["table", "position", "reason"],
        json!({
            "table": text(), "position": text(), "reason": text(), "estimated_rows": count(),
        }),
    )
}

fn snapshot_completed() -> Value {
    let sum = json!({ "type": "string", "pattern": "^-?(0|[1-9][0-9]*)(\\.[0-9]{0,8}[1-9])?$" });
    let sums = json!({ "on_hand": sum, "available": sum, "reserved": sum, "incoming": sum });
    object(
        &["table", "position", "rows", "levels", "removed"],
        json!({
            "table": text(), "position": text(),
            "rows": count(), "levels": count(), "removed": count(),
            "sums": object(&[], sums),
        }),
    )
}

/// A record key; in `rest`, what follows the seller, `PART` stands for a percent-encoded text.
fn key(about: &str, rest: &str) -> Value {
    const PART: &str = "([A-Za-z0-9._~-]|%[0-9A-F]{2})*";
    json!({
        "type": "string",
        "description": format!("`{about}`, every part percent-encoded"),
        "pattern": format!("^PART{rest}$").replace("PART", PART),
    })
}

/// The headers of a record: none, or those of a CloudEvent.
fn headers(kind: &Value, is_event: bool, has_value: bool) -> Value {
    let mut properties = json!({
        "ce_specversion": { "const": "1.0" },
        "ce_id": { "type": "string", "pattern": "^[0-9a-f]{32}$" },
        "ce_source": { "type": "string", "pattern": "^/tailstock/" },
        "ce_type": kind,
        "ce_subject": { "type": "string", "description": "the record key" },
        "ce_time": timestamp(),
    });
    let mut required = vec!["ce_specversion", "ce_id", "ce_source", "ce_type", "ce_subject"];
    if is_event {
        properties["ce_sequence"] = json!({ "type": "string", "description": "`version`" });
        required.push("ce_sequence");
    } else {
        required.push("ce_time");
    }
    if has_value {
        properties["content-type"] = json!({ "const": "application/json" });
        required.push("content-type");
    }
    let mut schema = object(&[], properties);
    schema["description"] = json!(
        "None, unless the sink says `headers = \"cloudevents\"`: then the attributes of \
         CloudEvents 1.0 in binary mode."
    );
    schema["if"] = json!({ "minProperties": 1 });
    schema["then"] = json!({ "required": required });
    schema
}

fn text() -> Value {
    json!({ "type": "string" })
}

fn count() -> Value {
    json!({ "type": "integer", "minimum": 0 })
}
