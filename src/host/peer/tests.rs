//! What the kernel says of real sockets: ours, other users', other namespaces', and those that
//! are gone. Some need root, and say so where they are left out.

#![cfg(target_os = "linux")]

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::Shutdown;
use std::os::unix::fs::fchown;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::*;
use crate::host::container;
use crate::host::user::Users;

/// Another user: no system gives it to anybody.
const ANOTHER: u32 = 64_321;
/// Where the one who runs this program as a helper says what it is to do.
const TASK: &str = "GW_TEST_TASK";
const TABLE: &str = "host::peer::tests::";

/// The accepted end of a connection with its ends, and the connecting one.
fn connection(at: &str) -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind(at).unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (listener.accept().unwrap().0, client)
}

fn ends(accepted: &TcpStream) -> io::Result<Ends> {
    Ok(Ends {
        peer: accepted.peer_addr()?,
        local: accepted.local_addr()?,
    })
}

/// Waits until the peer has hung up: a process that another test starts may hold its socket for a
/// moment, and the kernel may take one.
fn until_hung_up(mut accepted: &TcpStream) {
    let read = accepted.read(&mut [0]);
    assert!(!matches!(read, Ok(1)), "the peer sends nothing");
}

fn is_root() -> bool {
    Users::of_this_process().unwrap().own == 0
}

#[expect(clippy::print_stderr, reason = "who runs the tests is told")]
fn left_out(why: &str) {
    eprintln!("left out: {why}");
}

/// Whether this kernel tells at all, and who we are: a sandbox may refuse.
fn tells(peers: &Peers) -> bool {
    if let Err(silence) = peers.try_out() {
        left_out(&format!("the kernel tells nothing: {silence:?}"));
        return false;
    }
    let users = Users::of_this_process().unwrap();
    let known = users.overflow != Some(users.own);
    if !known {
        left_out("this user has no number in this user namespace");
    }
    known
}

/// This test program once more, to run one of its tests as a helper.
fn helper(task: &str, argument: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args([
            "--exact",
            &format!("{TABLE}{task}"),
            "--nocapture",
            "--include-ignored",
        ])
        .env(TASK, argument);
    command
}

/// What the helper is to do; nothing if this is no helper.
fn task() -> Option<String> {
    std::env::var(TASK).ok()
}

/// The lines that a child says: the one that begins with a word, without it.
fn said(child: &mut Child, word: &str) -> Option<String> {
    let out = BufReader::new(child.stdout.as_mut().unwrap());
    let mut lines = out.lines().map(Result::unwrap);
    lines.find_map(|line| Some(line.split_once(word)?.1.to_owned()))
}

