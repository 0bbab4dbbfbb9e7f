//! What must the linker know so that a start is cheap and a send touches little memory? (only libc to find; code in the order of use;
//! relocations packed)
#![allow(clippy::print_stdout, reason = "this is how a build script speaks to cargo")]

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    process::Command,
};

/// Generic code that is one function for many types, under the name of any of them: no list below is to take it away.
const COMMON: &[&[&str]] = &[&["alloc", "raw_vec"]];

/// Modules that only a message runs that is queued.
const QUEUE: &[&[&str]] = &[
    &["sealpost", "cmd", "submit", "queue"],
    &["sealpost", "host", "spool"],
    &["sealpost", "mail", "queued"],
    &["serde_json", "de"],
    &["serde_json", "read"],
];

/// Crates and modules that only a conversation with a server runs, first those that every one does, then those of TLS. A start that has
/// none (a message that is queued, a question for the version) finds its own code together: 11 page faults fewer, 0.02 to 0.06 ms and
/// 1.1 MiB of memory.
const CONVERSATION: &[&[&str]] = &[
    &["sealpost", "cmd", "deliver"],
    &["sealpost", "host", "dial"],
    &["sealpost", "host", "net"],
    &["sealpost", "host", "private"],
    &["sealpost", "host", "pump"],
    &["sealpost", "host", "secrets"],
    &["sealpost", "host", "socks"],
    &["sealpost", "smtp"],
    &["std", "sync", "mpmc"],
    &["base64"],
    &["idna"],
    &["stringprep"],
    &["sealpost", "host", "hybrid"],
    &["sealpost", "host", "tls"],
    &["asn1_rs"],
    &["der_parser"],
    &["hashbrown"],
    &["libcrux_ml_kem"],
    &["libcrux_sha3"],
    &["nom"],
    &["ring"],
    &["rustls"],
    &["rustls_pki_types"],
    &["webpki"],
    &["x509_parser"],
];

/// What of [`CONVERSATION`] is not Rust: ring's C and assembly.
const FOREIGN: &str = "*libring-*.rlib:*(.text .text.*)";

/// What a program that aborts on panic never runs.
const UNWINDER: &str = "*libgcc_eh.a:*(.text .text.*)";

