//! The program `tailstock`: see `tailstock --help`.
#![allow(unsafe_code, reason = "no well-kept crate sets what malloc goes by")]

use std::process::ExitCode;

fn main() -> ExitCode {
    share_memory();
    tailstock::cli::main()
}

/// Has all threads take memory from one place, unless `MALLOC_ARENA_MAX` says otherwise.
///
/// glibc gives each thread a place of its own. Events are written by one thread and let go by
/// another, so that each place grows to what all of them need at most: a drain into Kafka had 60 to
/// 71 MiB resident and has 51 to 53, on two cores as fast (docs/decisions/0018).
fn share_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    if std::env::var_os("MALLOC_ARENA_MAX").is_none() {
        // SAFETY: it takes two numbers, and no other thread has been started.
        unsafe { libc::mallopt(libc::M_ARENA_MAX, 1) };
    }
}
