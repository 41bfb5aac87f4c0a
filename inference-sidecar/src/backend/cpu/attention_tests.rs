use super::*;

const HEADS: Heads = Heads { query: 4, kv: 2, size: 16, window: None };

fn wave(count: usize, speed: f32) -> Vec<f32> {
    (0..count).map(|i| (i as f32 * speed).sin() * 2.0).collect()
}

/// The textbook form in f64: what the query head `head` of `row` sees over the rows `seen`.
fn textbook(qkv: &Buffer, row: usize, head: usize, seen: Range<usize>) -> Vec<f64> {
    let part = |row: usize, at: usize| qkv.row(row)[at * 16..at * 16 + 16].iter().map(|&x| f64::from(x));
    let (key, value) = (HEADS.query + head / 2, HEADS.query + HEADS.kv + head / 2);
    let score = |other| part(row, head).zip(part(other, key)).map(|(q, k)| q * k).sum::<f64>() / 4.0;
    let weights: Vec<f64> = seen.clone().map(|other| score(other).exp()).collect();
    let mut out = vec![0.0; 16];
    for (other, weight) in seen.zip(&weights) {
        out.iter_mut().zip(part(other, value)).for_each(|(out, v)| *out += weight * v / weights.iter().sum::<f64>());
    }
    out
}

/// Causal, windowed and bidirectional, over blocks out of order whose unused slots hold NaN.
#[test]
fn attention_is_the_textbook_formula() {
    let rows = 37;
    let mut qkv = Buffer::default();
    qkv.reset(rows, HEADS.qkv_width()).copy_from_slice(&wave(rows * HEADS.qkv_width(), 0.61));
    let blocks = [4, 0, 2];
    let mut kv = LayerKv::new(5, HEADS);
    kv.keys.fill(f32::NAN);
    kv.values.fill(f32::NAN);
    for row in 0..rows {
        let (keys, values) = qkv.row(row)[HEADS.query * 16..].split_at(HEADS.kv * 16);
        kv.store(HEADS, blocks[row / BLOCK_TOKENS], row % BLOCK_TOKENS, keys, values);
    }
    let mut pool = Pool::new(2).unwrap();
    for (window, sees) in [(None, None), (Some(1), None), (Some(20), None), (None, Some(rows))] {
        let heads = Heads { window, ..HEADS };
        let sequence = Rows { rows: 0..rows, position: 0, blocks: &blocks, sees };
        let mut out = Buffer::default();
        attention(&mut pool, &qkv, &[sequence], heads, &kv, &mut out);
        for row in 0..rows {
            let start = window.map_or(0, |window: usize| (row + 1).saturating_sub(window));
            let seen = start..sees.unwrap_or(row + 1);
            for head in 0..HEADS.query {
                let got = &out.row(row)[head * 16..][..16];
                let want = textbook(&qkv, row, head, seen.clone());
                let close = got.iter().zip(&want).all(|(got, want)| (f64::from(*got) - want).abs() < 1e-5);
                assert!(close, "row {row}, head {head}, window {window:?}: {got:?} {want:?}");
            }
        }
    }
}
