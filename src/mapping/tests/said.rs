use super::*;

/// What events say, one line each.
pub(super) fn says(mapped: &Mapped) -> Vec<String> {
    let mut said: Vec<String> = mapped.records.values().map(said_of).collect();
    said.extend(mapped.rejected.iter().map(|rejected| format!("rejected: {}", rejected.reason)));
    said
}

fn said_of(value: &str) -> String {
    let event: serde_json::Value = serde_json::from_str(value).unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap_or("?").to_owned();
    let item = text(&event["item"]["id"]);
    let mut said = match event["kind"].as_str() {
        Some("removed") => format!("{item} gone"),
        Some("movement") => format!("{item} by {}", text(&event["change"]["delta"])),
        _ => format!("{item}={}", text(&event["quantity"]["on_hand"])),
    };
    if let Some(successor) = event["successor"].as_str() {
        said += &format!(" to {successor}");
    }
    if let Some(previous) = event["change"]["previous"].as_str() {
        said += &format!(" was {previous}");
    }
    for flag in event["quality"].as_array().into_iter().flatten() {
        said += &format!(" {}", text(flag));
    }
    said
}
