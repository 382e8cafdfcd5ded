//! Pairs that are read, refused, made, renewed and swapped; connections over sockets of this host.

use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::time::Duration;

use rustls::ClientConfig;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::sample::{self, Sample, now, sample, valid};
use super::*;
use crate::client::tls::{Connector, Trust, server_name};

const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

fn open(tls: &Tls, state: &Path) -> Result<Certificates, String> {
    match Certificates::open(tls, state, Some("Door-7"), now()) {
        Ok(certificates) => Ok(certificates.unwrap()),
        Err(error) => Err(error
            .to_string()
            .replace(&state.display().to_string(), "DIR")),
    }
}

fn generated(names: &[&str]) -> Tls {
    let names = names.iter().map(|name| Box::from(*name)).collect();
    Tls::Generated { names }
}

#[test]
fn off_is_off() {
    let state = Path::new("/nonexistent");
    let none = Certificates::open(&Tls::Off, state, None, now()).unwrap();
    assert!(none.is_none() && !state.exists());
}

#[test]
fn a_given_pair_is_served_with() {
    let folder = tempfile::tempdir().unwrap();
    let made = sample();
    let certificates = sample::open(folder.path(), &made);
    let fingerprint = Fingerprint::of(&made.der.into());
    assert_eq!(certificates.fingerprint(), fingerprint);
    let Validity { from, until } = certificates.validity();
    assert_eq!(from.to_string(), "2020-01-01T00:00:00Z");
    assert_eq!(until.to_string(), "2080-01-01T00:00:00Z");
    assert_eq!(certificates.notices(), []);
    let (certificate, key) = sample::files(folder.path());
    assert_eq!(certificates.watched(), [certificate, key]);
    let shown = format!("{certificates:?}");
    assert!(!shown.contains("PRIVATE") && !shown.contains(&made.key[40..60]));
}

#[test]
fn a_combined_file_does_for_both() {
    let folder = tempfile::tempdir().unwrap();
    let made = sample();
    let both = folder.path().join("both.pem");
    fs::write(&both, format!("# a note\n{}{}", made.key, made.certificate)).unwrap();
    let tls = Tls::Files {
        certificate: both.clone(),
        key: both.clone(),
    };
    let certificates = open(&tls, folder.path()).unwrap();
    assert_eq!(
        certificates.fingerprint(),
        Fingerprint::of(&made.der.into())
    );
}

#[cfg(unix)]
#[test]
fn a_key_that_others_may_read_is_told() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let certificates = sample::open(folder.path(), &sample());
    let (_, key) = sample::files(folder.path());
    fs::set_permissions(&key, fs::Permissions::from_mode(0o640)).unwrap();
    assert_eq!(certificates.reload(now()), Ok(Reloaded::Unchanged));
    let path = key.display();
    assert_eq!(
        certificates.notices()[0].to_string(),
        format!("`tls.key`: others may read {path}: run `chmod 600 {path}`, unless they must")
    );
}

