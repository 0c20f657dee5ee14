use serde_json::{Value, json};

use crate::stock::QualityFlag;

/// The JSON Schema (2020-12) of an event, describing exactly what is sent.
pub fn json_schema() -> Value {
    let text = json!({ "type": "string" });
    let truth = json!({ "type": "boolean" });
    let decimal = json!({
        "type": "string",
        "description": "canonical decimal: no exponent, no +, no trailing zeros, scale at most 9",
        "pattern": "^-?(0|[1-9][0-9]*)(\\.[0-9]{0,8}[1-9])?$",
    });
    let flags: Vec<&str> = QualityFlag::ALL.iter().map(|flag| flag.as_str()).collect();
    let properties = json!({
        "schema": { "const": "stock/1" },
        "id": { "type": "string", "pattern": "^[0-9a-f]{32}$" },
        "kind": { "enum": ["level", "movement", "removed"] },
        "successor": { "type": "string", "description": "record key the row has now" },
        "capture": { "enum": ["stream", "snapshot", "poll", "reconcile"] },
        "seller": text, "source": text,
        "item": object(&["id"], json!({
            "id": text, "sku": text,
            "sku_state": { "enum": ["resolved", "missing", "ambiguous", "pending"] },
            "gtin": text, "parent": text,
        })),
        "location": object(&["id"], json!({ "id": text, "kind": text })),
        "bucket": text,
        "quantity": object(&[], json!({
            "on_hand": decimal, "available": decimal, "reserved": decimal, "incoming": decimal,
        })),
        "measure": { "enum": ["on_hand", "available", "reserved", "incoming"] },
        "unit": text,
        "selling": filled(object(&[], json!({ "tracked": truth, "active": truth }))),
        "change": filled(object(&[], json!({
            "delta": decimal, "previous": decimal,
            "basis": { "enum": ["before_image", "cache", "source_ledger"] },
            "rows": { "type": "integer", "minimum": 2 },
        }))),
        "version": { "type": "string", "pattern": "^[0-9a-f]{8}\\.[0-9a-f]{16}\\.[0-9a-f]{8}$" },
        "committed_at": timestamp(),
        "origin": object(
            &["engine", "database", "table", "operation", "position", "row", "mapping"],
            json!({
                "engine": text, "database": text, "table": text,
                "operation": { "enum": ["insert", "update", "delete", "truncate", "read"] },
                "transaction": text, "position": text,
                "row": { "type": "integer", "minimum": 0 }, "mapping": text,
            }),
        ),
        "quality": {
            "type": "array", "minItems": 1, "uniqueItems": true, "items": { "enum": flags },
        },
    });
    let required = [
        "schema", "id", "kind", "capture", "seller", "source", "item", "location", "unit",
        "version", "origin",
    ];
    let mut schema = object(&required, properties);
    schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    schema["title"] = json!("stock event");
    // The members that depend on others; `false` allows nothing.
    schema["allOf"] = json!([
        rule("kind", "level", &["quantity"], &["successor"]),
        rule("kind", "movement", &["change"], &["successor", "quantity", "measure"]),
        rule("kind", "removed", &[], &["quantity", "measure", "selling"]),
        rule("capture", "stream", &["committed_at"], &[]),
        rule("capture", "snapshot", &["committed_at"], &[]),
        rule("capture", "reconcile", &["committed_at"], &[]),
    ]);
    schema
}

/// RFC 3339 in UTC with six fractional digits.
pub(super) fn timestamp() -> Value {
    json!({
        "type": "string", "format": "date-time",
        "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{6}Z$",
    })
}

/// An object with these members and no others.
pub(super) fn object(required: &[&str], properties: Value) -> Value {
    json!({
        "type": "object",
        "required": required,
        "properties": properties,
        "additionalProperties": false,
    })
}

/// An object that is left out rather than empty.
fn filled(mut object: Value) -> Value {
    object["minProperties"] = json!(1);
    object
}

/// What an event must and must not have when one of its members says `word`.
fn rule(member: &str, word: &str, required: &[&str], absent: &[&str]) -> Value {
    let never = |name: &&str| ((*name).to_owned(), json!(false));
    let absent: serde_json::Map<String, Value> = absent.iter().map(never).collect();
    json!({
        "if": { "properties": { member: { "const": word } } },
        "then": { "required": required, "properties": absent },
    })
}