/// Crates and modules that no send runs. A page of a program comes into memory together with its fifteen neighbours, so code of these
/// that lay in between would be resident in each send: 0.5 MiB. Nothing but memory is lost where one of them is run after all.
const SELDOM: &[&[&str]] = &[
    // The native command line, and the commands for people.
    &["clap_builder"],
    &["clap_complete"],
    &["clap_lex"],
    &["anstream"],
    &["anstyle"],
    &["strsim"],
    &["sealpost", "cmd", "dispatch", "native"],
    &["sealpost", "cmd", "args"],
    &["sealpost", "cmd", "background"],
    &["sealpost", "cmd", "check"],
    &["sealpost", "cmd", "config"],
    &["sealpost", "cmd", "demo"],
    &["sealpost", "cmd", "import"],
    &["sealpost", "cmd", "ink"],
    &["sealpost", "cmd", "log"],
    &["sealpost", "cmd", "queue"],
    &["sealpost", "cmd", "reception"],
    &["sealpost", "cmd", "report"],
    &["sealpost", "cmd", "runner"],
    &["sealpost", "cmd", "screen"],
    &["sealpost", "cmd", "selection"],
    &["sealpost", "cmd", "serve"],
    &["sealpost", "cmd", "setup"],
    &["sealpost", "cmd", "sink"],
    &["sealpost", "cmd", "submit", "speak"],
    &["sealpost", "cmd", "trust"],
    &["sealpost", "host", "stamp"],
    &["sealpost", "cmd", "when"],
    &["sealpost", "cmd", "wrap"],
    &["sealpost", "host", "alarm"],
    &["sealpost", "host", "inquiry"],
    &["sealpost", "host", "converse"],
    &["sealpost", "host", "import"],
    &["sealpost", "host", "autoconfig"],
    &["sealpost", "host", "config", "environment"],
    &["sealpost", "host", "config", "grow"],
    &["sealpost", "host", "config", "keys"],
    &["sealpost", "host", "config", "oauth"],
    &["sealpost", "host", "config", "quote"],
    &["sealpost", "host", "config", "trace"],
    &["sealpost", "host", "ledger"],
    &["sealpost", "host", "listen"],
    &["sealpost", "host", "made"],
    &["sealpost", "host", "probe"],
    &["sealpost", "host", "sandbox"],
    &["sealpost", "host", "service"],
    &["sealpost", "host", "world", "seen"],
    &["sealpost", "mail", "authors"],
    &["sealpost", "mail", "bounce"],
    &["sealpost", "mail", "mime"],
    &["sealpost", "mail", "retry"],
    &["sealpost", "mail", "stray"],
    &["sealpost", "host", "terminal"],
    &["sealpost", "smtp", "sasl", "verifier"],
    &["sealpost", "smtp", "server"],
    &["flate2"],
    &["miniz_oxide"],
    &["crc32fast"],
    &["landlock"],
    &["lettre"],
    &["listenfd"],
    &["quick_xml"],
    &["rcgen"],
    &["yasna"],
    &["rustls", "server"],
    // What only accounts of some kinds need: DNSSEC, the memory of servers, tokens and other places for secrets.
    &["sealpost", "host", "dns"],
    &["sealpost", "smtp", "tlsa"],
    &["sealpost", "smtp", "certificate", "dane"],
    &["hickory_proto"],
    &["sealpost", "host", "memory", "file"],
    &["sealpost", "host", "memory", "servers"],
    &["sealpost", "host", "memory", "text"],
    &["sealpost", "host", "http"],
    &["sealpost", "host", "secrets", "fields"],
    &["sealpost", "host", "secrets", "kerberos"],
    &["sealpost", "host", "secrets", "keyring"],
    &["sealpost", "host", "secrets", "netrc"],
    &["sealpost", "host", "secrets", "oauth"],
    &["sealpost", "host", "secrets", "token"],
    &["sealpost", "host", "secrets", "vault"],
    &["httparse"],
    &["sealpost", "smtp", "sasl", "bearer"],
    &["sealpost", "smtp", "sasl", "cram"],
    &["libgssapi"],
    &["md5"],
    // What only a queue needs, which sends one message after the other.
    &["sealpost", "cmd", "deliver", "kept"],
    &["sealpost", "smtp", "client", "kept"],
    // What is said of logins that fail.
    &["sealpost", "smtp", "advice"],
    // What a client can do and ours does not, or not with most servers.
    &["rustls", "client", "ech"],
    &["rustls", "client", "tls12"],
    &["ring", "rsa", "keypair"],
    // For processors without AVX2 and NEON.
    &["libcrux_ml_kem", "ind_cca", "instantiations", "portable"],
    // Long generic code that short lists and whole numbers go around.
    &["alloc", "collections", "btree", "remove"],
    &["core", "num", "bignum"],
    &["core", "num", "flt2dec"],
    &["core", "slice", "sort", "shared", "pivot"],
    &["core", "slice", "sort", "stable"],
    &["core", "slice", "sort", "unstable"],
    &["core", "fmt", "float"],
    // What asks a program, or a person.
    &["std", "process"],
    &["std", "sys", "process"],
    &["rpassword"],
    &["std", "thread", "functions"],
    // What only names beyond ASCII, and what is not a message, need.
    &["icu_normalizer"],
    &["unicode_normalization"],
    &["tinyvec"],
    &["mime"],
    &["data_encoding"],
    &["serde", "private"],
    &["serde_json", "value"],
    // What a panic or an error of another crate would tell.
    &["core", "fmt", "Debug"],
    &["core", "cell", "once"],
    &["addr2line"],
    &["gimli"],
    &["rustc_demangle"],
    &["std", "backtrace_rs"],
];

fn main() -> io::Result<()> {
    println!("cargo:rerun-if-changed=build.rs");
    if is("CARGO_CFG_TARGET_OS", "linux") {
        if is("CARGO_CFG_TARGET_ENV", "gnu") && env::var("HOST") == env::var("TARGET") {
            link_the_unwinder();
            pack_relocations();
        }
        if is("PROFILE", "release") && reads_linker_scripts() {
            set_apart()?;
        }
    }
    Ok(())
}

