//! The AsyncAPI document has the shape that AsyncAPI 3.0 and its Kafka bindings ask for.

use serde_json::{Value, json};
use tailstock::config::KafkaConfig;
use tailstock::stock::encode::asyncapi;

/// An object with these members, `required` among them, and no others.
fn object(required: &[&str], properties: Value) -> Value {
    json!({
        "type": "object", "required": required, "properties": properties,
        "additionalProperties": false,
    })
}

fn map_of(value: Value) -> Value {
    json!({
        "type": "object", "additionalProperties": value, "minProperties": 1,
        "propertyNames": { "pattern": "^[A-Za-z0-9._-]+$" },
    })
}

fn binding(properties: Value) -> Value {
    let mut kafka = object(&["bindingVersion"], properties);
    kafka["properties"]["bindingVersion"] = json!({ "const": "0.5.0" });
    object(&["kafka"], json!({ "kafka": kafka }))
}

/// What of AsyncAPI 3.0 the document uses.
fn specification() -> Value {
    let text = json!({ "type": "string", "minLength": 1 });
    let reference = object(&["$ref"], json!({ "$ref": { "type": "string", "pattern": "^#/" } }));
    let number = json!({ "type": "integer", "minimum": 1 });
    let policy = json!({ "type": "array", "items": { "enum": ["delete", "compact"] } });
    let topic = object(&[], json!({ "cleanup.policy": policy }));
    let channel = json!({
        "address": text, "description": text, "messages": map_of(reference.clone()),
        "bindings": binding(json!({ "partitions": number, "topicConfiguration": topic })),
    });
    let message = json!({
        "name": text, "summary": text, "contentType": text, "payload": reference,
        "headers": reference, "bindings": binding(json!({ "key": reference })),
    });
    let operation = json!({ "action": { "enum": ["send", "receive"] }, "channel": reference });
    let license = object(&["name"], json!({ "name": text }));
    object(
        &["asyncapi", "info"],
        json!({
            "asyncapi": { "const": "3.0.0" },
            "info": object(
                &["title", "version"],
                json!({ "title": text, "version": text, "description": text, "license": license }),
            ),
            "defaultContentType": { "const": "application/json" },
            "channels": map_of(object(&["address", "messages"], channel)),
            "operations": map_of(object(&["action", "channel"], operation)),
            "components": object(&[], json!({
                "messages": map_of(object(&["payload"], message)),
                "schemas": map_of(json!({ "type": "object" })),
            })),
        }),
    )
}

/// Every reference in the document.
fn references(value: &Value) -> Vec<&str> {
    let members = value.as_object().into_iter().flatten();
    let own = value.get("$ref").and_then(Value::as_str);
    let inner = members.map(|(_, value)| value).chain(value.as_array().into_iter().flatten());
    own.into_iter().chain(inner.flat_map(references)).collect()
}

#[test]
fn the_document_has_the_shape_of_asyncapi() {
    let document = asyncapi();
    let errors = jsonschema::draft7::new(&specification()).unwrap();
    let errors: Vec<String> = errors.iter_errors(&document).map(|e| e.to_string()).collect();
    assert_eq!(errors, [""; 0]);
    let references = references(&document);
    assert!(references.len() > 20);
    for reference in references {
        assert!(document.pointer(&reference[1..]).is_some(), "{reference}");
    }
}

#[test]
fn every_topic_is_described_once_and_everything_described_is_used() {
    let document = asyncapi();
    let members = |pointer: &str| document.pointer(pointer).unwrap().as_object().unwrap();
    let topic = |channel: &Value| {
        let kafka = &channel["bindings"]["kafka"];
        let policy = &kafka["topicConfiguration"]["cleanup.policy"];
        json!([channel["address"], kafka["partitions"], policy])
    };
    let mut topics: Vec<Value> = members("/channels").values().map(topic).collect();
    topics.sort_unstable_by_key(|topic| topic[0].to_string());
    let partitions = KafkaConfig::PARTITIONS_DEFAULT;
    let expected = json!([
        ["stock.control.v1", 1, ["delete"]],
        ["stock.dlq.v1", 1, ["delete"]],
        ["stock.events.v1", partitions, ["delete"]],
        ["stock.levels.v1", partitions, ["compact"]],
    ]);
    assert_eq!(Value::from(topics), expected);
    let used = references(&document);
    for part in ["/channels", "/components/messages", "/components/schemas"] {
        for name in members(part).keys() {
            assert!(used.contains(&format!("#{part}/{name}").as_str()), "{part}/{name}");
        }
    }
    assert!(members("/operations").values().all(|operation| operation["action"] == "send"));
}