/// What is written into the two files, and what is said of it.
#[test]
fn what_is_no_pair_is_refused_with_what_helps() {
    let folder = tempfile::tempdir().unwrap();
    let (good, other) = (sample(), sample());
    let refused = |certificate: &[u8], key: &[u8]| {
        let tls = sample::write(folder.path(), &good);
        let (certificate_file, key_file) = sample::files(folder.path());
        fs::write(certificate_file, certificate).unwrap();
        fs::write(key_file, key).unwrap();
        let text = open(&tls, folder.path()).unwrap_err();
        for secret in [&good.key, &other.key] {
            let line = secret.lines().nth(1).unwrap();
            assert!(!text.contains(line), "{text}");
        }
        text
    };
    let (crt, key) = (good.certificate.as_bytes(), good.key.as_bytes());
    let chain = format!("{}{}", other.certificate, good.certificate);
    let label = |text: &str, label: &str| {
        let text = text.replace("PRIVATE KEY", label);
        text.replace("CERTIFICATE", label).into_bytes()
    };
    let legacy = good.key.replacen(
        "KEY-----\n",
        "KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\n",
        1,
    );
    let garbage = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let bad_key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    let expired = valid(2001, 2002);
    let early = valid(2070, 2080);
    let cut = &crt[..crt.len() - 40];
    let told = [
        refused(key, key),
        refused(crt, crt),
        refused(b"", key),
        refused(crt, b" \n"),
        refused(&good.der, key),
        refused(crt, &good.key_der),
        refused(&[0x30, 0x82, 9, 9, 2, 1, 3, 0x30], key),
        refused(crt, &[0x30, 0x82, 9, 9, 2, 1, 3, 0x30]),
        refused(&label(&good.certificate, "CERTIFICATE REQUEST"), key),
        refused(crt, &label(&good.key, "OPENSSH PRIVATE KEY")),
        refused(crt, &label(&good.key, "PUBLIC KEY")),
        refused(b"hello", key),
        refused(&[0xff; 100], key),
        refused(crt, &label(&good.key, "ENCRYPTED PRIVATE KEY")),
        refused(crt, legacy.as_bytes()),
        refused(cut, key),
        refused(crt, &key[..key.len() - 40]),
        refused(garbage.as_bytes(), key),
        refused(crt, bad_key.as_bytes()),
        refused(crt, other.key.as_bytes()),
        refused(chain.as_bytes(), key),
        refused(expired.certificate.as_bytes(), expired.key.as_bytes()),
        refused(early.certificate.as_bytes(), early.key.as_bytes()),
        refused(&vec![b'a'; (1 << 20) + 1], key),
    ];
    snapbox::assert_data_eq!(
        told.join("\n"),
        snapbox::str![[r#"
`tls.certificate`: DIR/gw.crt holds a private key, and no certificate in PEM: write the path of the certificate there, and that of the key under `tls.key`
`tls.key`: DIR/gw.key holds a certificate, and no private key in PEM: write the path of the key there, and that of the certificate under `tls.certificate`
`tls.certificate`: DIR/gw.crt is empty: write the file again
`tls.key`: DIR/gw.key is empty: write the file again
`tls.certificate`: DIR/gw.crt holds a certificate in DER, and no certificate in PEM: run `openssl x509 -inform der -in DIR/gw.crt -out NEW`, and write `NEW` there
`tls.key`: DIR/gw.key holds a private key in DER, and no private key in PEM: run `(umask 077; openssl pkey -inform der -in DIR/gw.key -out NEW)`, and write `NEW` there
`tls.certificate`: DIR/gw.crt holds a PKCS #12 container, and no certificate in PEM: run `openssl pkcs12 -nokeys -in DIR/gw.crt -out NEW`, and write `NEW` there
`tls.key`: DIR/gw.key holds a PKCS #12 container, and no private key in PEM: run `(umask 077; openssl pkcs12 -nocerts -nodes -in DIR/gw.key -out NEW)`, and write `NEW` there
`tls.certificate`: DIR/gw.crt holds a certificate request, and no certificate in PEM: have the request signed, and write the path of the certificate that comes back under `tls.certificate`
`tls.key`: DIR/gw.key holds a key of OpenSSH, and no private key in PEM: run `ssh-keygen -p -m PKCS8 -f DIR/gw.key` on a copy of it, and write the path of the copy there
`tls.key`: DIR/gw.key holds a public key, and no private key in PEM: write the path of a private key in PEM there, which begins with `-----BEGIN`
`tls.certificate`: DIR/gw.crt holds something else, and no certificate in PEM: write the path of a certificate in PEM there, which begins with `-----BEGIN`
`tls.certificate`: DIR/gw.crt holds something else, and no certificate in PEM: write the path of a certificate in PEM there, which begins with `-----BEGIN`
`tls.key`: DIR/gw.key holds a key that is encrypted with a passphrase: the gateway cannot ask for it, so write the key without one: `(umask 077; openssl pkey -in DIR/gw.key -out NEW)`
`tls.key`: DIR/gw.key holds a key that is encrypted with a passphrase: the gateway cannot ask for it, so write the key without one: `(umask 077; openssl pkey -in DIR/gw.key -out NEW)`
`tls.certificate`: DIR/gw.crt is damaged: its certificate cannot be decoded: write the file again, whole, from `-----BEGIN` to `-----END`
`tls.key`: DIR/gw.key is damaged: its private key cannot be decoded: write the file again, whole, from `-----BEGIN` to `-----END`
`tls.certificate`: DIR/gw.crt begins with a certificate that is damaged, or not of X.509 version 3: have it issued again, with the names of the gateway as `subjectAltName`
`tls.key`: DIR/gw.key holds a key that cannot be used for TLS: use an ECDSA key (P-256 or P-384), an Ed25519 key, or an RSA key of 2048 to 8192 bits
`tls.certificate`: DIR/gw.crt does not belong to the key in DIR/gw.key: write the path of the key under `tls.key` that this certificate was issued for
`tls.certificate`: DIR/gw.crt does not belong to the key in DIR/gw.key: the key belongs to certificate 2 of the file: put that one first, and those that vouch for it after it
`tls.certificate`: DIR/gw.crt expired at 2002-01-01T00:00:00Z: put a renewed one there
`tls.certificate`: DIR/gw.crt is not valid before 2070-01-01T00:00:00Z: look whether the clock of this host is right; until then, put one there that is valid now
`tls.certificate`: DIR/gw.crt cannot be read: it is larger than 1048576 bytes: write the path of a file there that the gateway may read
"#]]
    );
}

#[test]
fn files_that_are_none_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = sample::files(folder.path());
    let tls = sample::write(folder.path(), &sample());
    fs::remove_file(&key).unwrap();
    let mut told = vec![open(&tls, folder.path()).unwrap_err()];
    fs::remove_file(&certificate).unwrap();
    fs::create_dir(&certificate).unwrap();
    told.push(open(&tls, folder.path()).unwrap_err());
    snapbox::assert_data_eq!(
        told.join("\n"),
        snapbox::str![[r#"
`tls.key`: DIR/gw.key cannot be read: there is no such file: write the path of a file there that the gateway may read
`tls.certificate`: DIR/gw.crt cannot be read: it is no file: write the path of a file there that the gateway may read
"#]]
    );
}

#[test]
fn bytes_of_any_kind_are_answered() {
    use proptest::prelude::*;
    let folder = tempfile::tempdir().unwrap();
    let good = sample();
    let tls = sample::write(folder.path(), &good);
    let (certificate, _) = sample::files(folder.path());
    let runner = proptest::test_runner::Config::with_cases(64);
    let mut runner = proptest::test_runner::TestRunner::new(runner);
    // A certificate with some bytes changed, as DER in PEM.
    let changes = proptest::collection::vec((0..good.der.len(), any::<u8>()), 1..4);
    runner
        .run(&changes, |changes| {
            let mut der = good.der.clone();
            for (at, byte) in changes {
                der[at] = byte;
            }
            use base64::Engine as _;
            let text = base64::engine::general_purpose::STANDARD.encode(&der);
            let text = format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n");
            fs::write(&certificate, text).unwrap();
            let _ = open(&tls, folder.path());
            Ok(())
        })
        .unwrap();
}

#[test]
fn a_pair_is_made_once() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let tls = generated(&[
        "Gateway.example.com",
        "192.0.2.7",
        "*.home.lan",
        "localhost",
    ]);
    let certificates = open(&tls, &state).unwrap();
    let fingerprint = certificates.fingerprint();
    let path = state.join("tls.crt");
    assert_eq!(certificates.notices(), [Notice::Made { path, fingerprint }]);
    let pair = &certificates.current.0.load().pair;
    for name in [
        "localhost",
        "127.0.0.1",
        "::1",
        "door-7",
        "gateway.example.com",
        "192.0.2.7",
        "printer.home.lan",
    ] {
        assert!(pair.is_for(&server_name(name).unwrap()), "{name}");
    }
    assert!(!pair.is_for(&server_name("example.com").unwrap()));
    let (again, later) = (open(&tls, &state).unwrap(), now() + 2 * YEAR);
    assert_eq!(again.fingerprint(), fingerprint);
    assert_eq!(again.notices(), []);
    assert_eq!(again.problem(later), None);
    let mut left: Vec<_> = fs::read_dir(&state)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    left.sort();
    assert_eq!(left, ["tls.crt", "tls.key", "tls.lock"]);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let key = state.join("tls.key");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&state), mode(&key)), (0o700, 0o600));
        fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
        let text = open(&tls, &state).unwrap_err();
        assert_eq!(
            text,
            "`tls.autoGenerate`: DIR/tls.key may be read by others: run `chmod 600 DIR/tls.key`"
        );
    }
}

