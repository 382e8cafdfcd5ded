//! What asking the host costs for a connection.
//!
//! The bound stands in `docs/architecture.md`.

#![expect(
    clippy::expect_used,
    reason = "this is a benchmark: what is missing ends it"
)]

use std::net::{TcpListener, TcpStream};

use divan::{AllocProfiler, Bencher};
use gw::host::interface::interfaces;
use gw::host::peer::{Ends, Peers};

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

/// The user at the other end of a TCP connection, beside others that are open.
#[divan::bench(args = [0, 400])]
fn tcp_peer(bencher: Bencher<'_, '_>, others: usize) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let connect = || {
        let at = listener.local_addr().expect("it is bound");
        let client = TcpStream::connect(at).expect("it listens");
        (listener.accept().expect("a client").0, client)
    };
    // Each takes two descriptors, and 1,024 may be open.
    let _others: Vec<_> = (0..others).map(|_| connect()).collect();
    let (accepted, _client) = connect();
    let peers = Peers::open();
    bencher.bench_local(|| {
        peers.tcp(|| {
            Ok(Ends {
                peer: accepted.peer_addr()?,
                local: accepted.local_addr()?,
            })
        })
    });
}

/// The addresses of this host.
#[divan::bench]
fn own_addresses(bencher: Bencher<'_, '_>) {
    bencher.bench_local(interfaces);
}
