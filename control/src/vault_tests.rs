use proptest::prelude::*;

use super::*;

#[test]
fn a_key_reads_as_it_was_written() {
    let key = MasterKey::generate();
    let text = key.to_text();
    assert_eq!(MasterKey::parse(&format!(" {}\n", &*text)).unwrap().id(), key.id());
    assert_ne!(MasterKey::generate().id(), key.id());
    assert!(!key.id().contains(&text[..8]));
    for bad in ["", "c2hvcnQ=", &text[1..], "not base64 at all"] {
        let Err(error) = MasterKey::parse(bad) else { panic!("{bad}") };
        assert!(bad.is_empty() || !error.to_string().contains(bad), "{error}");
    }
}

#[test]
fn the_variable_holds_one_key_or_more() {
    let (one, two) = (MasterKey::generate(), MasterKey::generate());
    let ids = |text: &str| MasterKey::parse_list(text).map(|keys| keys.iter().map(|key| key.id().to_owned()).collect());
    let ids: [Result<Vec<String>, _>; 3] = [
        ids(&one.to_text()),
        ids(&format!("{}, {}\n", &*one.to_text(), &*two.to_text())),
        ids(&format!("{},", &*one.to_text())),
    ];
    assert_eq!(ids[0].as_ref().unwrap(), &[one.id()]);
    assert_eq!(ids[1].as_ref().unwrap(), &[one.id(), two.id()]);
    assert!(ids[2].as_ref().unwrap_err().to_string().contains(MASTER_KEY_VARIABLE));
}

/// Key, nonce, associated data, plaintext and result as computed with Python's `cryptography` (AESGCM).
#[test]
fn the_form_on_disk_is_nonce_ciphertext_tag() {
    let key = MasterKey::new(Zeroizing::new(std::array::from_fn(|n| n as u8)));
    let sealed = hex::decode(include_str!("vault_golden.hex").trim()).unwrap();
    assert_eq!(&**key.open("prod", "openai", &sealed).unwrap(), b"sk-a value");
    assert_eq!(key.id(), "7cf0fb764f671ff3b095d5921498e854");
}

proptest! {
    #[test]
    fn opening_what_was_sealed_gives_the_value(scope in "[a-z.]{0,8}", name in "[a-z.]{0,8}", value: Vec<u8>) {
        let key = MasterKey::generate();
        let sealed = key.seal(&scope, &name, &value).unwrap();
        prop_assert_eq!(&**key.open(&scope, &name, &sealed).unwrap(), &value);
        prop_assert_ne!(&sealed, &key.seal(&scope, &name, &value).unwrap());
        prop_assert!(MasterKey::generate().open(&scope, &name, &sealed).is_none());
    }

    #[test]
    fn nothing_else_opens(value: Vec<u8>, at: prop::sample::Index, flip in 1u8.., cut: prop::sample::Index) {
        let key = MasterKey::generate();
        let sealed = key.seal("ab", "c", &value).unwrap();
        for (scope, name) in [("a", "bc"), ("abc", ""), ("", "abc"), ("ab", "d"), ("AB", "c")] {
            prop_assert!(key.open(scope, name, &sealed).is_none());
        }
        let mut broken = sealed.clone();
        broken[at.index(sealed.len())] ^= flip;
        prop_assert!(key.open("ab", "c", &broken).is_none());
        prop_assert!(key.open("ab", "c", &sealed[..cut.index(sealed.len())]).is_none());
    }
}
