//! What it proves: what is described is what is sent. Real records of every topic are held against
//! the document that `tailstock schema` prints.

use std::time::Duration;

use serde_json::{Map, Value, json};
use testbed::PgVersion;

use crate::support::{Record, Shop, Tailstock, Topics, Workspace, shared_broker};

const LIMIT: Duration = Duration::from_secs(60);

/// What the document says of one of its parts.
fn validator(document: &Value, name: &str) -> jsonschema::Validator {
    let mut schema = json!({ "$ref": format!("#/components/schemas/{name}") });
    schema["components"] = document["components"].clone();
    jsonschema::draft202012::new(&schema).unwrap()
}

fn headers(record: &Record) -> Value {
    let pair = |(name, value): &(String, String)| (name.clone(), Value::from(value.as_str()));
    Value::Object(record.headers.iter().map(pair).collect::<Map<String, Value>>())
}

/// Holds every record against the document, and tells of each its topic and what it says.
fn described(topics: &Topics) -> Vec<(&'static str, Option<String>)> {
    let schema = std::process::Command::new(env!("CARGO_BIN_EXE_tailstock"))
        .args(["schema", "--format", "asyncapi"])
        .output()
        .unwrap();
    let document: Value = serde_json::from_slice(&schema.stdout).unwrap();
    let mut seen = Vec::new();
    for (topic, value, key, header) in [
        ("stock.events.v1", "event", "recordKey", "eventHeaders"),
        ("stock.levels.v1", "level", "recordKey", "eventHeaders"),
        ("stock.control.v1", "control", "sourceKey", "controlHeaders"),
        ("stock.dlq.v1", "deadLetter", "sourceKey", "deadLetterHeaders"),
    ] {
        for record in topics.committed(topic) {
            let is_valid = |name: &str, value: &Value| {
                let validator = validator(&document, name);
                let errors: Vec<String> =
                    validator.iter_errors(value).map(|error| error.to_string()).collect();
                assert!(errors.is_empty(), "{topic}: {errors:?} in {value}");
            };
            is_valid(key, &Value::from(record.key.as_str()));
            match &record.value {
                Some(_) => {
                    is_valid(value, &record.json());
                    is_valid(header, &headers(&record));
                }
                None => {
                    is_valid("tombstone", &Value::Null);
                    is_valid("tombstoneHeaders", &headers(&record));
                }
            }
            let kind = record.value.as_ref().map(|_| record.json()["kind"].clone());
            seen.push((topic, kind.map(|kind| kind.as_str().unwrap_or("letter").to_owned())));
        }
    }
    seen
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_are_exactly_as_the_printed_document_describes_them() {
    let test = "records_are_exactly_as_described";
    let Some(kafka) = shared_broker(test).await else { return };
    let Some(shop) = Shop::start(PgVersion::V15, test).await else { return };
    shop.execute(
        "CREATE TABLE stock (item text PRIMARY KEY, qty text);
         CREATE PUBLICATION tailstock FOR TABLE stock;",
    )
    .await;
    let topics = Topics::new(&kafka.bootstrap());
    let mapping = "[[stock]]\ntable = \"public.stock\"\nitem = \"item\"\non_hand = \"qty\"\n\
                   coalesce = false\n";
    let main = topics.main_file("headers = \"cloudevents\"");
    let workspace = Workspace::new(&main, &shop.seller(mapping));
    let run = async || {
        let mut run = Tailstock::start(&workspace, &["run", "--until-current"]);
        assert!(run.wait(LIMIT).await.success(), "{}", run.log());
    };
    run().await;
    shop.execute(
        "INSERT INTO stock VALUES ('a', '1'), ('b', '2.50'), ('ö/ %', 'many'), ('', '4');
         UPDATE stock SET qty = '-7' WHERE item = 'a';
         UPDATE stock SET item = 'c' WHERE item = 'b';
         DELETE FROM stock WHERE item = 'a';",
    )
    .await;
    shop.execute("TRUNCATE stock").await;
    shop.execute("INSERT INTO stock VALUES ('d', '9')").await;
    run().await;

    let seen = described(&topics);
    for wanted in [
        ("stock.events.v1", Some("level")),
        ("stock.events.v1", Some("removed")),
        ("stock.levels.v1", Some("level")),
        ("stock.levels.v1", None),
        ("stock.control.v1", Some("scope_cleared")),
    ] {
        let wanted = (wanted.0, wanted.1.map(str::to_owned));
        assert!(seen.contains(&wanted), "{wanted:?} in {seen:?}");
    }
}
