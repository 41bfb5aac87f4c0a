//! The command line.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use weirgate_config::{NoSecrets, schema};
use weirgate_control::Store;
use weirgate_control::audit::{Audit, Entry};
use weirgate_control::vault::MasterKey;
use weirgate_policy::identity::{Principal, PrincipalKind};
use zeroize::Zeroizing;

use crate::error::ProxyError;
use crate::run;

/// Who makes what is made on the command line.
const BY: &str = "command";
/// Names the variable with the master key that secrets get.
const NEW_KEY: &str = "WEIRGATE_NEW_MASTER_KEY";

/// The gateway in front of all LLM traffic.
#[derive(Parser)]
#[command(name = "weirgate", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the gateway.
    Run {
        #[command(flatten)]
        folders: Folders,
        /// Listen here instead of on the listeners of weirgate.yaml (may be repeated).
        #[arg(long, value_name = "ADDR")]
        listen: Vec<SocketAddr>,
    },
    /// Validate a config folder; names every mistake at once.
    Check {
        /// The folder with weirgate.yaml, endpoints/ and catalog.yaml.
        dir: PathBuf,
        /// Look secrets up in this state folder; without it they count as missing.
        #[arg(long, value_name = "DIR")]
        state: Option<PathBuf>,
    },
    /// Print the JSON Schemas of the config files, or write them to a folder.
    Schema {
        /// Write the files into this folder instead.
        #[arg(long, value_name = "DIR")]
        write: Option<PathBuf>,
    },
    /// Tokens made at run time.
    Token {
        #[command(subcommand)]
        command: TokenCommand,
    },
    /// Secrets kept under the state folder.
    Secrets {
        #[command(subcommand)]
        command: SecretsCommand,
    },
    /// Copy the state database to a new file; works beside a running gateway. Secrets in the copy need the master key.
    Backup {
        #[command(flatten)]
        folders: Folders,
        /// The file to make.
        file: PathBuf,
    },
}

#[derive(Subcommand)]
enum SecretsCommand {
    /// Seal all secrets with a new master key: that of WEIRGATE_NEW_MASTER_KEY (32 bytes, base64), else a random one
    /// for the key file.
    RotateKey {
        #[command(flatten)]
        folders: Folders,
    },
}

#[derive(Subcommand)]
enum TokenCommand {
    /// Make a token and print it once; works beside a running gateway.
    Create {
        #[command(flatten)]
        folders: Folders,
        /// Whose token it is.
        #[arg(long, value_parser = name)]
        user: String,
        /// A group that the user belongs to (may be repeated).
        #[arg(long = "group", value_name = "GROUP", value_parser = name)]
        groups: Vec<String>,
        /// The user may do everything.
        #[arg(long)]
        admin: bool,
        /// How long the token is accepted, such as 30d or 12h; for ever if not given.
        #[arg(long, value_parser = lifetime)]
        lifetime: Option<Duration>,
    },
}

#[derive(Args)]
struct Folders {
    /// The config folder.
    #[arg(long, value_name = "DIR")]
    config: PathBuf,
    /// Where tokens and other state are kept; default: `state` in the config folder.
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
}

impl Folders {
    fn state(&self) -> PathBuf {
        self.state.clone().unwrap_or_else(|| self.config.join("state"))
    }
}

