//! The binary: where it listens, what it prints, how it ends.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "test code that clippy does not take for such"
)]

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use common::{SMOLLM2, model_path};

const BINARY: &str = env!("CARGO_BIN_EXE_weirgate-inference");

/// Ends the process with the test.
struct Engine(Child);

impl Drop for Engine {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Engine {
    fn start(command: &mut Command) -> (Engine, BufReader<ChildStdout>) {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        (Engine(child), stdout)
    }

    /// Exit status after a SIGTERM.
    fn terminate(&mut self) -> std::process::ExitStatus {
        let killed = Command::new("kill").args(["-TERM", &self.0.id().to_string()]).status().unwrap();
        assert!(killed.success());
        self.0.wait().unwrap()
    }
}

fn line(stdout: &mut BufReader<ChildStdout>) -> String {
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    line
}

/// Status line and body of an answer over a Unix socket.
fn get(socket: &Path, path: &str) -> String {
    let mut stream = UnixStream::connect(socket).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn it_serves_on_a_unix_socket_and_ends_on_a_signal() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("engine.sock");
    // What a killed predecessor leaves.
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    let listen = format!("unix:{}", socket.display());
    let model = model_path(SMOLLM2);
    let serve = |command: &mut Command| {
        command.args(["serve", "--name", "smol", "--listen", &listen, "--model"]).arg(&model);
        Engine::start(command)
    };
    let (mut engine, mut stdout) = serve(&mut Command::new(BINARY));
    let ready = line(&mut stdout);
    assert!(ready.starts_with(&format!("weirgate-inference: smol ready on {listen} in ")), "{ready:?}");
    assert_eq!(std::fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(get(&socket, "/health").starts_with("HTTP/1.1 200"));
    assert!(get(&socket, "/v1/models").contains("\"smol\""));

    // A second one does not take a living one's socket.
    let (mut second, _) = serve(Command::new(BINARY).stderr(Stdio::null()));
    assert_eq!(second.0.wait().unwrap().code(), Some(1));
    assert!(get(&socket, "/health").starts_with("HTTP/1.1 200"));

    assert_eq!(engine.terminate().code(), Some(0));
    assert!(!socket.exists());
}

#[test]
fn a_running_answer_does_not_hold_up_the_end() {
    let mut command = Command::new(BINARY);
    command.args(["serve", "--name", "m", "--listen", "127.0.0.1:0", "--model"]).arg(model_path(SMOLLM2));
    let (mut engine, mut stdout) = Engine::start(&mut command);
    let ready = line(&mut stdout);
    let address = ready.split(' ').nth(4).unwrap();
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    let body = r#"{"model":"m","prompt":"Once","max_tokens":8000,"ignore_eos":true,"stream":true}"#;
    let length = body.len();
    write!(stream, "POST /v1/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n{body}").unwrap();
    stream.read_exact(&mut [0; 300]).unwrap();
    let asked = Instant::now();
    assert_eq!(engine.terminate().code(), Some(0));
    assert!(asked.elapsed() < Duration::from_secs(8), "{:?}", asked.elapsed());
}

#[test]
fn it_goes_when_its_parent_goes() {
    let mut shell = Command::new("sh");
    // The shell stays the parent and tells the engine's number.
    let script = r#""$0" serve --exit-with-parent --listen 127.0.0.1:0 --model "$1" & echo $!; wait"#;
    shell.args(["-c", script, BINARY]).arg(model_path(SMOLLM2));
    let (mut parent, mut stdout) = Engine::start(&mut shell);
    let pid = line(&mut stdout).trim().to_owned();
    assert!(line(&mut stdout).contains("ready on"));
    parent.0.kill().unwrap();
    parent.0.wait().unwrap();
    // The pipe closes when the last process that holds it has ended.
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "");
    let gone = Instant::now();
    while Path::new("/proc").join(&pid).join("exe").exists() {
        assert!(gone.elapsed() < Duration::from_secs(5));
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_missing_model_ends_it_with_a_reason() {
    let output =
        Command::new(BINARY).args(["serve", "--listen", "127.0.0.1:0", "--model", "/none.gguf"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("/none.gguf"));
}
