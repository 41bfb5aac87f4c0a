//! The engine's binary.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use weirgate_inference::engine::EngineConfig;
use weirgate_inference::load::LoadOptions;
use weirgate_inference::serve::{Listen, ServeOptions, serve};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Weirgate's inference engine.
#[derive(Parser)]
#[command(name = "weirgate-inference", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serves one model over an OpenAI-compatible HTTP interface
    Serve(ServeArgs),
}

#[derive(Args)]
struct ServeArgs {
    /// A GGUF file, or a folder with safetensors
    #[arg(long, value_name = "FILE_OR_DIR")]
    model: PathBuf,
    /// Name that requests give the model [default: the file's name without its ending]
    #[arg(long)]
    name: Option<String>,
    /// HOST:PORT or unix:PATH
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8000")]
    listen: Listen,
    /// Threads of the CPU backend; 0 is one per core
    #[arg(long, default_value_t = 0)]
    threads: usize,
    /// Longest sequence in tokens, if shorter than the model's own
    #[arg(long, value_name = "TOKENS")]
    max_context: Option<usize>,
    /// Bytes for keys and values of all running sequences
    #[arg(long, value_name = "BYTES", default_value_t = 1 << 30)]
    kv_bytes: usize,
    /// Rows that one step computes at most: a token of each running sequence, and pieces of new prompts
    #[arg(long, value_name = "TOKENS", default_value = "256")]
    max_batch_tokens: NonZeroUsize,
    /// Sequences in the running batch at most
    #[arg(long, value_name = "SEQUENCES", default_value = "64")]
    max_running: NonZeroUsize,
    /// Sequences that may wait for a place in the batch; one more is answered with 429
    #[arg(long, value_name = "SEQUENCES", default_value = "256")]
    queue: NonZeroUsize,
    /// Stop when the parent process has gone
    #[arg(long)]
    exit_with_parent: bool,
}

impl From<ServeArgs> for ServeOptions {
    fn from(args: ServeArgs) -> Self {
        ServeOptions {
            name: args.name.unwrap_or_else(|| name_of(&args.model)),
            listen: args.listen,
            load: LoadOptions { threads: args.threads, kv_bytes: args.kv_bytes, max_context: args.max_context },
            engine: EngineConfig {
                max_batch_tokens: args.max_batch_tokens.get(),
                max_running: args.max_running.get(),
                queue: args.queue.get(),
            },
            exit_with_parent: args.exit_with_parent,
            model: args.model,
        }
    }
}

fn name_of(model: &Path) -> String {
    let name = if model.is_dir() { model.file_name() } else { model.file_stem() };
    name.map_or_else(|| "model".into(), |name| name.to_string_lossy().into_owned())
}

fn main() -> ExitCode {
    let Command::Serve(args) = Cli::parse().command;
    // The model's own threads do the work; these two only move bytes.
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&format!("cannot start the runtime: {error}")),
    };
    let outcome = runtime.block_on(serve(args.into()));
    // A prompt that is still being tokenized must not hold up the exit.
    runtime.shutdown_background();
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error.to_string()),
    }
}

fn fail(message: &str) -> ExitCode {
    eprintln!("weirgate-inference: {message}");
    ExitCode::FAILURE
}
