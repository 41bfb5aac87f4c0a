//! CPU time of translating a 1 KB request and its answer, and a streamed event, for each API of each provider, beside
//! the same of a provider that speaks the client's schema. Prints Markdown; `make bench-translate` keeps it.
//!
//! It counts the thread's CPU time, not the clock's, so that a busy machine disturbs it little. Rounds alternate
//! between a case and its pass-through; the median counts.

mod cases;

use std::fmt::Debug;
use std::hint::black_box;
use std::process::ExitCode;

use cases::{Case, DELTAS};
use rustix::time::{ClockId, clock_gettime};
use weirgate_translate::{Ask, Asked, Back, Cx, Fill, Model, Reply, Secrets, Stream, Task, openai};

// As in the gateway.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ROUNDS: usize = 15;
/// µs of CPU in one measurement.
const LENGTH: f64 = 10_000.0;
/// Most µs over pass-through.
const PAIR_TARGET: f64 = 15.0;
const EVENT_TARGET: f64 = 3.0;

fn main() -> ExitCode {
    match cases::all().and_then(|cases| report(&cases)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("bench-translate: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn report(cases: &[Case]) -> Result<(), String> {
    for case in cases {
        case.check().map_err(|problem| format!("{} {}: {problem}", case.provider, case.model))?;
    }
    println!("## Request and whole answer, about 1 KB each: µs of CPU, target ≤ {PAIR_TARGET} over pass-through\n");
    table(cases, PAIR_TARGET, |case| Some((1, || drop(black_box(case.pair_once())))))?;
    println!("\n## One streamed event, each arriving alone: µs of CPU, target ≤ {EVENT_TARGET} over pass-through\n");
    println!(
        "Streams of {DELTAS} text events of 23 characters, and those that begin and end it, the making of the stream included.\n"
    );
    table(cases, EVENT_TARGET, |case| {
        (!case.events.is_empty()).then_some((case.events.len(), || drop(black_box(case.stream_once()))))
    })
}

/// `of` gives how many units a run of a case does, and the run.
fn table<'c, F: Fn()>(
    cases: &'c [Case],
    target: f64,
    of: impl Fn(&'c Case) -> Option<(usize, F)>,
) -> Result<(), String> {
    println!("| provider | API | task | translated | pass-through | over it | within |\n|---|---|---|--:|--:|--:|---|");
    for case in cases {
        let same = cases.iter().find(|same| same.pair.is_none() && same.task == case.task);
        let same = same.and_then(&of);
        let (Some(pair), Some((units, run)), Some((same_units, same_run))) = (case.pair, of(case), same) else {
            continue;
        };
        let (runs, same_runs) = (runs_for(&run), runs_for(&same_run));
        let (mut translated, mut passed) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            translated.push(cpu_of(&run, runs) / units as f64);
            passed.push(cpu_of(&same_run, same_runs) / same_units as f64);
        }
        let (translated, passed) = (median(translated), median(passed));
        let over = translated - passed;
        let within = if over <= target { "yes" } else { "**no**" };
        println!(
            "| {} | {} | {} | {translated:.2} | {passed:.2} | {over:.2} | {within} |",
            case.provider,
            pair.api,
            case.task.name().trim_start_matches("llm/v1/"),
        );
    }
    Ok(())
}

/// How often to run something for a measurement.
fn runs_for(run: &impl Fn()) -> usize {
    cpu_of(run, 200);
    (LENGTH / cpu_of(run, 200)).ceil() as usize
}

/// µs of CPU of one run.
fn cpu_of(run: &impl Fn(), runs: usize) -> f64 {
    let now = || {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        time.tv_sec as f64 * 1e6 + time.tv_nsec as f64 / 1e3
    };
    let start = now();
    (0..runs).for_each(|_| run());
    (now() - start) / runs as f64
}

fn told(error: impl Debug) -> String {
    format!("{error:?}")
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied().unwrap_or(f64::NAN)
}

impl Case {
    /// A request on its way out, and its answer on its way back: characters of the answer.
    fn pair_once(&self) -> Result<u64, String> {
        let ask = Ask::peek(self.request.as_bytes(), self.task).map_err(told)?;
        let Some(pair) = self.pair else {
            black_box(ask.outgoing(Model::Name(&self.model)));
            let answer = openai::answer(&self.answer, self.task, &self.back().fill, &Secrets::default());
            return Ok(black_box(answer.map_err(told)?).answer_chars);
        };
        let cx = Cx { model: &self.model, default_max_tokens: None };
        black_box(pair.request(&ask, &cx).map_err(told)?);
        let reply = Reply { status: 200, header: &|_| None, body: &self.answer };
        Ok(black_box(pair.answer(&[reply], &self.back()).map_err(told)?).answer_chars)
    }

    /// A whole stream, event by event.
    fn stream_once(&self) -> Option<Stream> {
        let back = self.back();
        let mut stream = match self.pair {
            Some(pair) => pair.stream(back)?,
            None => Stream::Same(openai::Stream::new(self.task, true, back.fill, back.secrets)),
        };
        for event in &self.events {
            black_box(stream.push(event));
        }
        black_box(stream.finish());
        Some(stream)
    }

    fn back(&self) -> Back {
        let fill = Fill { id: "chatcmpl-0123456789abcdef".into(), created: 1_700_000_000, model: self.model.clone() };
        Back { fill, secrets: Secrets::default(), asked: Asked { include_usage: true, ..Asked::default() } }
    }

    /// That what is measured is what it should be: all text comes through.
    fn check(&self) -> Result<(), String> {
        let chars = self.pair_once()?;
        if self.task != Task::Embeddings && chars < 800 {
            return Err(format!("only {chars} characters of the answer came through"));
        }
        if self.events.is_empty() {
            return Ok(());
        }
        let stream = self.stream_once().ok_or("does not stream")?;
        match stream.outcome() {
            Some(Ok(())) if stream.answer_chars() == 23 * DELTAS as u64 => Ok(()),
            outcome => Err(format!("the stream ended with {outcome:?}, {} characters", stream.answer_chars())),
        }
    }
}
