//! Config folders with everything that is said about them, word for word: `tests/golden/<case>/expected.txt`.
//! `UPDATE_GOLDEN=1 cargo test -p weirgate-config --test golden` rewrites them; read the difference before committing it.

use std::{fs, path::Path};

use weirgate_config::{NoSecrets, load};

#[test]
fn every_finding_is_said_with_its_place() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut wrong = Vec::new();
    let mut cases: Vec<_> = fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    for case in &cases {
        let said = match load(case, &NoSecrets) {
            Ok(snapshot) => snapshot.warnings.iter().map(|warning| format!("{warning}\n")).collect(),
            Err(diagnostics) => format!("{diagnostics}\n"),
        };
        assert!(!said.contains("sk-"), "a secret is shown: {said}");
        let expected = case.join("expected.txt");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&expected, &said).unwrap();
        }
        if fs::read_to_string(&expected).unwrap_or_default() != said {
            wrong.push(format!("{}:\n{said}", case.display()));
        }
    }
    assert!(cases.len() >= 5);
    assert!(wrong.is_empty(), "not as expected:\n{}", wrong.join("\n"));
}
