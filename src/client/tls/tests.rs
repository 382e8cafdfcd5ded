//! Pins and authorities, right and wrong, over sockets of this host.

use std::net::SocketAddr;

use rustls::server::ResolvesServerCert;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::server::tls::sample::{self, Sample, sample, valid};

/// Accepts connections over TLS, and forgets them.
async fn serve(acceptor: TlsAcceptor) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                if let Ok(mut stream) = acceptor.accept(stream).await {
                    let _ = stream.shutdown().await;
                }
            });
        }
    });
    address
}

/// A gateway that serves with a pair, whatever it is worth.
async fn gateway(pair: &Sample) -> SocketAddr {
    serve(acceptor(pair, &pair.key_der, &[&TLS13, &TLS12])).await
}

fn acceptor(
    pair: &Sample,
    key: &[u8],
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> TlsAcceptor {
    #[derive(Debug)]
    struct Always(Arc<rustls::sign::CertifiedKey>);
    impl ResolvesServerCert for Always {
        fn resolve(
            &self,
            _: rustls::server::ClientHello<'_>,
        ) -> Option<Arc<rustls::sign::CertifiedKey>> {
            Some(self.0.clone())
        }
    }
    let key = rustls::pki_types::PrivateKeyDer::try_from(key.to_vec()).unwrap();
    let key = provider().key_provider.load_private_key(key).unwrap();
    let chain = vec![pair.der.clone().into()];
    let certified = rustls::sign::CertifiedKey::new(chain, key);
    let config = rustls::ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(versions)
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(Always(Arc::new(certified))));
    TlsAcceptor::from(Arc::new(config))
}

fn fingerprint(pair: &Sample) -> Fingerprint {
    Fingerprint::of(&pair.der.clone().into())
}

async fn connect(
    connector: &Connector,
    address: SocketAddr,
    host: &str,
) -> Result<TlsStream<TcpStream>, ConnectError> {
    let stream = TcpStream::connect(address).await.unwrap();
    connector.connect(host, stream).await
}

fn pinned(pin: Fingerprint) -> Connector {
    Connector::new(Trust::Fingerprint(pin)).unwrap()
}

fn trusting(pairs: &[&Sample]) -> Connector {
    let mut roots = RootCertStore::empty();
    for pair in pairs {
        roots.add(pair.der.clone().into()).unwrap();
    }
    Connector::with_roots(Trust::System, roots).unwrap()
}

#[tokio::test]
async fn the_right_pin_does_whatever_the_certificate_says() {
    let expired = valid(2001, 2002);
    let address = gateway(&expired).await;
    let connector = pinned(fingerprint(&expired));
    for host in ["127.0.0.1", "[::1]", "gateway.example.com"] {
        connect(&connector, address, host).await.unwrap();
    }
}

#[tokio::test]
async fn a_wrong_pin_shows_both() {
    let (pair, other) = (sample(), sample());
    let address = gateway(&pair).await;
    let connector = pinned(fingerprint(&other));
    let error = connect(&connector, address, "gateway.example.com").await;
    let text = error.unwrap_err().to_string();
    let text = text.replace(&fingerprint(&pair).to_string(), "SHOWN");
    let text = text.replace(&fingerprint(&other).to_string(), "PINNED");
    snapbox::assert_data_eq!(
        text,
        snapbox::str![
            "gateway.example.com shows another certificate than the one that is pinned: its fingerprint is SHOWN, and PINNED was expected"
        ]
    );
}

/// The certificate of another, without its key, in both versions.
#[tokio::test]
async fn a_pin_does_not_do_without_the_key() {
    let (pair, thief) = (sample(), sample());
    let connector = pinned(fingerprint(&pair));
    for version in [&TLS12, &TLS13] {
        let right = acceptor(&pair, &pair.key_der, &[version]);
        let address = serve(right).await;
        connect(&connector, address, "127.0.0.1").await.unwrap();
        let address = serve(acceptor(&pair, &thief.key_der, &[version])).await;
        let error = connect(&connector, address, "127.0.0.1").await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "127.0.0.1 does not prove that it has the key of the certificate that it shows: \
             somebody may stand between you and it"
        );
    }
}

