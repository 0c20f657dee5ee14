//! The program `tailstock`: see `tailstock --help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    tailstock::cli::main()
}
