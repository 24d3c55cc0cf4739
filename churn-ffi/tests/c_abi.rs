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
        // What a program writes stays in the build's own folder.
        .current_dir(env!("CARGO_TARGET_TMPDIR"))
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
fn append() {
    compile_and_run("test_append.c");
}

#[test]
fn saved() {
    compile_and_run("test_saved.c");
}

#[test]
fn stream() {
    compile_and_run("test_stream.c");
}

#[test]
fn summary() {
    compile_and_run("test_summary.c");
}

#[test]
fn experiments_and_uplift() {
    compile_and_run("test_evaluation.c");
}

#[test]
fn planning() {
    compile_and_run("test_planning.c");
}

#[test]
fn uplift() {
    compile_and_run("test_uplift.c");
}

#[test]
fn analysis() {
    compile_and_run("test_analysis.c");
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
fn lifetime() {
    compile_and_run("test_lifetime.c");
}

#[test]
fn optimize() {
    compile_and_run("test_optimize.c");
}

#[test]
fn model() {
    compile_and_run("test_model.c");
}

#[test]
fn winback() {
    compile_and_run("test_winback.c");
}

#[test]
fn journey() {
    compile_and_run("test_journey.c");
}

#[test]
fn progress() {
    compile_and_run("test_progress.c");
}

/// The example, with arguments, as a reader would run it.
#[test]
fn example() {
    let program = compile(&root().join("examples/pipeline.c"), Link::Shared);
    let simulated = run(&program, &[]);
    assert_eq!(simulated, run(&program, &[]), "one seed, one answer");
    assert!(simulated.contains("Plan as of 2024-01-01"), "{simulated}");
    assert!(simulated.contains("champions"), "{simulated}");
    assert!(simulated.contains("contacts per customer:"), "{simulated}");
    assert!(simulated.contains("risk_tier is high"), "{simulated}");

    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pipeline.csv");
    let orders = "who;day;money\n\
                  ann;2020-01-05;10\nann;2020-02-05;20\nann;2020-03-05;30\n\
                  bea;2019-03-01;100\nbea;2019-04-01;50\nbea;2019-05-01;50\n";
    fs::write(&file, orders).unwrap();
    let file = file.to_str().unwrap();
    let options = r#"{"delimiter": ";",
        "names": {"customer": "who", "time": "day", "value": "money"}}"#;
    let plan = Path::new(env!("CARGO_TARGET_TMPDIR")).join("plan.csv");
    let printed = run(
        &program,
        &[file, "2020-04-01", plan.to_str().unwrap(), options],
    );
    assert_eq!(fs::read(&plan).unwrap(), plan_of_the_core(file, options));
    assert!(
        printed.contains("rows kept                      6"),
        "{printed}"
    );
    assert!(
        printed.contains("Customer bea: 3 orders, 200.00 spent"),
        "{printed}"
    );
    assert!(printed.contains("2020-04-01: 2 customers"), "{printed}");

    // Mistakes are named on stderr, with a status of their own and without a leak.
    let failed = Command::new(&program)
        .args([file, "2020-04-01"])
        .output()
        .unwrap();
    let words = String::from_utf8_lossy(&failed.stderr).into_owned();
    assert_eq!(failed.status.code(), Some(1), "{words}");
    assert!(words.starts_with("UnknownName: "), "{words}");
}

/// The plan that a Rust application would write for the same file.
fn plan_of_the_core(file: &str, options: &str) -> Vec<u8> {
    use churn_core::events::{Cleaning, CsvEvents};
    use churn_core::progress::Progress;
    use churn_core::winback::{WinBack, WinBackSettings};
    let options = churn_core::settings::from_json("csv", options).unwrap();
    let input = fs::File::open(file).unwrap();
    let events = CsvEvents::read(input, &options, &Progress::none()).unwrap();
    let log = churn_core::EventLog::from_columns(&events.columns(), &Cleaning::default()).unwrap();
    let as_of = churn_core::AsOf::parse("2020-04-01").unwrap();
    let settings = WinBackSettings::default();
    let result = WinBack::run(&log, as_of, &settings, &Progress::none()).unwrap();
    let mut plan = Vec::new();
    result
        .write_plan(&mut plan, churn_core::text::Language::English)
        .unwrap();
    plan
}

