//! Compiles the C programs of `tests/c` and `examples` against the header and the libraries of
//! this very build, with strict warnings and sanitizers, and runs them.

// A skipped test must be loud, or nobody would know.
#![allow(clippy::print_stderr)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

const STRICT: [&str; 7] = [
    "-std=c11",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-pedantic",
    "-g",
    "-O1",
];
const SANITIZERS: [&str; 2] = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Where this build put libchurn: beside the running test.
fn library_dir() -> PathBuf {
    let exe = env::current_exe().unwrap();
    let dir = exe.parent().unwrap().to_owned();
    for library in [shared_name(), "libchurn.a".to_owned()] {
        assert!(
            dir.join(&library).is_file(),
            "{library} is not beside the test in {}",
            dir.display()
        );
    }
    dir
}

fn shared_name() -> String {
    format!(
        "{}churn{}",
        env::consts::DLL_PREFIX,
        env::consts::DLL_SUFFIX
    )
}

fn c_compiler() -> String {
    env::var("CC").unwrap_or_else(|_| "cc".to_owned())
}

#[derive(Clone, Copy, Debug)]
enum Link {
    Shared,
    Static,
}

/// Compiles one C program; fails with the compiler's words.
fn compile(source: &Path, link: Link) -> PathBuf {
    let name = source.file_stem().unwrap().to_str().unwrap();
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{link:?}"));
    let dir = library_dir();
    let mut command = Command::new(c_compiler());
    command
        .args(STRICT)
        .args(SANITIZERS)
        .arg("-I")
        .arg(root().join("include"))
        .arg("-I")
        .arg(root().join("tests/c"))
        .arg(source)
        .arg("-o")
        .arg(&program);
    match link {
        Link::Shared => {
            let rpath = format!("-Wl,-rpath,{}", dir.display());
            command.arg(dir.join(shared_name())).arg(rpath);
        }
        Link::Static => {
            command.arg(dir.join("libchurn.a"));
        }
    }
    command.args(["-lpthread", "-lm", "-ldl"]);
    let output = command.output().unwrap_or_else(|error| {
        panic!("these tests need a C compiler: {:?}: {error}", c_compiler())
    });
    assert!(
        output.status.success(),
        "{command:?}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    program
}

/// Runs a program under the sanitizers; fails with what it wrote to stderr, gives its stdout.
fn run(program: &Path, arguments: &[&str]) -> String {
    let leaks = u8::from(cfg!(target_os = "linux"));
    let output = Command::new(program)
        .args(arguments)
        .env(
            "ASAN_OPTIONS",
            format!("detect_leaks={leaks}:abort_on_error=0"),
        )
        .env("UBSAN_OPTIONS", "print_stacktrace=1")
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{} {arguments:?}: {}\n{}",
        program.display(),
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

fn compile_and_run(name: &str) {
    let source = root().join("tests/c").join(name);
    run(&compile(&source, Link::Shared), &[]);
}

#[test]
fn errors() {
    compile_and_run("test_errors.c");
    run(
        &compile(&root().join("tests/c/test_errors.c"), Link::Static),
        &[],
    );
}

#[test]
fn events() {
    compile_and_run("test_events.c");
}

#[test]
fn csv() {
    compile_and_run("test_csv.c");
}

#[test]
fn arrow() {
    compile_and_run("test_arrow.c");
}

#[test]
fn features() {
    compile_and_run("test_features.c");
}

#[test]
fn scoring() {
    compile_and_run("test_scoring.c");
}

#[test]
fn segments() {
    compile_and_run("test_segments.c");
}

#[test]
fn strategy() {
    compile_and_run("test_strategy.c");
}

#[test]
fn winback() {
    compile_and_run("test_winback.c");
}

#[test]
fn progress() {
    compile_and_run("test_progress.c");
}

/// A C program that no test above names would never run.
#[test]
fn every_c_program_has_its_test() {
    let me = fs::read_to_string(root().join("tests/c_abi.rs")).unwrap();
    let mut programs = 0;
    for entry in fs::read_dir(root().join("tests/c")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name.starts_with("test_") && name.ends_with(".c") {
            assert!(me.contains(&format!("\"{name}\"")), "{name} is never run");
            programs += 1;
        }
    }
    assert!(programs > 0);
}

/// The sanitizers must be at work, or a green run would mean nothing.
#[test]
fn leaks_are_found() {
    if !cfg!(target_os = "linux") {
        eprintln!("SKIPPED leaks_are_found: leak detection exists on Linux only");
        return;
    }
    let program = compile(&root().join("tests/c/leaks.c"), Link::Shared);
    let output = Command::new(program)
        .env("ASAN_OPTIONS", "detect_leaks=1")
        .output()
        .unwrap();
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "a leak went unseen");
    assert!(words.contains("LeakSanitizer"), "{words}");
}

/// The header serves C++ too.
#[test]
fn header_compiles_as_cpp() {
    let compiler = env::var("CXX").unwrap_or_else(|_| "g++".to_owned());
    if Command::new(&compiler).arg("--version").output().is_err() {
        eprintln!("SKIPPED header_compiles_as_cpp: no C++ compiler {compiler:?}");
        return;
    }
    let output = Command::new(&compiler)
        .args(["-std=c++17", "-Wall", "-Wextra", "-Werror", "-pedantic"])
        .args(["-fsyntax-only", "-x", "c++"])
        .arg(root().join("include/churn.h"))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
