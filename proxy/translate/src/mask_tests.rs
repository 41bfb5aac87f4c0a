use super::*;

fn cleaned(text: &str) -> String {
    clean(text, &Secrets::new(["hunter2hunter2", "hunter2hunter2-long", "ab"])).into_owned()
}

#[test]
fn masks_known_and_well_known_credentials() {
    for (text, expected) in [
        ("key hunter2hunter2-long!", "key [masked]!"),
        ("xhunter2hunter2x", "x[masked]x"),
        ("Incorrect API key provided: sk-proj-abc***wxyz. See", "Incorrect API key provided: [masked] See"),
        ("authorization: Bearer abcdefghij0123", "authorization: Bearer [masked]"),
        ("token=dapi0123456789abcdef0123456789abcdef;", "token=[masked];"),
        ("(AKIAIOSFODNN7EXAMPLE)", "([masked])"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc-_d", "[masked]"),
        ("é sk-0123456789 é dapi0123456789abcdef", "é [masked] é [masked]"),
    ] {
        assert_eq!(cleaned(text), expected);
    }
}

#[test]
fn leaves_ordinary_words() {
    for text in ["task-oriented-dialogue", "sk-learn", "Bearer authentication is required", "about", "eyJ", ""] {
        assert!(matches!(clean(text, &Secrets::new(["ab"])), Cow::Borrowed(same) if same == text));
    }
}

#[test]
fn debug_shows_no_secret() {
    assert_eq!(format!("{:?}", Secrets::new(["hunter2hunter2"])), "Secrets(1)");
}

proptest::proptest! {
    #[test]
    fn no_known_secret_survives(before in "\\PC{0,12}", secret in "[!-~é]{6,12}", after in "\\PC{0,12}") {
        proptest::prop_assume!(!"[masked]".contains(&secret));
        let text = clean(&format!("{before}{secret}{after}"), &Secrets::new([secret.as_str()])).into_owned();
        proptest::prop_assert!(!text.contains(&secret), "{}", text);
    }
}
