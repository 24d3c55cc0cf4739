//! The one command that people and CI run alike.
//!
//! `cargo xtask test` runs every check of the project, in the order in which a mistake shows up
//! fastest; `cargo xtask test rust|python|c` runs one part of it. Each step is an ordinary command
//! that is printed first, so that it can be repeated by hand.

#![allow(clippy::print_stdout, clippy::print_stderr)] // a program speaks there

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

const USAGE: &str = "usage: cargo xtask test [rust|python|c ...]

  rust    format, lints, licences, tests of all crates, docs, benches in test mode
  c       tests of the C library only (they are part of rust)
  python  virtual environment, build of the module, pytest (which checks the stub too)
";

/// Licences that a dependency may offer; one of them is enough where a crate lists several.
const LICENCES: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

type Outcome = Result<(), String>;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let parts: Vec<&str> = match arguments.as_slice() {
        ["test"] => vec!["rust", "python"],
        ["test", parts @ ..] if parts.iter().all(|p| ["rust", "c", "python"].contains(p)) => {
            parts.to_vec()
        }
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    let started = Instant::now();
    let mut run = Run::new();
    let outcome = parts.iter().try_for_each(|part| match *part {
        "rust" => rust(&mut run),
        "c" => c(&mut run),
        _ => python(&mut run),
    });
    let seconds = started.elapsed().as_secs_f64();
    match outcome {
        Ok(()) => {
            println!("\n==== all {} steps passed in {seconds:.0} s", run.steps);
            run.warn_about_data();
            ExitCode::SUCCESS
        }
        Err(message) => {
            eprintln!("\n==== FAILED after {seconds:.0} s: {message}");
            ExitCode::FAILURE
        }
    }
}

/// Format, lints, licences, tests, docs, benches.
fn rust(run: &mut Run) -> Outcome {
    run.cargo("format", &["fmt", "--all", "--check"], &[])?;
    run.step("licences", licences)?;
    run.cargo(
        "lints",
        &[
            "clippy",
            "--workspace",
            "--all-targets",
            "--all-features",
            "--quiet",
            "--",
            "-D",
            "warnings",
        ],
        &[],
    )?;
    run.cargo("tests", &["test", "--workspace", "--all-features"], &[])?;
    run.cargo(
        "benches, once each",
        &["test", "--package", "churn-benches", "--benches"],
        &[],
    )?;
    run.cargo(
        "docs",
        &[
            "doc",
            "--workspace",
            "--all-features",
            "--no-deps",
            "--quiet",
        ],
        &[("RUSTDOCFLAGS", "-D warnings")],
    )
}

/// The C library: header, linking, ownership, agreement with the core.
fn c(run: &mut Run) -> Outcome {
    run.cargo(
        "C library",
        &["test", "--package", "churn-ffi", "--all-features"],
        &[],
    )
}

/// Builds the module into a virtual environment under the target folder and tests it there.
fn python(run: &mut Run) -> Outcome {
    let folder = run.root.join("churn-py");
    let venv = run.target.join("venv");
    let interpreter = if cfg!(windows) {
        venv.join("Scripts").join("python.exe")
    } else {
        venv.join("bin").join("python")
    };
    run.step("python environment", |run| {
        virtual_environment(
            run,
            &venv,
            &interpreter,
            &folder.join("requirements-test.txt"),
        )
    })?;
    run.step("python build", |run| {
        // The dev profile shares every dependency that the Rust tests have built.
        let mut command = Command::new(&interpreter);
        command
            .args(["-m", "maturin", "develop", "--quiet"])
            .env("VIRTUAL_ENV", &venv)
            .current_dir(&folder);
        run.call(&mut command)
    })?;
    run.step("python tests", |run| {
        let mut command = Command::new(&interpreter);
        command.args(["-m", "pytest"]).current_dir(&folder);
        run.call(&mut command)
    })?;
    run.step("python wheel", |run| wheel(run, &folder, &interpreter))
}

/// What `pip install ./churn-py` gives a user: a release wheel for every later Python, small, that
/// works in an environment with nothing else in it.
fn wheel(run: &Run, folder: &Path, interpreter: &Path) -> Outcome {
    let (wheels, bare) = (run.target.join("wheels"), run.target.join("bare"));
    // An old wheel must not stand in for a new one that was not built.
    let _ = fs::remove_dir_all(&wheels);
    run.call(
        Command::new(interpreter)
            .args(["-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir"])
            .arg(&wheels)
            .arg(folder),
    )?;
    let built = fs::read_dir(&wheels).map_err(|e| format!("{}: {e}", wheels.display()))?;
    let built: Vec<PathBuf> = built.filter_map(|entry| Some(entry.ok()?.path())).collect();
    let [wheel] = built.as_slice() else {
        return Err(format!("expected one wheel, got {built:?}"));
    };
    let size = fs::metadata(wheel)
        .map_err(|e| format!("{}: {e}", wheel.display()))?
        .len();
    println!("{}: {:.1} MB", wheel.display(), size as f64 / 1e6);
    if !wheel.to_string_lossy().contains("abi3") || size > 20_000_000 {
        return Err("expected an abi3 wheel of at most 20 MB".to_owned());
    }
    run.call(
        Command::new(interpreter)
            .args(["-m", "venv", "--clear"])
            .arg(&bare),
    )?;
    let bin = bare
        .join(if cfg!(windows) { "Scripts" } else { "bin" })
        .join("python");
    let pip = [
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
    ];
    run.call(Command::new(&bin).args(pip).arg(wheel))?;
    let check = "import churn; print(churn.winback(churn.Shop(customers=50).open().log()))";
    run.call(Command::new(&bin).args(["-c", check]))
}

