use super::*;

#[test]
fn the_head_holds_what_was_prepared_and_what_is_passed_on() {
    let url = "http://example.test:81/v1/chat/completions?v=1".parse().unwrap();
    let head = Head::new(&url, JSON, &[("authorization".into(), "Bearer k".into())]);
    let text = |head: Vec<u8>| String::from_utf8(head).unwrap();
    let same = text(head.with("", &[], &Authorization::None, b"x-request-id: r1\r\n", 12));
    let start = "POST /v1/chat/completions?v=1 HTTP/1.1\r\nhost: example.test:81\r\nauthorization: Bearer k\r\n";
    assert!(same.starts_with(start), "{same}");
    assert!(same.ends_with("x-request-id: r1\r\ncontent-length: 12\r\n\r\n"), "{same}");
}

#[test]
fn a_pairs_path_follows_the_base_whatever_the_base_ends_in() {
    for (base, whole) in [("http://h", "/v1/x?a=b"), ("http://h/", "/v1/x?a=b"), ("http://h/p/", "/p/v1/x?a=b")] {
        let head = Head::new(&base.parse().unwrap(), JSON, &[]);
        let own = [("anthropic-version", "1".to_owned())];
        let signed = Authorization::Signed(vec![("x-amz-date".into(), "d".into())]);
        let text = String::from_utf8(head.with("/v1/x?a=b", &own, &signed, b"", 0)).unwrap();
        assert!(text.starts_with(&format!("POST {whole} HTTP/1.1\r\nhost: h\r\n")), "{text}");
        assert!(text.ends_with("x-amz-date: d\r\nanthropic-version: 1\r\ncontent-length: 0\r\n\r\n"), "{text}");
        assert_eq!(head.url("/v1/x?a=b"), format!("http://h{whole}"), "what is signed is what is sent");
    }
}
