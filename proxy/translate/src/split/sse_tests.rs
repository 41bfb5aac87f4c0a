use proptest::prelude::*;

use super::*;

/// The data of all events, fed in pieces of these lengths, and what was left over.
fn events(stream: &[u8], pieces: &[usize]) -> (Vec<Vec<u8>>, bool) {
    let mut splitter = Splitter::default();
    let mut found = Vec::new();
    for piece in crate::recorded::pieces(stream, pieces) {
        splitter.push(piece, |event| found.push(event.data.into_owned())).unwrap();
    }
    (found, splitter.rest().is_some())
}

#[test]
fn every_line_end_ends_events() {
    for end in ["\n\n", "\r\n\r\n", "\r\r", "\n\r\n", "\r\n\n", "\n\r", "\r\n\r"] {
        let stream = format!("data: a{end}data: b{end}");
        for size in [1, 2, 3, 100] {
            let (found, partial) = events(stream.as_bytes(), &[size]);
            assert_eq!((found, partial), (vec![b"a".to_vec(), b"b".to_vec()], false), "{end:?} in pieces of {size}");
        }
    }
}

#[test]
fn only_data_is_kept() {
    let stream = b"\xEF\xBB\xBF: hi\nevent: x\nid: 1\nretry: 5\ndata: {\ndata:\"a\": 1\ndata\ndata:  }\n\n: ping\n\ndata:\n\n\n\nbad\n\ndatabase: 1\n\ndata: 2\n\ndata: cut";
    let (found, partial) = events(stream, &[1000]);
    assert_eq!(found, [b"{\n\"a\": 1\n\n }".to_vec(), b"2".to_vec()]);
    assert!(partial);
}

#[test]
fn events_in_one_chunk_are_slices_of_it() {
    let chunk = Bytes::from_static(b"data: 1\n\ndata: 2\n\n");
    let mut out = Output::new(&chunk);
    Splitter::default().push(&chunk, |event| out.add(event.as_is.unwrap())).unwrap();
    let sent = out.finish();
    assert_eq!((sent.as_ptr(), sent.len()), (chunk.as_ptr(), chunk.len()));
}

#[test]
fn what_is_held_back_is_bounded() {
    let mut splitter = Splitter::default();
    let piece = vec![b'x'; 64 * 1024];
    let pushed = (0..100).take_while(|_| splitter.push(&piece, |_| {}).is_ok()).count();
    assert_eq!(pushed, 16);
    assert!(splitter.held.len() <= MAX_EVENT);
    let whole = [&vec![b'x'; MAX_EVENT][..], b"\n\n"].concat();
    assert_eq!(Splitter::default().push(&whole, |_| {}), Err(Broken::TooLong));
}

/// What streams are made of.
const PARTS: &[&[u8]] = &[
    b"data: x",
    b"data:y",
    b"data",
    b": c",
    b"id: 1",
    b"\n",
    b"\n\n",
    b"\r",
    b"\r\n",
    b"\r\n\r\n",
    b"\xEF\xBB\xBF",
    b" ",
    b"\xC3",
];

proptest! {
    #[test]
    fn any_split_gives_the_same_events(
        stream in prop::collection::vec(prop::sample::select(PARTS), 0..24),
        pieces in prop::collection::vec(1..9_usize, 1..9),
    ) {
        let stream = stream.concat();
        prop_assert_eq!(events(&stream, &pieces), events(&stream, &[stream.len().max(1)]));
    }

    #[test]
    fn any_bytes_are_survived(stream in prop::collection::vec(any::<u8>(), 0..256), pieces in prop::collection::vec(1..9_usize, 1..5)) {
        events(&stream, &pieces);
    }
}
