//! A certificate that is swapped for a bad one. THE TABLE: what becomes of the files, and what is said
//! of it. Under each the certificate from before goes on, for new connections as for those that last,
//! until there is a better one; a start without a good one is refused.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::Command;

use gw::client::tls::{Connector, Trust};
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::client::{Asking, Client};
use crate::process::{Gateway, Place, approve, by_token, guest};

const CONFIG: &str = "tls: { certificate: gw.crt, key: gw.key }\n";

/// A certificate with its key, in PEM.
struct Pair {
    certificate: String,
    key: String,
}

impl Pair {
    /// Valid from the beginning of a year until that of another.
    fn valid(from: i32, until: i32) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.not_before = date_time_ymd(from, 1, 1);
        params.not_after = date_time_ymd(until, 1, 1);
        Pair {
            certificate: params.self_signed(&key).unwrap().pem(),
            key: key.serialize_pem(),
        }
    }

    fn put(&self, place: &Place) {
        for (name, text) in [("gw.crt", &self.certificate), ("gw.key", &self.key)] {
            let _ = fs::remove_file(place.path(name));
            let _ = fs::remove_dir(place.path(name));
            place.write(name, text);
            place.chmod(name, 0o600);
        }
    }
}

/// What becomes of the files, which hold this pair.
type Spoil = fn(&Place, &Pair);

/// What becomes of the files of a pair, and what of it is told.
const FAULTS: [(&str, Spoil, &str); 12] = [
    (
        "expired",
        |place, _| Pair::valid(2020, 2021).put(place),
        "expired",
    ),
    (
        "not valid yet",
        |place, _| Pair::valid(2079, 2080).put(place),
        "not valid before",
    ),
    (
        "of another key",
        |place, _| place.replace("gw.crt", Pair::valid(2020, 2080).certificate),
        "does not belong",
    ),
    (
        "another one's key",
        |place, _| {
            place.replace("gw.key", Pair::valid(2020, 2080).key);
            place.chmod("gw.key", 0o600);
        },
        "does not belong",
    ),
    (
        "half written",
        |place, pair| place.write("gw.crt", &pair.certificate[..pair.certificate.len() / 2]),
        "gw.crt",
    ),
    (
        "with half a key",
        |place, pair| place.write("gw.key", &pair.key[..pair.key.len() / 2]),
        "gw.key",
    ),
    ("empty", |place, _| place.write("gw.crt", ""), "empty"),
    (
        "gone",
        |place, _| fs::remove_file(place.path("gw.crt")).unwrap(),
        "there is no such file",
    ),
    (
        "without its key",
        |place, _| fs::remove_file(place.path("gw.key")).unwrap(),
        "there is no such file",
    ),
    (
        "a link to nowhere",
        |place, _| {
            fs::remove_file(place.path("gw.crt")).unwrap();
            symlink("nowhere", place.path("gw.crt")).unwrap();
        },
        "there is no such file",
    ),
    (
        "a folder",
        |place, _| {
            fs::remove_file(place.path("gw.crt")).unwrap();
            fs::create_dir(place.path("gw.crt")).unwrap();
        },
        "it is no file",
    ),
    (
        "a pipe that nobody writes to",
        |place, _| {
            fs::remove_file(place.path("gw.key")).unwrap();
            pipe(place, "gw.key");
        },
        "it is no file",
    ),
];

/// Makes a pipe.
pub(crate) fn pipe(place: &Place, name: &str) {
    let made = Command::new("mkfifo")
        .arg(place.path(name))
        .status()
        .unwrap();
    assert!(made.success());
    let mode = fs::Permissions::from_mode(0o600);
    fs::set_permissions(place.path(name), mode).unwrap();
}

async fn tls(owner: &mut Client) -> Value {
    owner.call("status", json!({})).await.unwrap()["tls"].clone()
}

/// A client that takes the certificate with this fingerprint, and no other; it is not admitted yet.
async fn open(gateway: &Gateway, asking: &Asking, pin: &Value) -> Option<Client> {
    let pin = pin.as_str().unwrap().parse().unwrap();
    let connector = Connector::new(Trust::Fingerprint(pin)).unwrap();
    let stream = TcpStream::connect(gateway.address).await.unwrap();
    let stream = connector.connect("127.0.0.1", stream).await.ok()?;
    Some(Client::open(stream, asking).await.unwrap())
}

/// The same, admitted.
async fn dial(gateway: &Gateway, asking: &Asking, pin: &Value) -> Option<Client> {
    let mut client = open(gateway, asking, pin).await?;
    client.connect(asking).await.unwrap();
    Some(client)
}

/// A device that is paired over TLS, by its token.
async fn paired(gateway: &Gateway, owner: &mut Client, pin: &Value) -> Asking {
    let asking = guest("paired");
    let mut client = open(gateway, &asking, pin).await.unwrap();
    let refused = client.connect(&asking).await.unwrap_err();
    approve(owner, refused.request_id()).await.unwrap().unwrap();
    let mut client = open(gateway, &asking, pin).await.unwrap();
    let hello = client.connect(&asking).await.unwrap();
    by_token(&asking, hello["auth"]["deviceToken"].as_str().unwrap())
}

#[tokio::test]
async fn a_bad_certificate_takes_no_good_ones_place() {
    let place = Place::new(CONFIG);
    let good = Pair::valid(2020, 2080);
    good.put(&place);
    let mut gateway = place.serve();
    let mut owner = gateway.owner().await;
    let first = tls(&mut owner).await["fingerprint"].clone();
    let device = paired(&gateway, &mut owner, &first).await;
    let mut lasts = dial(&gateway, &device, &first).await.unwrap();
    for (name, spoil, says) in FAULTS {
        spoil(&place, &good);
        owner.call("policy.reload", json!({})).await.unwrap();
        let told = tls(&mut owner).await;
        assert_eq!(told["fingerprint"], first, "{name}");
        let problem = told["problem"].as_str();
        assert!(
            problem.is_some_and(|problem| problem.contains(says)),
            "{name}: {told}"
        );
        dial(&gateway, &device, &first).await.unwrap();
        lasts.call("health", json!({})).await.unwrap();

        good.put(&place);
        owner.call("policy.reload", json!({})).await.unwrap();
        let told = tls(&mut owner).await;
        assert_eq!(
            told,
            json!({ "fingerprint": first, "problem": null }),
            "{name}"
        );
    }
    let told = place.complaints();
    let again = told.matches("the certificate can be loaded again").count();
    assert_eq!(again, FAULTS.len(), "{told}");
    Pair::valid(2020, 2080).put(&place);
    owner.call("policy.reload", json!({})).await.unwrap();
    let now = tls(&mut owner).await["fingerprint"].clone();
    assert_ne!(now, first);
    assert!(dial(&gateway, &device, &first).await.is_none());
    dial(&gateway, &device, &now).await.unwrap();
    lasts.call("health", json!({})).await.unwrap();
    gateway.kill();

    for (name, spoil, says) in FAULTS {
        spoil(&place, &good);
        let said = place.refusal();
        assert!(said.contains(says), "{name}: {said}");
        good.put(&place);
    }
    let gateway = place.serve();
    dial(&gateway, &device, &first).await.unwrap();
}
