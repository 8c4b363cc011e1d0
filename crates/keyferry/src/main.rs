//! Keyferry's command line: thin. What a command does is in the crate it is about.
#![warn(clippy::print_stdout, clippy::print_stderr)]

/// Prints a line to standard output. Unlike `println!` it does not panic when nobody reads, or the disk is full: the
/// command goes on with what it is there for, and its exit code tells (see `out`).
macro_rules! say {
    ($($text:tt)*) => { $crate::out::line(format_args!($($text)*)) };
}

/// Prints a line to standard error. Unlike `eprintln!` it does not panic where that cannot be written: what is worth a
/// line there is not worth an HSM's life.
macro_rules! complain {
    ($($text:tt)*) => { $crate::out::complaint(format_args!($($text)*)) };
}

mod commands;
mod demo;
mod files;
mod hsm_child;
mod out;
mod secret;
mod show;
mod time;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Keys and software for payment terminals, from a distance.
#[derive(Parser)]
#[command(name = "keyferry", version, propagate_version = true, arg_required_else_help = true)]
#[command(after_help = "Start with `keyferry demo`: the whole story on a temporary folder.")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Demo(demo::Demo),
    Init(commands::init::Init),
    Server(commands::server::Server),
    #[command(subcommand)]
    Hsm(commands::hsm::Hsm),
    #[command(subcommand)]
    Ca(commands::ca::Ca),
    #[command(subcommand)]
    Card(commands::card::Card),
    #[command(subcommand)]
    Kms(commands::kms::Kms),
    #[command(subcommand)]
    Rks(commands::rks::Rks),
    #[command(subcommand)]
    Mtms(commands::mtms::Mtms),
    #[command(subcommand)]
    Kld(commands::kld::Kld),
    #[command(subcommand)]
    Station(commands::station::Station),
    Diagnose(commands::evidence::Diagnose),
    #[command(subcommand)]
    Terminal(commands::terminal::Terminal),
    #[command(subcommand)]
    Tms(commands::tms::Tms),
    #[command(subcommand)]
    Host(commands::host::Host),
    #[command(subcommand)]
    Audit(commands::audit::Audit),
    Calc(commands::calc::Calc),
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Demo(demo) => demo.run(),
        Command::Init(init) => init.run(),
        Command::Server(server) => server.run(),
        Command::Hsm(hsm) => hsm.run(),
        Command::Ca(ca) => ca.run(),
        Command::Card(card) => card.run(),
        Command::Kms(kms) => kms.run(),
        Command::Rks(rks) => rks.run(),
        Command::Mtms(mtms) => mtms.run(),
        Command::Kld(kld) => kld.run(),
        Command::Station(station) => station.run(),
        Command::Diagnose(diagnose) => diagnose.run(),
        Command::Terminal(terminal) => terminal.run(),
        Command::Tms(tms) => tms.run(),
        Command::Host(host) => host.run(),
        Command::Audit(audit) => audit.run(),
        Command::Calc(calc) => calc.run(),
    };
    match done {
        Ok(code) => out::exit_code().unwrap_or(code),
        Err(error) => {
            complain!("keyferry: {}", out::with_causes(&error));
            ExitCode::FAILURE
        }
    }
}
