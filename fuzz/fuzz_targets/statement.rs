//! No text of a statement stops the stream, whatever the session's dialect.
#![no_main]

use connector_mysql::statement::{Dialect, classify};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((flags, text)) = data.split_first() else { return };
    let dialect = Dialect {
        schema: "shop",
        ansi_quotes: flags & 1 != 0,
        no_backslash_escapes: flags & 2 != 0,
        fold_case: flags & 4 != 0,
    };
    let _ = classify(text, &dialect, &|_, table| table == "stock");
});
