use serde_json::{from_value, json};

use super::*;

#[test]
fn percentages_and_versions_come_as_numbers_or_digits() {
    assert_eq!(from_value::<Percent>(json!("90")).unwrap(), Percent(90));
    assert_eq!(from_value::<Percent>(json!(100)).unwrap(), Percent(100));
    for wrong in [json!(101), json!("101"), json!(-1), json!(1.5), json!(true), json!("+5"), json!(""), json!(null)] {
        assert!(from_value::<Percent>(wrong.clone()).is_err(), "{wrong}");
    }
    assert_eq!(from_value::<Version>(json!(3)).unwrap(), Version("3".into()));
    assert_eq!(from_value::<Version>(json!("1")).unwrap(), Version("1".into()));
    for wrong in [json!("latest"), json!(""), json!(true), json!(1.0), json!(-1)] {
        assert!(from_value::<Version>(wrong.clone()).is_err(), "{wrong}");
    }
}

#[test]
fn sizes_and_durations_read_and_print_the_same() {
    for (text, bytes) in [("32MiB", 32 << 20), ("1GiB", 1 << 30), ("1500B", 1500), ("4KiB", 4096)] {
        let size: ByteSize = from_value(json!(text)).unwrap();
        assert_eq!((size.0, size.to_string().as_str()), (bytes, text));
    }
    assert_eq!(from_value::<ByteSize>(json!(1024)).unwrap().to_string(), "1KiB");
    for (text, milliseconds) in [("500ms", 500), ("30s", 30_000), ("90m", 5_400_000), ("1h", 3_600_000), ("0ms", 0)] {
        let span: Span = from_value(json!(text)).unwrap();
        assert_eq!((span.0.as_millis(), span.to_string().as_str()), (milliseconds, text));
    }
    for wrong in ["", "30", "s", "1d", "-1s", "1.5s", "99999999999999999999s"] {
        assert!(from_value::<Span>(json!(wrong)).is_err(), "{wrong}");
    }
}

#[test]
fn debug_shows_references_and_nothing_else() {
    assert_eq!(format!("{:?}", SecretRef("{{env/KEY}}".into())), "{{env/KEY}}");
    assert_eq!(format!("{:?}", SecretRef("sk-secret".into())), "<redacted>");
    assert_eq!(format!("{:?}", Plaintext("sk-secret".into())), "<redacted>");
}