#[test]
fn a_pair_that_does_not_do_is_renewed_and_told() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path();
    let first = open(&generated(&[]), state).unwrap();
    let key = fs::read(state.join("tls.key")).unwrap();
    // A name more; the host's own name is not asked for.
    let tls = generated(&["gateway.example.com"]);
    let second = open(&tls, state).unwrap();
    let elsewhere = Certificates::open(&tls, state, Some("door-8"), now());
    assert_eq!(elsewhere.unwrap().unwrap().notices(), []);
    assert_ne!(first.fingerprint(), second.fingerprint());
    // A name less.
    let less = open(&generated(&[]), state).unwrap();
    assert_eq!(less.fingerprint(), second.fingerprint());
    // Expired while it runs.
    let late = now() + 3 * YEAR;
    let problem = second.problem(late).unwrap().to_string();
    let before = second.fingerprint();
    let reloaded = second.reload(late).unwrap();
    assert_eq!(second.problem(late), None);
    let third = second.fingerprint();
    assert_eq!(reloaded, Reloaded::Swapped { before, now: third });
    assert_eq!(
        fs::read(state.join("tls.key")).unwrap(),
        key,
        "the key stays"
    );
    let tls = generated(&["a.example.com"]);
    let fourth = open(&tls, state).unwrap();
    // A clock that jumped back renews nothing.
    let early = std::time::UNIX_EPOCH + YEAR;
    let back = Certificates::open(&tls, state, None, early);
    let back = back.unwrap().unwrap();
    assert_eq!(back.notices(), []);
    let told = [
        problem,
        second.notices()[0].to_string(),
        fourth.notices()[0].to_string(),
        back.problem(early).unwrap().to_string(),
    ];
    let mut text = told.join("\n").replace(&state.display().to_string(), "DIR");
    let prints = [before, third, fourth.fingerprint()];
    for (name, print) in ["SECOND", "THIRD", "FOURTH"].iter().zip(prints) {
        text = text.replace(&print.to_string(), name);
    }
    snapbox::assert_data_eq!(
        text,
        snapbox::str![[r#"
the certificate DIR/tls.crt expired at 2029-04-18T07:59:59Z: the next start makes another one, with another fingerprint
made another certificate for TLS, because the one from before expired at 2029-04-18T07:59:59Z: DIR/tls.crt. Clients that pinned SECOND have to pin THIRD
made another certificate for TLS, because `a.example.com` was not in the one from before: DIR/tls.crt. Clients that pinned THIRD have to pin FOURTH
the certificate DIR/tls.crt is not valid before 2027-01-14T08:00:00Z: look whether the clock of this host is right
"#]]
    );
}

#[test]
fn a_made_pair_that_was_spoiled_is_not_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path();
    open(&generated(&[]), state).unwrap();
    let certificate = fs::read(state.join("tls.crt")).unwrap();
    fs::write(state.join("tls.crt"), "").unwrap();
    let mut told = vec![open(&generated(&[]), state).unwrap_err()];
    fs::write(state.join("tls.crt"), &certificate).unwrap();
    fs::remove_file(state.join("tls.key")).unwrap();
    told.push(open(&generated(&[]), state).unwrap_err());
    fs::write(state.join("tls.key"), sample().key).unwrap();
    told.push(open(&generated(&[]), state).unwrap_err());
    fs::write(state.join("tls.key"), "").unwrap();
    told.push(open(&generated(&[]), state).unwrap_err());
    fs::remove_file(state.join("tls.key")).unwrap();
    assert_eq!(fs::read(state.join("tls.crt")).unwrap(), certificate);
    told.push(open(&generated(&["gw example"]), state).unwrap_err());
    fs::remove_file(state.join("tls.crt")).unwrap();
    assert!(!state.join("tls.key").exists(), "no key is made beside it");
    told.push(open(&generated(&["*.lan"]), state).unwrap_err());
    open(&generated(&[]), state).unwrap();
    fs::write(state.join("plain"), "").unwrap();
    let inside = state.join("plain/state");
    told.push(open(&generated(&[]), &inside).unwrap_err());
    snapbox::assert_data_eq!(
        told.join("\n"),
        snapbox::str![[r#"
`tls.autoGenerate`: DIR/tls.crt is empty: put the one from before back, or remove `tls.crt` and `tls.key`, and another pair is made, with another fingerprint
`tls.autoGenerate`: DIR/tls.key cannot be read: there is no such file: put the one from before back, or remove `tls.crt` and `tls.key`, and another pair is made, with another fingerprint
`tls.autoGenerate`: DIR/tls.crt does not belong to the key in DIR/tls.key: put the one from before back, or remove `tls.crt` and `tls.key`, and another pair is made, with another fingerprint
`tls.autoGenerate`: DIR/tls.key is empty: put the one from before back, or remove `tls.crt` and `tls.key`, and another pair is made, with another fingerprint
`tls.names`: DIR/tls.crt cannot be made for `gw example`: write names as in `gateway.example.com`, and addresses as in `192.0.2.7`
`tls.names`: DIR/tls.crt cannot be made for `*.lan`: write names as in `gateway.example.com`, and addresses as in `192.0.2.7`
`tls.autoGenerate`: DIR/tls.key cannot be written: Not a directory (os error 20): let the gateway write in its state folder, and see that there is room
"#]]
    );
}

#[test]
fn many_at_once_make_one_pair() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    for tls in [generated(&[]), generated(&["a.example.com"])] {
        let opened: Vec<Certificates> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| open(&tls, &state).unwrap()))
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .collect()
        });
        let fingerprint = open(&tls, &state).unwrap().fingerprint();
        assert!(opened.iter().all(|one| one.fingerprint() == fingerprint));
        let told = opened.iter().flat_map(Certificates::notices).count();
        assert_eq!(told, 1, "one of them made it");
    }
}