/// Runs what the command line asks for.
pub fn run() -> Result<ExitCode, ProxyError> {
    match Cli::parse().command {
        Command::Run { folders, listen } => run::run(&folders.config, &folders.state(), &listen),
        Command::Check { dir, state } => check(&dir, state.as_deref()),
        Command::Schema { write } => print_schemas(write.as_deref()),
        Command::Token { command: TokenCommand::Create { folders, user, groups, admin, lifetime } } => {
            let groups = groups.iter().map(|group| group.as_str().into()).collect();
            let whose = Principal { kind: PrincipalKind::User, name: user.as_str().into(), groups, admin };
            let seconds = lifetime.map(|lifetime| lifetime.as_secs());
            let (text, token) = Store::open(&folders.state())?.create_token(&whose, BY, "", seconds)?;
            audit(&folders.state(), "token.create", &token.id)?;
            println!("{text}");
            Ok(ExitCode::SUCCESS)
        }
        Command::Secrets { command: SecretsCommand::RotateKey { folders } } => rotate_key(&folders.state()),
        Command::Backup { folders, file } => {
            Store::open(&folders.state())?.backup(&file)?;
            println!("{} holds the state", file.display());
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Notes a change that was made on the command line.
fn audit(state: &Path, action: &str, target: &str) -> Result<(), ProxyError> {
    Audit::open(state)?.write(&Entry {
        actor: BY,
        actor_kind: "System",
        address: None,
        request_id: None,
        action,
        target,
        old_version: None,
        new_version: None,
        outcome: "ok",
    });
    Ok(())
}

fn rotate_key(state: &Path) -> Result<ExitCode, ProxyError> {
    let new = match std::env::var(NEW_KEY) {
        Ok(text) if !text.is_empty() => Some(MasterKey::parse(&Zeroizing::new(text))?),
        _ => None,
    };
    let given = new.is_some();
    let secrets = run::open_store(state)?.rotate_master_key(new)?;
    let then = if given { "gateways need it in WEIRGATE_MASTER_KEY" } else { "it is in the key file" };
    audit(state, "secrets.rotate_key", "master key")?;
    println!("{secrets} secrets are sealed with the new key; {then}");
    Ok(ExitCode::SUCCESS)
}

fn check(dir: &Path, state: Option<&Path>) -> Result<ExitCode, ProxyError> {
    let loaded = match state {
        Some(state) => weirgate_config::load(dir, &run::open_store(state)?),
        None => weirgate_config::load(dir, &NoSecrets),
    };
    Ok(match loaded {
        Ok(snapshot) => {
            for warning in &snapshot.warnings {
                println!("{warning}");
            }
            let (endpoints, models) = (snapshot.endpoints.len(), snapshot.models.len());
            println!(
                "{}: ok: {endpoints} endpoints, {models} catalog models, {} warnings",
                dir.display(),
                snapshot.warnings.len()
            );
            ExitCode::SUCCESS
        }
        Err(diagnostics) => {
            println!("{diagnostics}");
            ExitCode::FAILURE
        }
    })
}

fn print_schemas(folder: Option<&Path>) -> Result<ExitCode, ProxyError> {
    for (name, schema) in schema::all() {
        let text = schema::to_text(schema);
        match folder {
            Some(folder) => {
                let path = folder.join(name);
                std::fs::write(&path, text)
                    .map_err(|source| ProxyError::Io { what: format!("writing {}", path.display()), source })?;
            }
            None => println!("// {name}\n{text}"),
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn name(text: &str) -> Result<String, String> {
    const LONGEST: usize = 255;
    let plain = (1..=LONGEST).contains(&text.len()) && !text.contains(char::is_control) && text.trim() == text;
    plain
        .then(|| text.to_owned())
        .ok_or_else(|| format!("a name has 1 to {LONGEST} bytes, no control characters and no spaces around it"))
}

fn lifetime(text: &str) -> Result<Duration, String> {
    let seconds = |(digits, unit): (&str, &str)| {
        let factor = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3600,
            "d" => 86_400,
            _ => return None,
        };
        digits.parse::<u64>().ok()?.checked_mul(factor).filter(|seconds| *seconds > 0)
    };
    let parsed = text.len().checked_sub(1).and_then(|end| text.split_at_checked(end)).and_then(seconds);
    parsed.map(Duration::from_secs).ok_or_else(|| "give a number with a unit, such as 30d, 12h or 90s".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn lifetimes() {
        assert_eq!(lifetime("30d").unwrap().as_secs(), 2_592_000);
        assert_eq!(lifetime("90s").unwrap().as_secs(), 90);
        for wrong in ["", "d", "0d", "30", "-1d", "3w", "99999999999999999999d", "9é"] {
            assert!(lifetime(wrong).is_err(), "{wrong}");
        }
    }
}
