//! A model provider reduced to its bytes: three canned answers over keep-alive HTTP/1.1. Its own cost is not counted.
//!
//! `upstream_stub LISTEN`. The request's body says which answer: without `"stream":true` a small JSON completion, with it
//! a stream of [`BURST_EVENTS`] events in one write, and with `"user":"paced"` too [`PACED_EVENTS`] events, [`GAP`] apart.

use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

const BURST_EVENTS: usize = 64;
const PACED_EVENTS: usize = 32;
const GAP: Duration = Duration::from_millis(5);

const SMALL: &str = concat!(
    r#"{"id":"chatcmpl-AbCdEf0123456789","object":"chat.completion","created":1760000000,"model":"gpt-4o-mini-2024-07-18","#,
    r#""choices":[{"index":0,"message":{"role":"assistant","content":"The sky scatters blue light most."},"#,
    r#""logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":23,"completion_tokens":8,"total_tokens":31},"#,
    r#""system_fingerprint":"fp_0123456789"}"#
);

/// The answers as they go over the wire, made once.
struct Answers {
    small: Vec<u8>,
    burst: Vec<u8>,
    stream_head: Vec<u8>,
    paced: Vec<Vec<u8>>,
}

impl Answers {
    fn new() -> Self {
        let small = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{SMALL}",
            SMALL.len()
        );
        let stream_head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
        let burst = std::iter::once(stream_head.to_owned()).chain(stream(BURST_EVENTS)).collect::<String>();
        Self {
            small: small.into_bytes(),
            burst: burst.into_bytes(),
            stream_head: stream_head.into(),
            paced: stream(PACED_EVENTS).map(String::into_bytes).collect(),
        }
    }
}

/// The body's chunks of a stream of `events` events: the last two are the usage and `[DONE]`.
fn stream(events: usize) -> impl Iterator<Item = String> {
    (1..=events).map(move |n| {
        let mut event = String::from("data: ");
        if n == events {
            event.push_str("[DONE]");
        } else {
            event.push_str(r#"{"id":"chatcmpl-AbCdEf0123456789","object":"chat.completion.chunk","created":1760000000,"#);
            event.push_str(r#""model":"gpt-4o-mini-2024-07-18","system_fingerprint":"fp_0123456789","#);
            event.push_str(if n == events - 1 {
                r#""choices":[],"usage":{"prompt_tokens":23,"completion_tokens":62,"total_tokens":85}}"#
            } else {
                r#""choices":[{"index":0,"delta":{"content":" word"},"logprobs":null,"finish_reason":null}],"usage":null}"#
            });
        }
        event.push_str("\n\n");
        let mut chunk = String::new();
        // Writing to a string cannot fail.
        let _ = write!(chunk, "{:x}\r\n{event}\r\n", event.len());
        if n == events {
            chunk.push_str("0\r\n\r\n");
        }
        chunk
    })
}

fn serve(stream: TcpStream, answers: &Answers) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut write = stream.try_clone()?;
    let mut read = BufReader::new(stream);
    let mut line = String::new();
    let mut body = Vec::new();
    loop {
        let mut length = 0;
        loop {
            line.clear();
            if read.read_line(&mut line)? == 0 {
                return Ok(());
            }
            if line == "\r\n" {
                break;
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().map_err(io::Error::other)?;
            }
        }
        body.resize(length, 0);
        read.read_exact(&mut body)?;
        if !contains(&body, br#""stream":true"#) {
            write.write_all(&answers.small)?;
        } else if !contains(&body, br#""user":"paced""#) {
            write.write_all(&answers.burst)?;
        } else {
            write.write_all(&answers.stream_head)?;
            for event in &answers.paced {
                write.write_all(event)?;
                thread::sleep(GAP);
            }
        }
    }
}

fn contains(text: &[u8], what: &[u8]) -> bool {
    text.windows(what.len()).any(|window| window == what)
}

fn main() -> ExitCode {
    let Some(listen) = std::env::args().nth(1) else {
        eprintln!("usage: upstream_stub LISTEN");
        return ExitCode::FAILURE;
    };
    let listener = match TcpListener::bind(&listen) {
        Ok(listener) => listener,
        Err(error) => {
            eprintln!("upstream_stub: cannot listen on {listen}: {error}");
            return ExitCode::FAILURE;
        }
    };
    let answers = Arc::new(Answers::new());
    for stream in listener.incoming().flatten() {
        let answers = Arc::clone(&answers);
        // A client that left in the middle is no business of the stub's.
        thread::spawn(move || drop(serve(stream, &answers)));
    }
    ExitCode::SUCCESS
}
