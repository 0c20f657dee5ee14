//! The document shows the example as it is.

/// The text between fences of this language, in order.
fn blocks<'a>(document: &'a str, language: &str) -> Vec<&'a str> {
    let fence = format!("\n```{language}\n");
    let rest = |at: usize| &document[at + fence.len()..];
    let starts = document.match_indices(&fence).map(|(at, _)| rest(at));
    starts.map(|text| &text[..text.find("```").unwrap()]).collect()
}

#[test]
fn the_document_shows_the_statements_and_the_program_as_they_are() {
    let document = include_str!("../../docs/consuming.md");
    assert_eq!(
        blocks(document, "sql"),
        [
            include_str!("../../examples/consumer/tables.sql"),
            include_str!("../../examples/consumer/apply.sql"),
        ],
    );
    assert_eq!(blocks(document, "rust"), [include_str!("../../examples/consumer/main.rs")]);
}