/// Accepts connections and sends each byte back.
async fn serve(certificates: &Certificates) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let acceptor = certificates.acceptor();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let mut stream = acceptor.accept(stream).await.unwrap();
                while let Ok(byte) = stream.read_u8().await {
                    stream.write_u8(byte).await.unwrap();
                    stream.flush().await.unwrap();
                }
            });
        }
    });
    address
}

async fn connect(
    address: std::net::SocketAddr,
    pin: Fingerprint,
) -> tokio_rustls::client::TlsStream<TcpStream> {
    let connector = Connector::new(Trust::Fingerprint(pin)).unwrap();
    let stream = TcpStream::connect(address).await.unwrap();
    connector.connect("127.0.0.1", stream).await.unwrap()
}

async fn echoes<S>(stream: &mut S) -> bool
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    stream.write_u8(7).await.unwrap();
    stream.flush().await.unwrap();
    stream.read_u8().await.unwrap() == 7
}

#[tokio::test]
async fn new_connections_get_the_new_certificate_and_old_ones_last() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (sample(), sample());
    let certificates = sample::open(folder.path(), &first);
    let before = certificates.fingerprint();
    let address = serve(&certificates).await;
    let mut old = connect(address, before).await;
    assert!(echoes(&mut old).await);

    // A bad pair keeps the old one.
    let (certificate, _) = sample::files(folder.path());
    fs::write(&certificate, &second.certificate).unwrap();
    let error = certificates.reload(now()).unwrap_err();
    let text = error
        .to_string()
        .replace(&folder.path().display().to_string(), "DIR");
    snapbox::assert_data_eq!(
        text.replace(&before.to_string(), "BEFORE"),
        snapbox::str![
            "`tls.certificate`: DIR/gw.crt does not belong to the key in DIR/gw.key: write the path of the key under `tls.key` that this certificate was issued for; until then the certificate from before stays in force, with the fingerprint BEFORE"
        ]
    );
    assert!(echoes(&mut connect(address, before).await).await);

    sample::write(folder.path(), &second);
    let after = Fingerprint::of(&second.der.clone().into());
    let swapped = Reloaded::Swapped { before, now: after };
    assert_eq!(certificates.reload(now()), Ok(swapped));
    assert_eq!(certificates.reload(now()), Ok(Reloaded::Unchanged));
    assert!(echoes(&mut connect(address, after).await).await);
    assert!(echoes(&mut old).await, "it lasts");

    // It expires while it is in force.
    let late = now() + 100 * YEAR;
    let kept = certificates.reload(late).unwrap_err().kept;
    assert_eq!(kept, Some(after));
    let problem = certificates.problem(late).unwrap().to_string();
    let problem = problem.replace(&certificate.display().to_string(), "FILE");
    snapbox::assert_data_eq!(
        problem,
        snapbox::str![
            "the certificate FILE expired at 2080-01-01T00:00:00Z: put a renewed one there"
        ]
    );
}

