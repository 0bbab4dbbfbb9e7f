//! The door: arguments in, exit code out.

fn main() -> std::process::ExitCode {
    sealpost::run(std::env::args_os())
}
