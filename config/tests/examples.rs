//! Every example is judged by the code behind `weirgate check`.

use std::{fs, path::Path};

use weirgate_config::{NoSecrets, Severity, load};

fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/examples"))
}

#[test]
fn every_example_is_valid_and_warns_only_of_what_the_operator_brings() {
    let mut count = 0;
    for example in fs::read_dir(folder()).unwrap() {
        let path = example.unwrap().path();
        let snapshot = load(&path, &NoSecrets).unwrap_or_else(|problems| panic!("{}:\n{problems}", path.display()));
        for warning in &snapshot.warnings {
            assert_eq!(warning.severity, Severity::Warning);
            let allowed = [
                "has no value",
                "there is no file or folder",
                "not enforced yet",
                "cannot be called",
                "does not work yet",
            ];
            let expected = allowed.iter().any(|part| warning.message.contains(part));
            assert!(expected, "{}: {warning}", path.display());
        }
        count += 1;
    }
    assert!(count >= 6, "{count} examples");
}

#[test]
fn every_file_names_its_schema_for_editors() {
    let mut files = vec![];
    for example in fs::read_dir(folder()).unwrap() {
        let path = example.unwrap().path();
        for place in [path.clone(), path.join("endpoints")] {
            files.extend(fs::read_dir(place).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file()));
        }
    }
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let first = text.lines().next().unwrap_or_default();
        let schema =
            first.strip_prefix("# yaml-language-server: $schema=").unwrap_or_else(|| panic!("{}", file.display()));
        assert!(file.parent().unwrap().join(schema).is_file(), "{}: {schema}", file.display());
    }
}
