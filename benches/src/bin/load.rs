//! A fixed number of requests over a fixed number of keep-alive connections.
//!
//! `load ADDRESS REQUESTS CONNECTIONS KEY < BODY` posts the body to `/v1/chat/completions` and prints one JSON line:
//! `{"requests":…,"errors":…,"seconds":…,"p50_us":…,"p99_us":…}`. An error is a status other than 200, a stream that does
//! not end in `[DONE]`, or a broken connection; the first one is told on stderr.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// What all connections share.
struct Run {
    address: String,
    request: Vec<u8>,
    left: AtomicI64,
    told: AtomicBool,
}

#[derive(Default)]
struct Tally {
    latencies: Vec<Duration>,
    errors: usize,
}

impl Run {
    fn one_connection(&self) -> Tally {
        let mut tally = Tally::default();
        let mut connection = None;
        while self.left.fetch_sub(1, Ordering::Relaxed) > 0 {
            let start = Instant::now();
            let answered = match connection.take() {
                Some(open) => self.ask(open),
                None => self.connect().and_then(|fresh| self.ask(fresh)),
            };
            match answered {
                Ok(open) => {
                    tally.latencies.push(start.elapsed());
                    connection = Some(open);
                }
                Err(error) => {
                    tally.errors += 1;
                    if !self.told.swap(true, Ordering::Relaxed) {
                        eprintln!("load: {}: {error}", self.address);
                    }
                }
            }
        }
        tally
    }

    fn connect(&self) -> io::Result<BufReader<TcpStream>> {
        let stream = TcpStream::connect(&self.address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        Ok(BufReader::with_capacity(64 * 1024, stream))
    }

    fn ask(&self, mut connection: BufReader<TcpStream>) -> io::Result<BufReader<TcpStream>> {
        connection.get_mut().write_all(&self.request)?;
        let mut line = String::new();
        connection.read_line(&mut line)?;
        if !line.starts_with("HTTP/1.1 200 ") {
            return Err(io::Error::other(format!("answered {:?}", line.trim_end())));
        }
        let mut length = None;
        loop {
            line.clear();
            connection.read_line(&mut line)?;
            match line.split_once(':') {
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                    length = Some(value.trim().parse().map_err(io::Error::other)?);
                }
                Some(_) => {}
                None => break,
            }
        }
        match length {
            Some(length) => {
                let mut body = vec![0; length];
                connection.read_exact(&mut body)?;
            }
            None => read_stream(&mut connection)?,
        }
        Ok(connection)
    }
}

/// Reads a chunked body to its end and makes sure that the stream said `[DONE]`.
fn read_stream(connection: &mut BufReader<TcpStream>) -> io::Result<()> {
    let mut line = String::new();
    let mut body = Vec::new();
    loop {
        line.clear();
        connection.read_line(&mut line)?;
        let size = usize::from_str_radix(line.trim_end(), 16).map_err(io::Error::other)?;
        let start = body.len();
        body.resize(start + size + 2, 0);
        connection.read_exact(&mut body[start..])?;
        body.truncate(start + size);
        if size == 0 {
            break;
        }
    }
    if body.trim_ascii_end().ends_with(b"data: [DONE]") {
        Ok(())
    } else {
        Err(io::Error::other("the stream did not end in [DONE]"))
    }
}

/// The value that the share `part` of the sorted latencies does not exceed, in microseconds.
fn percentile(sorted: &[Duration], part: f64) -> u128 {
    let at = (sorted.len() as f64 * part) as usize;
    sorted.get(at.min(sorted.len().saturating_sub(1))).map_or(0, Duration::as_micros)
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let usage = || {
        eprintln!("usage: load ADDRESS REQUESTS CONNECTIONS KEY < BODY");
        ExitCode::FAILURE
    };
    let [address, requests, connections, key] = arguments.as_slice() else { return usage() };
    let (Ok(requests), Ok(connections)) = (requests.parse::<i64>(), connections.parse::<usize>()) else {
        return usage();
    };
    let mut body = String::new();
    if let Err(error) = io::stdin().read_to_string(&mut body) {
        eprintln!("load: cannot read the body: {error}");
        return ExitCode::FAILURE;
    }
    let request = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {key}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let run = Run {
        address: address.clone(),
        request: request.into_bytes(),
        left: AtomicI64::new(requests),
        told: AtomicBool::new(false),
    };

    let start = Instant::now();
    let tallies: Vec<Tally> = thread::scope(|scope| {
        let threads: Vec<_> = (0..connections).map(|_| scope.spawn(|| run.one_connection())).collect();
        threads.into_iter().map(|thread| thread.join().unwrap_or_default()).collect()
    });
    let seconds = start.elapsed().as_secs_f64();

    let errors: usize = tallies.iter().map(|tally| tally.errors).sum();
    let mut latencies: Vec<Duration> = tallies.into_iter().flat_map(|tally| tally.latencies).collect();
    latencies.sort_unstable();
    println!(
        r#"{{"requests":{requests},"errors":{errors},"seconds":{seconds:.3},"p50_us":{},"p99_us":{}}}"#,
        percentile(&latencies, 0.5),
        percentile(&latencies, 0.99)
    );
    ExitCode::SUCCESS
}