#[tokio::test]
async fn both_versions_are_spoken_and_nothing_is_resumed() {
    let folder = tempfile::tempdir().unwrap();
    let made = sample();
    let certificates = sample::open(folder.path(), &made);
    let address = serve(&certificates).await;
    for version in [&TLS12, &TLS13] {
        let config = client_config(&made, version);
        for _ in 0..2 {
            let stream = TcpStream::connect(address).await.unwrap();
            let connector = tokio_rustls::TlsConnector::from(config.clone());
            let name = server_name("localhost").unwrap();
            let mut stream = connector.connect(name, stream).await.unwrap();
            assert!(echoes(&mut stream).await);
            let (_, connection) = stream.get_ref();
            assert_eq!(connection.protocol_version(), Some(version.version));
            assert_eq!(connection.alpn_protocol(), Some(ALPN));
            assert_eq!(
                connection.handshake_kind(),
                Some(rustls::HandshakeKind::Full)
            );
        }
    }
}

/// A client that trusts a certificate as an authority, and would resume.
fn client_config(
    made: &Sample,
    version: &'static rustls::SupportedProtocolVersion,
) -> Arc<ClientConfig> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(made.der.clone().into()).unwrap();
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![ALPN.to_vec()];
    Arc::new(config)
}

#[tokio::test]
async fn what_is_no_tls_ends_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let certificates = sample::open(folder.path(), &sample());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let http = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec();
    let mut random = vec![0; 4096];
    aws_lc_rs::rand::fill(&mut random).unwrap();
    random[0] = b'x';
    let early = [&[0x16, 3, 1, 0, 4, 2, 0, 0, 0][..]].concat();
    let huge = [&[0x16, 3, 1, 0xff, 0xff][..], &[1; 1000]].concat();
    for bytes in [http, random, early, huge, vec![0x16, 3, 1]] {
        let sent = bytes.clone();
        let client = std::thread::spawn(move || {
            use std::io::Write as _;
            let mut stream = std::net::TcpStream::connect(address).unwrap();
            stream.write_all(&sent).unwrap();
            // Half of a head is all that comes.
            stream.shutdown(std::net::Shutdown::Write).unwrap();
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer);
        });
        let (stream, _) = listener.accept().await.unwrap();
        let accepted = certificates.acceptor().accept(stream).await;
        assert!(accepted.is_err(), "{bytes:?}");
        drop(accepted);
        client.join().unwrap();
    }
}
