//! The program `gw`: arguments in, exit code out. Everything else is in [`gw::cli`].

fn main() -> std::process::ExitCode {
    gw::cli::main()
}
