//! `weirgate`: the gateway, and the commands around it.

mod api;
mod app;
mod background;
mod body;
mod call;
mod cli;
mod drain;
mod edge;
mod engines;
mod error;
mod identity;
mod live;
mod metrics;
mod models;
mod ops;
mod record;
mod registry;
mod reply;
mod resolver;
mod route;
mod run;
mod table;
mod tls;
mod upstream;

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Pingora logs every client that hangs up as an error; operators count those in metrics instead.
    let default = "warn,weirgate=info,pingora_core=error,pingora_core::apps=off,pingora_core::protocols=off";
    env_logger::Builder::from_env(env_logger::Env::new().filter_or("WEIRGATE_LOG", default)).init();
    match cli::run() {
        Ok(code) => code,
        Err(e) => {
            eprintln!("weirgate: {e}");
            ExitCode::FAILURE
        }
    }
}
