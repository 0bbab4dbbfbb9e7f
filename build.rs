//! Which libraries must be found at each start? (only libc: each further one costs every send 0.1 ms and 100 KiB of memory)
#![allow(clippy::print_stdout, reason = "this is how a build script speaks to cargo")]

use std::{env, path::Path, process::Command};

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // Rust's own library asks for the unwinder as libgcc_s.so, although a program that aborts on panic never unwinds. The same
    // code lies in the compiler's libgcc_eh.a; named first, it leaves the linker nothing to look for in the shared one.
    let wanted = [("CARGO_CFG_TARGET_OS", "linux"), ("CARGO_CFG_TARGET_ENV", "gnu")];
    let fits = wanted.iter().all(|(name, value)| env::var(name).as_deref() == Ok(value));
    if !fits || env::var("HOST") != env::var("TARGET") {
        return;
    }
    let compiler = env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    let Ok(answer) = Command::new(compiler).arg("-print-file-name=libgcc_eh.a").output() else { return };
    let path = String::from_utf8_lossy(&answer.stdout).trim().to_owned();
    // Where there is no such archive the compiler repeats the bare name; then the shared library does.
    if let Some(directory) = Path::new(&path).parent().filter(|directory| directory.is_absolute()) {
        println!("cargo:rustc-link-search=native={}", directory.display());
        println!("cargo:rustc-link-lib=static:-bundle=gcc_eh");
    }
}
