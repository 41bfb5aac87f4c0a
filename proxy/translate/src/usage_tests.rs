use proptest::prelude::*;

use super::*;

#[test]
fn classes_do_not_overlap() {
    let usage = Usage::from_openai(
        r#"{"prompt_tokens":100,"completion_tokens":50,"total_tokens":150,
            "prompt_tokens_details":{"cached_tokens":60,"audio_tokens":0},
            "completion_tokens_details":{"reasoning_tokens":20,"audio_tokens":0}}"#,
    )
    .unwrap();
    assert_eq!(usage, Usage { fresh_input: 40, cache_read: 60, cache_write: 0, reasoning: 20, output: 30 });
    assert_eq!((usage.input(), usage.completion(), usage.total()), (100, 50, 150));
}

#[test]
fn embeddings_and_databricks_leave_completion_tokens_out() {
    assert_eq!(Usage::from_openai(r#"{"prompt_tokens":7,"total_tokens":7}"#).unwrap().completion(), 0);
    assert_eq!(Usage::from_openai(r#"{"prompt_tokens":7,"total_tokens":9}"#).unwrap().output, 2);
}

#[test]
fn absurd_numbers_saturate() {
    let usage = Usage::from_openai(
        r#"{"prompt_tokens":-5,"completion_tokens":1e300,"prompt_tokens_details":{"cached_tokens":9},
            "completion_tokens_details":null,"total_tokens":18446744073709551616}"#,
    )
    .unwrap();
    assert_eq!(usage, Usage { output: u64::MAX, ..Usage::default() });
    let usage = Usage { fresh_input: u64::MAX, output: 1, ..Usage::default() };
    assert_eq!(usage.total(), u64::MAX);
}

#[test]
fn what_is_no_usage_is_none() {
    for json in ["null", "{}", "[]", "[1,2,3]", "5", r#"{"prompt_tokens":"7"}"#, r#"{"prompt_tokens":null}"#, "{"] {
        assert_eq!(Usage::from_openai(json), None, "{json}");
    }
}

#[test]
fn estimates_as_the_contract_says() {
    assert_eq!([0, 2, 3, 7, u64::MAX].map(estimate), [0, 0, 1, 2, u64::MAX / 4]);
}

proptest! {
    #[test]
    fn sums_are_the_providers(prompt: u32, cached: u32, completion: u32, reasoning: u32) {
        let json = format!(
            r#"{{"prompt_tokens":{prompt},"completion_tokens":{completion},"prompt_tokens_details":{{"cached_tokens":{cached}}},
                "completion_tokens_details":{{"reasoning_tokens":{reasoning}}}}}"#
        );
        let usage = Usage::from_openai(&json).unwrap();
        prop_assert_eq!((usage.input(), usage.completion()), (u64::from(prompt), u64::from(completion)));
    }

    #[test]
    fn any_text_is_survived(json in ".{0,64}") {
        Usage::from_openai(&json);
    }
}
