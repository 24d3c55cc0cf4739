//! Finds the line of a place such as `playbook.actions[2].audience` in a TOML or JSON document.
//!
//! Called only once a mistake is known, on text that has parsed before; so it parses again, with
//! positions, and the types that settings load into stay free of them. A place that is not in the
//! document (a field that was left out) gives the line of what encloses it.

use serde::de::{DeserializeOwned, IgnoredAny};
use toml::de::{DeTable, DeValue};

use crate::settings::line_of;

/// One step into a document.
#[derive(Debug, Clone, PartialEq)]
enum Step<'p> {
    Key(&'p str),
    Index(usize),
}

/// The steps of a place, without its first name, which stands for the document.
fn steps(place: &str) -> Vec<Step<'_>> {
    let mut steps = Vec::new();
    for part in place.split(['.', '[']).skip(1) {
        match part.strip_suffix(']') {
            Some(index) => steps.extend(index.parse().ok().map(Step::Index)),
            None => steps.push(Step::Key(part)),
        }
    }
    steps
}

/// The line (from 1) of a place in a TOML document.
pub(crate) fn line_in_toml(text: &str, place: &str) -> u32 {
    let Ok(document) = DeTable::parse(text) else {
        return 1;
    };
    let mut offset = 0;
    let mut table = Some(document.get_ref());
    let mut array = None;
    for step in steps(place) {
        let found = match (&step, table, array) {
            (Step::Key(key), Some(entries), _) => entries
                .iter()
                .find(|(name, _)| name.get_ref() == key)
                .map(|(name, value)| (name.span().start, value)),
            (Step::Index(index), _, Some(elements)) => {
                let elements: &toml::de::DeArray<'_> = elements;
                elements
                    .get(*index)
                    .map(|value| (value.span().start, value))
            }
            _ => None,
        };
        let Some((start, value)) = found else {
            break;
        };
        offset = start;
        (table, array) = match value.get_ref() {
            DeValue::Table(entries) => (Some(entries), None),
            DeValue::Array(elements) => (None, Some(elements)),
            _ => (None, None),
        };
    }
    line_of(text, offset)
}

/// The line (from 1) of a place in a JSON document.
pub(crate) fn line_in_json(text: &str, place: &str) -> u32 {
    let mut offset = skip_space(text, 0);
    for step in steps(place) {
        match enter(text, offset, &step) {
            Some(inner) => offset = inner,
            None => break,
        }
    }
    line_of(text, offset)
}

/// The offset of a member of the object or array that begins at `offset`.
fn enter(text: &str, offset: usize, step: &Step<'_>) -> Option<usize> {
    let open = match step {
        Step::Key(_) => b'{',
        Step::Index(_) => b'[',
    };
    let bytes = text.as_bytes();
    if bytes.get(offset) != Some(&open) {
        return None;
    }
    let mut at = skip_space(text, offset + 1);
    let mut index = 0;
    while !matches!(bytes.get(at)?, b'}' | b']') {
        let found = match step {
            Step::Index(wanted) => *wanted == index,
            Step::Key(wanted) => {
                let (key, end) = read::<String>(text, at)?;
                // The colon stands between key and value.
                at = skip_space(text, skip_space(text, end) + 1);
                key == *wanted
            }
        };
        if found {
            return Some(at);
        }
        let (_, end) = read::<IgnoredAny>(text, at)?;
        at = skip_space(text, end);
        if bytes.get(at) == Some(&b',') {
            at = skip_space(text, at + 1);
        }
        index += 1;
    }
    None
}

/// The value at an offset and the offset behind it.
fn read<T: DeserializeOwned>(text: &str, at: usize) -> Option<(T, usize)> {
    let mut stream = serde_json::Deserializer::from_str(&text[at..]).into_iter::<T>();
    let value = stream.next()?.ok()?;
    Some((value, at + stream.byte_offset()))
}

fn skip_space(text: &str, at: usize) -> usize {
    let rest = &text.as_bytes()[at..];
    let space = rest.iter().take_while(|byte| byte.is_ascii_whitespace());
    at + space.count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn toml_places() {
        let text = "name = \"x\"\nconflicts = [\n  [\"a\"],\n  [\"b\"],\n]\n\n[[actions]]\nid = \"a\"\n\n[[actions]]\nid = \"b\"\n[actions.name]\nen = \"B\"\n";
        let line = |place| line_in_toml(text, place);
        assert_eq!(line("playbook.name"), 1);
        assert_eq!(line("playbook.conflicts"), 2);
        assert_eq!(line("playbook.conflicts[1]"), 4);
        assert_eq!(line("playbook.actions[0].id"), 8);
        assert_eq!(line("playbook.actions[1]"), 10);
        assert_eq!(line("playbook.actions[1].id"), 11);
        assert_eq!(line("playbook.actions[1].name.en"), 13);
        assert_eq!(line("playbook.actions[1].audience"), 10);
    }

    #[test]
    fn json_places() {
        let text = "\n{\"na\\u006de\": \"a } ] , \\\" b\",\n \"n\": [1, -2.5e3,\n  null, {\"x\" : true\n, \"y\":\n\"z\"}]}";
        let line = |place| line_in_json(text, place);
        assert_eq!(line("playbook"), 2);
        assert_eq!(line("playbook.name"), 2);
        assert_eq!(line("playbook.n[1]"), 3);
        assert_eq!(line("playbook.n[2]"), 4);
        assert_eq!(line("playbook.n[3].x"), 4);
        assert_eq!(line("playbook.n[3].y"), 6);
        assert_eq!(line("playbook.n[3].w"), 4);
        assert_eq!(line("playbook.n[9]"), 3);
    }
}
