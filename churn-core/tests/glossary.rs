//! The list of features in `docs/GLOSSARY.md` is the catalogue itself.

use std::path::Path;

use churn_core::features::FeatureSpec;

const BEGIN: &str = "<!-- features -->\n";
const END: &str = "<!-- end of features -->";

#[test]
fn glossary_lists_every_feature() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/GLOSSARY.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let channels = ["{channel}".to_owned()];
    let mut list =
        String::from("\n| feature | unit | definition | where undefined |\n|---|---|---|---|\n");
    for info in FeatureSpec::default().catalogue(&channels).unwrap() {
        list += &format!(
            "| `{}` | {} | {} | {} |\n",
            info.name, info.unit, info.definition, info.undefined
        );
    }
    list += "\n";
    let start = text.find(BEGIN).expect("the glossary has its marker") + BEGIN.len();
    let end = text.find(END).expect("the glossary has its end marker");
    if std::env::var_os("CHURN_WRITE_GLOSSARY").is_some() {
        let new = format!("{}{list}{}", &text[..start], &text[end..]);
        std::fs::write(&path, new).unwrap();
        return;
    }
    assert!(
        text[start..end] == list,
        "docs/GLOSSARY.md is out of date: run CHURN_WRITE_GLOSSARY=1 cargo test -p churn-core --test glossary"
    );
}
