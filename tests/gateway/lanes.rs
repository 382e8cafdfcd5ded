//! The ways in: TLS with a pinned certificate, the unix socket, the lane within the process; and
//! what each of them shows a policy.

use std::sync::Arc;
use std::time::SystemTime;

use gw::client::tls::{ConnectError, Connector, Trust};
use gw::config::Tls;
use gw::facts::Scope;
use gw::server::tls::{Certificates, Fingerprint};
use gw::server::{Identity, Listener, NotAnswered, NotConnected, Options};
use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::client::{Asking, Client, Closed};
use crate::handshakes::door;
use crate::raw::Raw;
use crate::served::{Plan, rules, settings};

/// A gateway that speaks TLS at a second port.
fn with_tls() -> (Plan, Certificates, std::net::SocketAddr) {
    let plan = door();
    let tls = Tls::Generated { names: Vec::new() };
    let certificates = Certificates::open(&tls, plan.folder.path(), None, SystemTime::now());
    let certificates = certificates.unwrap().unwrap();
    let listener =
        Listener::tcp(([127, 0, 0, 1], 0).into(), Some(certificates.acceptor())).unwrap();
    let address = listener.address().unwrap();
    let plan = Plan {
        listeners: vec![listener],
        options: Options {
            certificates: Some(certificates.clone()),
            ..Options::default()
        },
        ..plan
    };
    (plan, certificates, address)
}

async fn dial(
    address: std::net::SocketAddr,
    pin: Fingerprint,
) -> Result<tokio_rustls::client::TlsStream<TcpStream>, ConnectError> {
    let connector = Connector::new(Trust::Fingerprint(pin)).unwrap();
    let stream = TcpStream::connect(address).await.unwrap();
    connector.connect("127.0.0.1", stream).await
}

#[tokio::test]
async fn a_client_that_pins_the_certificate_is_admitted_over_tls() {
    let (plan, certificates, address) = with_tls();
    let served = plan.serve();
    let stream = dial(address, certificates.fingerprint()).await.unwrap();
    let asking = Asking::device("owner");
    let mut client = Client::open(stream, &asking).await.unwrap();
    client.connect(&asking).await.unwrap();
    let status = client.call("status", json!({})).await.unwrap();
    let fingerprint = certificates.fingerprint().to_string();
    assert_eq!(status["tls"]["fingerprint"], fingerprint);
    let own = client.call("admission.explain", json!({})).await.unwrap();
    assert!(
        own.to_string().contains(r#""tls":true"#) || own.to_string().contains("tls"),
        "{own}"
    );

    let (_, other, _) = with_tls();
    match dial(address, other.fingerprint()).await {
        Err(ConnectError::Pin {
            expected, found, ..
        }) => {
            assert_eq!(expected, other.fingerprint());
            assert_eq!(found, certificates.fingerprint());
        }
        other => panic!("{other:?}"),
    }
    // It goes on, also after those who speak no TLS.
    let mut raw = Raw::new(TcpStream::connect(address).await.unwrap());
    raw.send(b"GET /healthz HTTP/1.1\r\n\r\n").await;
    raw.end().await;
    client.call("health", Value::Null).await.unwrap();
    drop(served);
}

#[tokio::test]
async fn who_begins_tls_and_does_not_go_on_is_cut() {
    let (mut plan, _, address) = with_tls();
    plan.limits.handshake_timeout_ms = 300;
    let served = plan.serve();
    let mut raw = Raw::new(TcpStream::connect(address).await.unwrap());
    // The beginning of a ClientHello of 512 bytes.
    raw.send(&[0x16, 3, 1, 2, 0, 1, 0]).await;
    assert!(raw.end().await.is_empty());
    let (drained, _) = served.end().await;
    assert_eq!(drained.open, 0);
}

#[cfg(unix)]
#[tokio::test]
async fn the_owner_needs_no_secret_at_the_unix_socket() {
    use std::os::unix::fs::PermissionsExt as _;
    use tokio::net::UnixStream;
    let mut plan = Plan::default();
    let path = plan.folder.path().join("gw.sock");
    // Left over by a gateway that is gone.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    plan.listeners = vec![Listener::unix(&path).unwrap()];
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let served = plan.serve();
    let taken = Listener::unix(&path).unwrap_err();
    assert_eq!(taken.kind(), std::io::ErrorKind::AddrInUse);

    let asking = Asking::default().auth(json!({}));
    let stream = UnixStream::connect(&path).await.unwrap();
    let mut client = Client::open(stream, &asking).await.unwrap();
    client.connect(&asking).await.unwrap();
    let own = client.call("admission.explain", json!({})).await.unwrap();
    assert_eq!(own["logged"]["by"], "owner-at-the-socket");
    // The same over TCP is nobody.
    let refused = served.refuse(&asking).await;
    assert_eq!(refused.error["details"]["code"], "AUTH_TOKEN_MISSING");

    // What is no socket is not replaced.
    let file = served.folder.path().join("file");
    std::fs::write(&file, "kept").unwrap();
    Listener::unix(&file).unwrap_err();
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "kept");
    drop(client);
    let _ = served.end().await;
    assert!(!path.exists());
}

