//! The program `gw`: arguments in, exit code out. Everything else is in [`gw::cli`].

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    gw::cli::main()
}
