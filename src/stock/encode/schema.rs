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
        "selling": object(&[], json!({ "tracked": truth, "active": truth })),
        "change": object(&[], json!({
            "delta": decimal, "previous": decimal,
            "basis": { "enum": ["before_image", "cache", "source_ledger"] },
            "rows": { "type": "integer", "minimum": 2 },
        })),
        "version": { "type": "string", "pattern": "^[0-9a-f]{8}\\.[0-9a-f]{16}\\.[0-9a-f]{8}$" },
        "committed_at": { "type": "string", "format": "date-time" },
        "origin": object(
            &["engine", "database", "table", "operation", "position", "row", "mapping"],
            json!({
                "engine": text, "database": text, "table": text,
                "operation": { "enum": ["insert", "update", "delete", "truncate"] },
                "transaction": text, "position": text,
                "row": { "type": "integer", "minimum": 0 }, "mapping": text,
            }),
        ),
        "quality": { "type": "array", "items": { "enum": flags }, "uniqueItems": true },
    });
    let required = [
        "schema", "id", "kind", "capture", "seller", "source", "item", "location", "unit",
        "version", "origin",
    ];
    let mut schema = object(&required, properties);
    schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    schema["title"] = json!("stock event");
    schema["allOf"] = json!([when("level", &["quantity"]), when("movement", &["change"]),]);
    schema
}

fn object(required: &[&str], properties: Value) -> Value {
    json!({
        "type": "object",
        "required": required,
        "properties": properties,
        "additionalProperties": false,
    })
}

fn when(kind: &str, required: &[&str]) -> Value {
    json!({
        "if": { "properties": { "kind": { "const": kind } } },
        "then": { "required": required },
    })
}
