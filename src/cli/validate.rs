use std::fmt::Write as _;

use serde_json::json;

use super::{Exit, Failure, print};
use crate::config::{Config, Problems, SellerConfig, SinkConfig};

/// Tells what the configuration says, or everything that is wrong with it.
pub(super) fn validate(loaded: Result<Config, Problems>, json: bool) -> Result<Exit, Failure> {
    match (loaded, json) {
        (Ok(config), false) => print(&summary(&config)),
        (Err(problems), false) => Err(problems.into()),
        (Ok(config), true) => print(&format!("{:#}\n", described(&config))),
        (Err(problems), true) => {
            print(&format!("{:#}\n", refused(&problems)))?;
            Ok(Exit::Usage)
        }
    }
}

fn summary(config: &Config) -> String {
    let mut text = format!("{} is right\n", config.file.display());
    let mut line = |name: &str, value: &dyn std::fmt::Display| {
        writeln!(text, "  {name:<8} {value}").expect("writing to memory does not fail");
    };
    line("name", &config.name);
    line("sink", &sink(&config.sink));
    match &config.http {
        Some(address) => line("http", &format!("http://{address}")),
        None => line("http", &"off"),
    }
    for seller in &config.sellers {
        line("seller", &format!("{} from {}", name(seller), seller.file.display()));
        for mapping in &seller.definitions {
            line("", &format!("  {} of table {}", mapping.name, mapping.table));
        }
    }
    text
}

fn sink(sink: &SinkConfig) -> String {
    match sink {
        SinkConfig::Sqlite(sqlite) => format!("sqlite in {}", sqlite.path.display()),
        SinkConfig::Kafka(kafka) => format!("kafka at {}", kafka.brokers),
        SinkConfig::Discard => "discard: nothing is kept".to_owned(),
    }
}

fn name(seller: &SellerConfig) -> String {
    format!("{}/{} ({})", seller.seller, seller.source.name, seller.source.kind)
}

fn described(config: &Config) -> serde_json::Value {
    let seller = |seller: &SellerConfig| {
        let tables: Vec<_> = seller.definitions.iter().map(|one| one.table.to_string()).collect();
        json!({
            "seller": seller.seller.as_str(),
            "source": seller.source.name.as_str(),
            "kind": seller.source.kind.to_string(),
            "file": seller.file.display().to_string(),
            "tables": tables,
        })
    };
    json!({
        "valid": true,
        "name": config.name,
        "sellers": config.sellers.iter().map(seller).collect::<Vec<_>>(),
        "problems": [],
    })
}

fn refused(problems: &Problems) -> serde_json::Value {
    let problem = |problem: &crate::config::Problem| {
        json!({
            "file": &*problem.place.file,
            "line": problem.place.line,
            "key": problem.place.key,
            "found": problem.found,
            "wanted": problem.wanted,
            "fix": problem.fix,
        })
    };
    let problems: Vec<_> = problems.0.iter().map(problem).collect();
    json!({ "valid": false, "problems": problems })
}
