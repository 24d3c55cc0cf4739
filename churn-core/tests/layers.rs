//! The rooms look upstream only: this test reads the sources and fails on an arrow back up.

use std::fs;
use std::path::{Path, PathBuf};

/// Ground floor first; a module may use those of lower floors and its own.
const FLOORS: &[&[&str]] = &[
    &["error"],
    &["math", "time", "text", "settings"],
    &["customers", "progress"],
    &["sections"],
    &["metrics"],
    &["events"],
    &["features"],
    &["behavior"],
    &["scoring"],
    &["segments"],
    &["strategy"],
    &["journey"],
    &["evaluation"],
    &["winback", "arrow", "simulate"],
    &["defaults"],
];

fn floor(module: &str) -> Option<usize> {
    FLOORS.iter().position(|modules| modules.contains(&module))
}

fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn rooms_look_upstream_only() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&src, &mut files);
    let mut arrows = 0;
    for file in &files {
        let relative = file.strip_prefix(&src).unwrap();
        let module = relative
            .iter()
            .next()
            .unwrap()
            .to_str()
            .unwrap()
            .trim_end_matches(".rs");
        let is_test = ["tests.rs", "testing.rs"]
            .iter()
            .any(|name| file.ends_with(name));
        if module == "lib" || is_test {
            continue;
        }
        let own = floor(module).unwrap_or_else(|| panic!("{module} stands on no floor"));
        let text = fs::read_to_string(file).unwrap();
        // Tests may look anywhere; what ships may not. Doc comments may point anywhere as well.
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        for line in code
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"))
        {
            for (i, _) in line.match_indices("crate::") {
                let used: String = line[i + 7..]
                    .chars()
                    .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
                    .collect();
                // Names re-exported at the root are types of the rooms; rooms name the room.
                let Some(other) = floor(&used) else {
                    panic!(
                        "{}: `crate::{used}` does not name a room",
                        relative.display()
                    );
                };
                arrows += 1;
                assert!(
                    used == module || other < own,
                    "{}: {module} must not look at {used}",
                    relative.display()
                );
            }
        }
    }
    assert!(
        arrows > 20,
        "only {arrows} arrows were read: does the test still see the sources?"
    );
}