/// Makes the environment once, and again whenever the pinned requirements change.
fn virtual_environment(run: &Run, venv: &Path, interpreter: &Path, pinned: &Path) -> Outcome {
    let wanted = fs::read_to_string(pinned).map_err(|e| format!("{}: {e}", pinned.display()))?;
    let stamp = venv.join("requirements.txt");
    if interpreter.exists() && fs::read_to_string(&stamp).is_ok_and(|have| have == wanted) {
        println!("{} is up to date", venv.display());
        return Ok(());
    }
    let python = env::var_os("PYTHON").unwrap_or_else(|| OsStr::new("python3").to_owned());
    let check = "import sys; sys.exit(sys.version_info < (3, 11))";
    run.call(Command::new(&python).args(["-c", check]))
        .map_err(|e| format!("Python 3.11 or newer is needed (set PYTHON to choose one): {e}"))?;
    run.call(
        Command::new(&python)
            .args(["-m", "venv", "--clear"])
            .arg(venv),
    )?;
    run.call(
        Command::new(interpreter)
            .args([
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
            ])
            .arg("--requirement")
            .arg(pinned),
    )?;
    fs::write(&stamp, wanted).map_err(|e| format!("{}: {e}", stamp.display()))
}

/// Every dependency must offer a licence of [`LICENCES`]; read from the lock file, no network.
fn licences(run: &Run) -> Outcome {
    let mut command = Command::new(&run.cargo);
    command
        .args([
            "tree",
            "--workspace",
            "--all-features",
            "--edges",
            "normal,build",
        ])
        .args(["--prefix", "none", "--format", "{p}|{l}"])
        .current_dir(&run.root);
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .map_err(|e| format!("cargo tree: {e}"))?;
    if !output.status.success() {
        return Err(format!("cargo tree: {}", output.status));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let mut lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.is_empty())
        .map(|line| line.trim_end_matches(" (*)"))
        .collect();
    lines.sort_unstable();
    lines.dedup();
    let wrong: Vec<&str> = lines
        .iter()
        .filter(|line| !line.split_once('|').is_some_and(|(_, l)| permitted(l)))
        .copied()
        .collect();
    if wrong.is_empty() {
        println!("{} packages, all under a permitted licence", lines.len());
        Ok(())
    } else {
        Err(format!("no permitted licence: {}", wrong.join(", ")))
    }
}

/// Whether a licence expression is met by the permitted ones. Parentheses are read as grouping of
/// alternatives inside a conjunction, which is all that published crates use.
fn permitted(expression: &str) -> bool {
    let one = |name: &str| LICENCES.contains(&name.trim().trim_matches(['(', ')']).trim());
    let all = |names: &str| names.split(" AND ").all(one);
    let any = |names: &str| names.replace('/', " OR ").split(" OR ").any(all);
    if expression.contains('(') {
        expression.split(" AND ").all(any)
    } else {
        any(expression)
    }
}

/// Where things are, and how many steps have run.
struct Run {
    root: PathBuf,
    target: PathBuf,
    cargo: std::ffi::OsString,
    steps: usize,
}

impl Run {
    fn new() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .expect("xtask lies in the workspace")
            .to_owned();
        let target = match env::var_os("CARGO_TARGET_DIR") {
            Some(folder) => root.join(folder),
            None => root.join("target"),
        };
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let run = Run {
            root,
            target,
            cargo,
            steps: 0,
        };
        run.warn_about_data();
        run
    }

    fn warn_about_data(&self) {
        if env::var_os("CHURN_DATA").is_none() {
            eprintln!(
                "\n!!!! CHURN_DATA is not set: every test on real data is SKIPPED, not passed.\n\
                 !!!! Set it to the folder of the public data sets to run them."
            );
        }
    }

    /// Runs one step under a heading, with its time.
    fn step(&mut self, name: &str, body: impl FnOnce(&Run) -> Outcome) -> Outcome {
        self.steps += 1;
        println!("\n==== {}. {name}", self.steps);
        let started = Instant::now();
        body(self).map_err(|message| format!("step {} ({name}): {message}", self.steps))?;
        println!("---- {name}: {:.1} s", started.elapsed().as_secs_f64());
        Ok(())
    }

    fn cargo(&mut self, name: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Outcome {
        self.step(name, |run| {
            let mut command = Command::new(&run.cargo);
            command.args(arguments).envs(variables.iter().copied());
            run.call(command.current_dir(&run.root))
        })
    }

    /// Prints and runs a command.
    fn call(&self, command: &mut Command) -> Outcome {
        let words: Vec<_> = std::iter::once(command.get_program())
            .chain(command.get_args())
            .map(|word| word.to_string_lossy().into_owned())
            .collect();
        println!("$ {}", words.join(" "));
        match command.stdin(Stdio::null()).status() {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(format!("{} ended with {status}", words[0])),
            Err(error) => Err(format!("{} could not be started: {error}", words[0])),
        }
    }
}