#[test]
fn a_connection_to_ourselves_is_of_the_same_user() {
    let peers = Peers::open();
    if !tells(&peers) {
        return;
    }
    let six = TcpListener::bind("[::1]:0").is_ok();
    for at in ["127.0.0.1:0", "127.9.8.7:0", "[::1]:0"] {
        if at.starts_with('[') && !six {
            continue;
        }
        let (accepted, _client) = connection(at);
        assert_eq!(peers.tcp(|| ends(&accepted)), PeerUid::SameUser, "{at}");
        // From the other side it is the same.
        let (client, _accepted) = (accepted, _client);
        assert_eq!(peers.tcp(|| ends(&client)), PeerUid::SameUser, "{at}");
    }
    if !six {
        return left_out("there is no IPv6 here");
    }
    // Here, IPv4 comes as `::ffff:127.0.0.1`.
    let listener = TcpListener::bind("[::]:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let _client = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let (accepted, from) = listener.accept().unwrap();
    assert!(from.is_ipv6(), "{from}");
    assert_eq!(peers.tcp(|| ends(&accepted)), PeerUid::SameUser);
}

#[test]
fn an_address_of_one_link_is_asked_for_with_its_interface() {
    let peers = Peers::open();
    let link = if_addrs::get_if_addrs()
        .unwrap()
        .into_iter()
        .find_map(|interface| match (interface.ip(), interface.index) {
            (IpAddr::V6(ip), Some(index)) if ip.is_unicast_link_local() => Some((ip, index)),
            _ => None,
        });
    let Some((ip, index)) = link.filter(|_| tells(&peers)) else {
        return left_out("there is no link-local address here");
    };
    let at = std::net::SocketAddrV6::new(ip, 0, 0, index);
    let listener = TcpListener::bind(at).unwrap();
    let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (accepted, _) = listener.accept().unwrap();
    assert_eq!(peers.tcp(|| ends(&accepted)), PeerUid::SameUser);
}

/// The kernel tells of user 0 for sockets that are gone; that is nobody.
#[test]
fn one_who_is_gone_is_not_root() {
    let peers = Peers::open();
    if !tells(&peers) {
        return;
    }
    // It hung up: its end waits for ours.
    let (accepted, client) = connection("127.0.0.1:0");
    let asked = ends(&accepted).unwrap();
    drop(client);
    until_hung_up(&accepted);
    assert_eq!(peers.owner(asked).unwrap(), None);
    // We did as well: its end is in TIME_WAIT.
    accepted.shutdown(Shutdown::Write).unwrap();
    drop(accepted);
    assert_eq!(peers.owner(asked).unwrap(), None);
    // Nobody was there, but somebody listens at that address.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let asked = Ends {
        peer: listener.local_addr().unwrap(),
        local: asked.local,
    };
    assert_eq!(peers.owner(asked).unwrap(), None);
}

#[test]
fn what_was_found_counts_while_our_end_is_connected() {
    let peers = Peers::open();
    let (accepted, _client) = connection("127.0.0.1:0");
    let (other, _its_client) = connection("127.0.0.1:0");
    let asked = std::cell::Cell::new(0);
    let times = || asked.replace(asked.get() + 1);
    let reset = || match times() {
        0 => ends(&accepted),
        _ => Err(io::ErrorKind::NotConnected.into()),
    };
    assert_eq!(peers.tcp(reset), PeerUid::Unknown);
    asked.set(0);
    let another = || ends(if times() == 0 { &accepted } else { &other });
    assert_eq!(peers.tcp(another), PeerUid::Unknown);
}

#[test]
fn a_reset_connection_has_no_ends() {
    let peers = Peers::open();
    let (accepted, client) = connection("127.0.0.1:0");
    let client = socket2::Socket::from(client);
    client.set_linger(Some(Duration::ZERO)).unwrap();
    drop(client);
    until_hung_up(&accepted);
    let error = ends(&accepted).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotConnected);
    assert_eq!(peers.tcp(|| ends(&accepted)), PeerUid::Unknown);
}

#[test]
fn many_at_once_get_their_own_answers() {
    let peers = Peers::open();
    if !tells(&peers) {
        return;
    }
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..50 {
                    let (accepted, client) = connection("127.0.0.1:0");
                    assert_eq!(peers.tcp(|| ends(&accepted)), PeerUid::SameUser);
                    drop(client);
                    until_hung_up(&accepted);
                    assert_eq!(peers.tcp(|| ends(&accepted)), PeerUid::Unknown);
                }
            });
        }
    });
}

/// The owner of a socket is that of its inode, which root may change.
#[test]
fn a_socket_that_was_given_away_is_another_users() {
    let peers = Peers::open();
    if !is_root() {
        return left_out("only root may give a socket to another user");
    }
    if !tells(&peers) {
        return;
    }
    let (accepted, client) = connection("127.0.0.1:0");
    if fchown(&client, Some(ANOTHER), None).is_err() {
        return left_out("another user has no number in this user namespace");
    }
    assert_eq!(peers.tcp(|| ends(&accepted)), PeerUid::OtherUser);
    fchown(&client, Some(0), None).unwrap();
    assert_eq!(peers.tcp(|| ends(&accepted)), PeerUid::SameUser);
}

