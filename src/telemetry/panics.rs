use std::backtrace::{Backtrace, BacktraceStatus};
use std::panic::PanicHookInfo;

use connector_api::Error;
use tokio::task::JoinError;

/// From here on a panic says on standard error where it happened, and nothing of what was in hand:
/// a message that is put together on the way may quote a value of a row, as that of a slice of a
/// text does. One that stands in the code as it is can quote nothing. With `RUST_BACKTRACE` the
/// names of functions follow.
pub fn keep_panics_quiet() {
    std::panic::set_hook(Box::new(|panic| {
        let mut told = quiet(panic);
        let trace = Backtrace::capture();
        if trace.status() == BacktraceStatus::Captured {
            told = format!("{told}\n{trace}");
        }
        eprintln!("{told}");
    }));
}

fn quiet(panic: &PanicHookInfo<'_>) -> String {
    let place = panic.location().map_or("an unknown place".to_owned(), ToString::to_string);
    let words = panic.payload().downcast_ref::<&'static str>();
    let words = words.map_or(String::new(), |words| format!(": {words}"));
    format!("tailstock panicked at {place}{words}; this is a bug: please report the place")
}

/// The error of a task that panicked, without the words of the panic, which a [`JoinError`]
/// repeats. `what` was doing it.
pub fn panicked(what: &str, _ended: JoinError) -> Error {
    Error::bug(format!("{what} panicked; where is said on standard error"))
}