/// Runs the first C program of a document, as it stands there.
fn documented(document: &str, name: &str) -> String {
    let text = fs::read_to_string(root().join("..").join(document)).unwrap();
    let (_, rest) = text.split_once("```c\n").expect("a C example");
    let (code, _) = rest.split_once("```").unwrap();
    let source = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&source, code).unwrap();
    run(&compile(&source, Link::Shared), &[])
}

#[test]
fn models_as_documented() {
    let printed = documented("docs/C_ABI.md", "documented_model.c");
    let (first, second) = printed.trim().split_once('\n').unwrap();
    let (probability, reason) = first.split_once(' ').unwrap();
    assert_eq!(probability, second, "one row alone and in the table");
    assert!(reason.contains(" points"), "{printed}");
}

/// The C example of the README, as it stands there.
#[test]
fn readme() {
    let printed = documented("README.md", "readme.c");
    let numbers = printed.strip_prefix("ann ").unwrap().trim();
    let (ann, bea) = numbers.split_once(", bea ").unwrap();
    let (ann, bea): (f64, f64) = (ann.parse().unwrap(), bea.parse().unwrap());
    assert!(0.0 < bea && bea < ann && ann < 1.0, "{printed}");
}

/// Installs into an empty folder and builds the example with nothing but what pkg-config says,
/// against the shared and against the static library.
#[test]
fn install() {
    let prefix = Path::new(env!("CARGO_TARGET_TMPDIR")).join("installed");
    let _ = fs::remove_dir_all(&prefix);
    let output = Command::new("sh")
        .arg(root().join("install.sh"))
        .arg("--prefix")
        .arg(&prefix)
        .arg("--from")
        .arg(library_dir())
        .env_remove("DESTDIR")
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    for file in ["include/churn.h", "include/churn_arrow.h", "lib/libchurn.a"] {
        assert!(prefix.join(file).is_file(), "{file}");
    }
    let pkgconfig = prefix.join("lib/pkgconfig");
    let described = fs::read_to_string(pkgconfig.join("churn.pc")).unwrap();
    assert!(!described.contains('@'), "{described}");
    assert!(
        described.contains(concat!("Version: ", env!("CARGO_PKG_VERSION"), "\n")),
        "{described}"
    );

    let flags = |arguments: &[&str]| -> Option<Vec<String>> {
        let output = Command::new("pkg-config")
            .args(arguments)
            .arg("churn")
            .env("PKG_CONFIG_PATH", &pkgconfig)
            .output()
            .ok()?;
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "pkg-config: {words}");
        let flags = String::from_utf8(output.stdout).unwrap();
        Some(flags.split_whitespace().map(str::to_owned).collect())
    };
    let Some(shared) = flags(&["--cflags", "--libs"]) else {
        eprintln!("SKIPPED the half of `install` that needs pkg-config: it is not here");
        return;
    };
    let build = |name: &str, flags: &[String]| -> PathBuf {
        let program = prefix.join(name);
        let output = Command::new(c_compiler())
            .args(STRICT)
            .arg(root().join("examples/pipeline.c"))
            .arg("-o")
            .arg(&program)
            .args(flags)
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{flags:?}\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
        program
    };
    let lib = prefix.join("lib");
    let rpath = format!("-Wl,-rpath,{}", lib.display());
    let with_shared = build("shared", &[shared, vec![rpath]].concat());
    // Without the shared library in the folder, -lchurn finds the static one.
    let static_flags = flags(&["--cflags", "--libs", "--static"]).unwrap();
    fs::rename(lib.join(shared_name()), prefix.join(shared_name())).unwrap();
    let with_static = build("static", &static_flags);
    let printed = run(&with_static, &[]);
    fs::rename(prefix.join(shared_name()), lib.join(shared_name())).unwrap();
    assert_eq!(printed, run(&with_shared, &[]));
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
