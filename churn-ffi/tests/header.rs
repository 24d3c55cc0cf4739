//! The committed header is the one that the sources give.
//!
//! `CHURN_WRITE_HEADER=1 cargo test -p churn-ffi --test header` writes it anew.

use std::path::{Path, PathBuf};
use std::{env, fs};

/// The sources whose exported items make the header, in the order of the flow; not `lib.rs`, from
/// which cbindgen would follow every `mod` and declare everything again.
const SOURCES: &[&str] = &[
    "version.rs",
    "error.rs",
    "texts.rs",
    "bytes.rs",
    "defaults.rs",
    "progress.rs",
    "customers.rs",
    "columns.rs",
    "cleaning.rs",
    "events.rs",
    "append.rs",
    "features.rs",
    "saved.rs",
    "describer.rs",
    "stream.rs",
    "summary.rs",
    "scoring.rs",
    "segments.rs",
    "strategy.rs",
    "optimize.rs",
    "winback.rs",
    "analysis.rs",
    "survival.rs",
    "running.rs",
    "lifetime.rs",
    "renewals.rs",
    "behavior.rs",
    "journey.rs",
    "evaluation.rs",
    "planning.rs",
    "rankings.rs",
    "uplift.rs",
    "model.rs",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn generate() -> String {
    let config = cbindgen::Config::from_file(root().join("cbindgen.toml")).unwrap();
    let mut builder = cbindgen::Builder::new().with_config(config);
    for file in SOURCES {
        builder = builder.with_src(root().join("src").join(file));
    }
    let mut header = Vec::new();
    builder.generate().unwrap().write(&mut header);
    String::from_utf8(header).unwrap()
}

fn read_sources() -> Vec<(String, String)> {
    let mut sources = Vec::new();
    for entry in fs::read_dir(root().join("src")).unwrap() {
        let path: PathBuf = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        sources.push((name, fs::read_to_string(path).unwrap()));
    }
    sources
}

#[test]
fn header_is_current() {
    let path = root().join("include/churn.h");
    let header = generate();
    if env::var_os("CHURN_WRITE_HEADER").is_some() {
        fs::write(&path, &header).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == header,
        "include/churn.h is out of date: run\n\
         CHURN_WRITE_HEADER=1 cargo test -p churn-ffi --test header"
    );
}

/// cbindgen leaves out what it does not understand, so the names are counted in the sources.
#[test]
fn every_exported_function_is_in_the_header() {
    let header = generate();
    let mut exported = 0;
    for (file, source) in read_sources() {
        let attributes = source.matches("#[unsafe(no_mangle)]").count();
        let mut functions = 0;
        for (_, after) in source
            .match_indices("extern \"C\" fn ")
            .map(|(i, m)| (i, &source[i + m.len()..]))
        {
            let name: String = after
                .chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect();
            assert!(name.starts_with("churn_"), "{file}: {name}");
            // Declared at the start of a line, after its type.
            let declared = header
                .lines()
                .filter(|line| {
                    !line.starts_with([' ', '/'])
                        && (line.contains(&format!(" {name}("))
                            || line.contains(&format!("*{name}(")))
                })
                .count();
            assert_eq!(declared, 1, "{file}: declarations of {name}");
            functions += 1;
        }
        assert_eq!(attributes, functions, "{file}: exported functions");
        exported += functions;
    }
    assert!(exported > 0);
}

/// Names that C sees carry the prefix; nothing but the types that C knows crosses the border.
#[test]
fn names_carry_the_prefix() {
    for line in generate().lines() {
        if let Some(define) = line.strip_prefix("#define ") {
            assert!(define.starts_with("CHURN_"), "{line}");
        }
        if let Some(declared) = line.strip_prefix("typedef struct ") {
            assert!(declared.starts_with("churn_"), "{line}");
        }
        assert!(!line.contains("bool ") && !line.contains("FFI_"), "{line}");
    }
}
