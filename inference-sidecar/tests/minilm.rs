//! all-MiniLM-L6-v2 against sentence-transformers.

mod common;

use common::{embedder, golden, model};
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    text: String,
    ids: Vec<u32>,
    embedding: Vec<f32>,
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

#[test]
fn embeddings_equal_those_of_sentence_transformers() {
    let model = model(common::MINILM);
    let tokenizer = model.tokenizer.clone();
    let mut embedder = embedder(model);
    assert_eq!((embedder.dimensions(), embedder.max_tokens()), (384, 256));
    let cases: Vec<Case> = golden("minilm.json");
    assert_eq!(cases.len(), 20);

    let inputs: Vec<Vec<u32>> =
        cases.iter().map(|case| tokenizer.encode(case.text.as_str(), true).unwrap().get_ids().to_vec()).collect();
    let together = embedder.embed(&inputs).unwrap();
    let mut worst = 1.0f64;
    for ((case, input), embedding) in cases.iter().zip(&inputs).zip(&together) {
        assert_eq!(*input, case.ids, "{:?}", case.text);
        let same = cosine(embedding, &case.embedding);
        assert!(same > 0.9999, "{:?}: {same}", case.text);
        worst = worst.min(same);
        assert!((embedding.iter().map(|x| x * x).sum::<f32>() - 1.0).abs() < 1e-5);
        let alone = embedder.embed(std::slice::from_ref(input)).unwrap();
        assert_eq!(alone[0], *embedding, "{:?} alone and among others", case.text);
    }
    println!("worst cosine {worst}");
}

#[test]
fn bad_inputs_are_refused_with_the_numbers() {
    let mut embedder = embedder(model(common::MINILM));
    let message = |input: Vec<u32>, embedder: &mut Box<dyn weirgate_inference::exec::Embedder>| {
        embedder.embed(&[vec![101, 102], input]).unwrap_err().to_string()
    };
    assert_eq!(message(vec![7; 257], &mut embedder), "an input has 257 tokens; this model takes 256");
    assert_eq!(message(vec![], &mut embedder), "an input has no tokens");
    assert_eq!(message(vec![30522], &mut embedder), "token 30522 is not in the model's vocabulary of 30522");
    assert!(embedder.embed(&[]).unwrap().is_empty());
}