#[test]
fn a_process_of_another_user_is_told() {
    let peers = Peers::open();
    if !is_root() {
        return left_out("only root may start a process of another user");
    }
    if !tells(&peers) {
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut child = helper("connects", &listener.local_addr().unwrap().to_string());
    child
        .uid(ANOTHER)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut child = match child.spawn() {
        Ok(child) => child,
        Err(error) => return left_out(&format!("another user may not run this: {error}")),
    };
    if said(&mut child, "connected").is_some() {
        let (accepted, _) = listener.accept().unwrap();
        assert_eq!(peers.tcp(|| ends(&accepted)), PeerUid::OtherUser);
    } else {
        left_out("another user may not read this program");
    }
    drop(child.stdin.take());
    child.wait().unwrap();
}

/// A helper: connects, says so, and stays until its input ends.
#[test]
#[ignore = "a helper of the others"]
#[expect(clippy::print_stdout, reason = "the one who started it waits for it")]
fn connects() {
    let Some(to) = task() else { return };
    let stream = TcpStream::connect(to).unwrap();
    println!("\nconnected");
    io::stdin().read_to_end(&mut Vec::new()).unwrap();
    drop(stream);
}

#[test]
fn a_peer_in_another_network_namespace_is_unknown() {
    if !is_root() || task().is_some() {
        return left_out("only root may make network namespaces");
    }
    let pair = "-n ip link add here type veth peer name there".split(' ');
    let pair = Command::new("unshare").args(pair).output();
    if !pair.is_ok_and(|done| done.status.success()) {
        return left_out("network namespaces cannot be made here");
    }
    let inside = helper("two_namespaces", "");
    let done = Command::new("unshare")
        .arg("-n")
        .arg(inside.get_program())
        .args(inside.get_args())
        .env(TASK, "")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stdout) + String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{said}");
    assert!(said.contains("1 passed"), "{said}");
}

/// A helper, in a network namespace of its own: a peer is connected from a second one.
#[test]
#[ignore = "a helper of the others"]
fn two_namespaces() {
    if task().is_none() {
        return;
    }
    let run = |line: &str| {
        let mut words = line.split(' ');
        let done = Command::new(words.next().unwrap()).args(words).status();
        assert!(done.unwrap().success(), "{line}");
    };
    let peers = Peers::open();
    // Without loopback, there is no connection to try it on.
    assert!(matches!(peers.try_out(), Err(Silence::Untried(_))));
    run("ip link set lo up");
    let named = |name: &str| (name == "container").then(|| "a test".to_owned());
    let container = container::detect(Path::new("/"), named).unwrap();
    assert_eq!(container.network, container::Network::Own);
    let (accepted, _client) = connection("127.0.0.1:0");
    assert_eq!(peers.tcp(|| ends(&accepted)), PeerUid::SameUser);

    let mut second = Command::new("unshare")
        .args(["-n", "sh", "-c", "echo made; read end"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    said(&mut second, "made").unwrap();
    let id = second.id();
    run(&format!(
        "ip link add here type veth peer name there netns {id}"
    ));
    run("ip addr add 198.18.0.1/24 dev here");
    run("ip link set here up");
    run(&format!(
        "nsenter -t {id} -n ip addr add 198.18.0.2/24 dev there"
    ));
    run(&format!("nsenter -t {id} -n ip link set there up"));
    let listener = TcpListener::bind("198.18.0.1:0").unwrap();
    let helper = helper("connects", &listener.local_addr().unwrap().to_string());
    let mut client = Command::new("nsenter")
        .args(["-t", &id.to_string(), "-n"])
        .arg(helper.get_program())
        .args(helper.get_args())
        .env(TASK, listener.local_addr().unwrap().to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    said(&mut client, "connected").unwrap();
    let (accepted, from) = listener.accept().unwrap();
    assert_eq!(from.ip().to_string(), "198.18.0.2");
    assert_eq!(peers.tcp(|| ends(&accepted)), PeerUid::Unknown);
    drop((client.stdin.take(), second.stdin.take()));
    client.wait().unwrap();
    second.wait().unwrap();
}