/// Whose process is at the other end is the kernel's word, over TCP too.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_policy_hears_who_runs_the_peer() {
    let plan = Plan {
        policy: rules(
            "[mine] peer-uid=same-user and transport=tcp → approve\ndefault → require-pairing",
        ),
        ..Plan::default()
    };
    let served = plan.serve();
    let mut client = served.admit(&Asking::default().auth(json!({}))).await;
    let own = client.call("admission.explain", json!({})).await.unwrap();
    assert_eq!(own["logged"]["by"], "mine");
}

#[tokio::test]
async fn a_session_within_the_process_passes_the_same_policy() {
    let policy =
        "transport=in-process and client=gateway-client → approve(scopes={ operator.read })
default → require-pairing";
    let plan = Plan {
        policy: rules(policy),
        ..Plan::default()
    };
    let served = plan.serve();
    let helper = Identity::backend("cron", &[Scope::Read, Scope::Admin]);
    let session = served.gateway.connect_in_process(&helper).await.unwrap();
    assert_eq!(session.scopes(), [Box::from("operator.read")]);
    assert_eq!(
        session.call("health", Value::Null).await.unwrap()["ok"],
        true
    );
    let own = session.call("admission.explain", json!({})).await.unwrap();
    assert_eq!(own["logged"]["connection"], session.connection());
    match session.call("admission.recent", json!({})).await {
        Err(NotAnswered::Failed(error)) => {
            assert_eq!(error.message, "missing scope: operator.admin");
        }
        other => panic!("{other:?}"),
    }

    // Who the policy does not let in is told why.
    let stranger = Identity {
        client: gw::facts::Client::Cli,
        ..helper.clone()
    };
    match served.gateway.connect_in_process(&stranger).await {
        Err(NotConnected::Refused(refusal)) => assert!(!refusal.message.is_empty()),
        other => panic!("{other:?}"),
    }

    // And whoever was in is out with the policy.
    served
        .gateway
        .put(rules("default → require-pairing"), settings(json!({})));
    match session.call("health", Value::Null).await {
        Err(NotAnswered::Ended(why)) => assert_eq!(&*why, "policy changed"),
        other => panic!("{other:?}"),
    }
    drop(session);
    assert_eq!(served.gateway.sessions(), 0);
}

/// A frame or a header that claims to come from within comes from without.
#[cfg(unix)]
#[tokio::test]
async fn no_socket_passes_for_the_lane_within_the_process() {
    let policy = "transport=in-process → approve\ndefault → reject(not-permitted)";
    let mut plan = Plan {
        policy: rules(policy),
        ..Plan::default()
    };
    let path = plan.folder.path().join("gw.sock");
    plan.listeners = vec![Listener::unix(&path).unwrap()];
    let served = plan.serve();
    let forged = Asking {
        client: ("gateway-client", "backend"),
        headers: vec![
            ("x-transport", "in-process".to_owned()),
            ("transport", "in-process".to_owned()),
            ("x-forwarded-proto", "in-process".to_owned()),
        ],
        ..Asking::default()
    };
    let refused = served.refuse(&forged).await;
    assert_eq!(refused.error["details"]["code"], "POLICY_NOT_PERMITTED");
    let stream = tokio::net::UnixStream::connect(&path).await.unwrap();
    let mut client = Client::open(stream, &forged).await.unwrap();
    client.connect(&forged).await.unwrap_err();
    // To say so in the frame is no frame.
    for (name, value) in [
        ("transport", json!("in-process")),
        ("socket", json!({ "transport": "in-process" })),
        ("peerUid", json!(0)),
    ] {
        let refused = served
            .refuse(&Asking {
                more: json!({ name: value }),
                ..forged.clone()
            })
            .await;
        let message = refused.error["message"].as_str().unwrap();
        assert!(message.starts_with("invalid connect params"), "{message}");
        assert_eq!(refused.closed.code, 1008);
    }
    assert_eq!(served.gateway.sessions(), 0);
}

/// What a session calls beside the gateway's own methods is answered behind the seam.
#[tokio::test]
async fn other_methods_are_answered_by_whoever_is_behind() {
    use gw::server::{Answer, Caller, Methods};
    struct Echo;
    impl Methods for Echo {
        fn names(&self) -> &[&str] {
            &["echo"]
        }
        fn call<'a>(
            &'a self,
            caller: &'a Caller<'a>,
            method: &'a str,
            params: Value,
        ) -> Answer<'a> {
            Box::pin(async move {
                Ok(json!({ "method": method, "params": params, "connection": caller.connection() }))
            })
        }
    }
    let mut plan = door();
    plan.options.methods = Arc::new(Echo);
    let served = plan.serve();
    let (mut client, hello) = served.knock(&Asking::device("owner")).await.unwrap();
    let methods = hello["features"]["methods"].as_array().unwrap();
    assert!(methods.contains(&"echo".into()));
    let answer = client.call("echo", json!([1])).await.unwrap();
    assert_eq!(answer["params"], json!([1]));
    assert_eq!(answer["connection"], hello["server"]["connId"]);
    // The gateway's own come first.
    assert_eq!(client.call("health", json!({})).await.unwrap()["ok"], true);
    client.socket.close(None).await.unwrap();
    assert!(matches!(
        client.closed().await,
        Closed {
            code: 1005 | 1006,
            ..
        }
    ));
}