/// Rust's own library asks for the unwinder as `libgcc_s.so`, although a program that aborts on panic never unwinds: a library to find
/// costs every send 0.1 ms and 100 KiB. The same code lies in the compiler's `libgcc_eh.a`; named first, it leaves the linker nothing
/// to look for in the shared one.
fn link_the_unwinder() {
    let compiler = env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    let Ok(answer) = Command::new(compiler).arg("-print-file-name=libgcc_eh.a").output() else { return };
    let path = String::from_utf8_lossy(&answer.stdout).trim().to_owned();
    // Where there is no such archive the compiler repeats the bare name; then the shared library does.
    if let Some(directory) = Path::new(&path).parent().filter(|directory| directory.is_absolute()) {
        println!("cargo:rustc-link-search=native={}", directory.display());
        println!("cargo:rustc-link-lib=static:-bundle=gcc_eh");
    }
}

/// Has the linker write each start's 5700 relocations as a bitmap: 7 KB to read instead of 140, and 0.04 ms less of a start's 0.79. glibc
/// understands it since 2.36; a program that was linked so says what is missing where it is older. Elsewhere, and for a program that is
/// to run on older systems than the one it is made on, set `SEALPOST_OLDER_GLIBC`.
fn pack_relocations() {
    println!("cargo:rerun-if-env-changed=SEALPOST_OLDER_GLIBC");
    let Ok(answer) = Command::new("getconf").arg("GNU_LIBC_VERSION").output() else { return };
    let answer = String::from_utf8_lossy(&answer.stdout).into_owned();
    let version = answer.trim().strip_prefix("glibc 2.").and_then(|minor| minor.parse::<u32>().ok());
    if version.is_some_and(|minor| minor >= 36) && env::var_os("SEALPOST_OLDER_GLIBC").is_none() {
        println!("cargo:rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}

/// Has the linker put the functions of [`QUEUE`] behind all others, those of [`CONVERSATION`] behind these, and [`SELDOM`] last.
fn set_apart() -> io::Result<()> {
    // A group each, so that they lie in the order of the list.
    let groups = |list: &[&[&str]]| list.iter().map(|path| format!("*({})\n", below(path).join(" "))).collect::<Vec<_>>().concat();
    let seldom: Vec<String> = SELDOM.iter().flat_map(|path| below(path)).collect();
    // What is in two is the first's; what is put behind .text last lies nearest to it.
    let script = format!(
        "SECTIONS {{ .text_common : {{ {} }} }}\nINSERT BEFORE .text;\n\
         SECTIONS {{ .text_seldom : {{ *({}) {UNWINDER} }} }}\nINSERT AFTER .text;\n\
         SECTIONS {{ .text_conversation : {{ {} {FOREIGN} }} }}\nINSERT AFTER .text;\n\
         SECTIONS {{ .text_queue : {{ {} }} }}\nINSERT AFTER .text;\n",
        groups(COMMON),
        seldom.join("\n"),
        groups(CONVERSATION),
        groups(QUEUE),
    );
    let path = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default()).join("order.ld");
    fs::write(&path, script)?;
    println!("cargo:rustc-link-arg-bins=-Wl,-T,{}", path.display());
    Ok(())
}

/// The sections of the functions below `path`, and of what its types implement: each function has its own section, named after it. Both
/// manglings of Rust write a path as its words with their lengths (`8sealpost3cmd`); the older one writes it with dots where it is in the
/// name of something generic. The newer one ends with the crate that caused a copy of a generic function, which says nothing about who
/// calls it. What is generic over types of `path` (to drop a list of them) is left alone: it is often one function for all types of a
/// size, under the name of any of them.
fn below(path: &[&str]) -> [String; 5] {
    let (words, dots) = (words(path), path.join(".."));
    [
        format!(".text*._ZN{words}*"),
        format!(".text*._ZN*_$LT${dots}..*"),
        format!(".text*._ZN*_$LT$$RF$mut$u20${dots}..*"),
        format!(".text*._ZN*$u20$as$u20${dots}*"),
        format!(".text*._R*_{words}?*"),
    ]
}

fn words(path: &[&str]) -> String {
    path.iter().fold(String::new(), |words, word| format!("{words}{}{word}", word.len()))
}

/// GNU ld and lld read scripts that add to their own; mold, gold and wild don't.
fn reads_linker_scripts() -> bool {
    let told = ["CARGO_ENCODED_RUSTFLAGS", "RUSTC_LINKER"].map(|name| env::var(name).unwrap_or_default()).join(" ");
    !["mold", "gold", "wild"].iter().any(|linker| told.contains(linker))
}

fn is(variable: &str, value: &str) -> bool {
    env::var(variable).as_deref() == Ok(value)
}