#[tokio::test]
async fn what_no_authority_vouches_for_shows_how_to_pin_it() {
    let (pair, other) = (sample(), sample());
    let address = gateway(&pair).await;
    connect(&trusting(&[&pair]), address, "localhost")
        .await
        .unwrap();
    connect(&trusting(&[&pair]), address, "127.0.0.1")
        .await
        .unwrap();
    let expired = valid(2001, 2002);
    let early = valid(2400, 2401);
    let mut told = Vec::new();
    for (connector, served, host) in [
        (trusting(&[&other]), &pair, "localhost"),
        (trusting(&[]), &pair, "localhost"),
        (trusting(&[&pair]), &pair, "gateway.example.com"),
        (trusting(&[&pair]), &pair, "[::1]"),
        (trusting(&[&expired]), &expired, "localhost"),
        (trusting(&[&early]), &early, "localhost"),
    ] {
        let address = gateway(served).await;
        let error = connect(&connector, address, host).await.unwrap_err();
        let found = fingerprint(served).to_string();
        told.push(error.to_string().replace(&found, "SHOWN"));
    }
    snapbox::assert_data_eq!(
        told.join("\n"),
        snapbox::str![[r#"
the certificate of localhost is not trusted: no authority that this host trusts vouches for it. Its fingerprint is SHOWN
the certificate of localhost is not trusted: this host has no authorities that it trusts. Its fingerprint is SHOWN
the certificate of gateway.example.com is not trusted: it is for other names. Its fingerprint is SHOWN
the certificate of [::1] is not trusted: it is for other names. Its fingerprint is SHOWN
the certificate of localhost is not trusted: it has expired. Its fingerprint is SHOWN
the certificate of localhost is not trusted: it is not valid yet, or the clock of this host is behind. Its fingerprint is SHOWN
"#]]
    );
}

#[tokio::test]
async fn the_authorities_of_this_host_do_not_know_a_made_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let certificates = sample::open(folder.path(), &sample());
    let address = serve(certificates.acceptor()).await;
    let connector = Connector::new(Trust::System).unwrap();
    let error = connect(&connector, address, "localhost").await.unwrap_err();
    let text = error.to_string();
    let shown = format!("Its fingerprint is {}", certificates.fingerprint());
    assert!(text.ends_with(&shown), "{text}");
}

#[tokio::test]
async fn what_speaks_no_tls_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let answers: [&[u8]; 2] = [b"HTTP/1.1 400 Bad Request\r\n\r\n", b""];
    let mut told = Vec::new();
    for answer in answers {
        let serving = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(answer).await.unwrap();
            // What the client said is read, so that the end is an end and no reset.
            let mut hello = [0; 5];
            tokio::io::AsyncReadExt::read_exact(&mut stream, &mut hello)
                .await
                .unwrap();
            let mut rest = vec![0; usize::from(hello[3]) << 8 | usize::from(hello[4])];
            tokio::io::AsyncReadExt::read_exact(&mut stream, &mut rest)
                .await
                .unwrap();
            stream.shutdown().await.unwrap();
            stream
        };
        let connector = trusting(&[]);
        let (error, _stream) = tokio::join!(connect(&connector, address, "127.0.0.1"), serving);
        told.push(error.unwrap_err().to_string());
    }
    let error = server_name("gateway example").unwrap_err();
    told.push(error.to_string());
    snapbox::assert_data_eq!(
        told.join("\n"),
        snapbox::str![[r#"
127.0.0.1 does not speak TLS at this port: ask it as `ws://`, if it is on this host
the connection to 127.0.0.1 broke during the TLS handshake: tls handshake eof
`gateway example` is neither the name of a host nor an address
"#]]
    );
}

#[test]
fn addresses_are_names_too() {
    for (host, name) in [
        ("127.0.0.1", "127.0.0.1"),
        ("[::1]", "::1"),
        ("::1", "::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("Gateway.example.com.", "Gateway.example.com"),
    ] {
        assert_eq!(server_name(host).unwrap().to_str(), name);
    }
    for host in ["", "[::1", "a b", "[localhost]", "localhost:18789"] {
        assert!(server_name(host).is_err(), "{host}");
    }
}
