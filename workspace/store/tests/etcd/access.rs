//! Users, passwords and certificates.

use std::time::Duration;

use etcd_client::{Client, ConnectOptions};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tempfile::TempDir;
use twinspire_store::{MetadataStore, PATIENCE};
use twinspire_test_etcd::Cluster;

use crate::{done, in_time, open, value};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_a_password_is_let_in() {
    let Some(mut cluster) = Cluster::start(1).unwrap() else { return };
    let mut etcd = Client::connect(cluster.endpoints(), None).await.unwrap();
    etcd.user_add("root", "p@ss", None).await.unwrap();
    etcd.role_add("root").await.unwrap();
    etcd.user_grant_role("root", "root").await.unwrap();
    etcd.auth_enable().await.unwrap();

    let host = &cluster.endpoints()[0];
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("password");
    std::fs::write(&file, "p@ss\n").unwrap();
    let given = open(&format!("etcd://root:p%40ss@{host}"), PATIENCE).await.unwrap();
    let from_file = format!("etcd://root@{host}?password_file={}", file.display());
    let from_file = open(&from_file, PATIENCE).await.unwrap();
    let mut watch = from_file.watch("").await.unwrap();
    watch.next().await.unwrap().unwrap();
    let version = done(&given, "key", None, value("1")).await;
    watch.next().await.unwrap().unwrap();

    for wrong in [format!("etcd://root:wrong@{host}"), format!("etcd://{host}")] {
        let error = open(&wrong, PATIENCE).await.err().unwrap();
        assert!(error.code() == "TW5106" && !error.is_retryable(), "{error}");
        assert!(!error.to_string().contains("wrong@"), "{error}");
    }

    // Tokens from before a change of the users are old.
    let root = Some(ConnectOptions::new().with_user("root", "p@ss"));
    let mut etcd = Client::connect(cluster.endpoints(), root).await.unwrap();
    etcd.role_add("other").await.unwrap();
    assert_eq!(given.get("key").await.unwrap().unwrap().version, version);

    // A server that has been started again knows no token of before.
    cluster.kill(0);
    tokio::task::block_in_place(|| cluster.restart(0).unwrap());
    done(&given, "key", Some(version), value("2")).await;
    let lease = from_file.lease(Duration::from_secs(2)).await.unwrap();
    lease.revoke().await.unwrap();
    in_time(watch.next()).await.unwrap().unwrap();
}

/// An authority, with what it has signed.
struct Authority {
    directory: TempDir,
}

impl Authority {
    fn new() -> Authority {
        let directory = tempfile::tempdir().unwrap();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = params.self_signed(&key).unwrap();
        std::fs::write(directory.path().join("ca.pem"), ca.pem()).unwrap();
        let issuer = Issuer::new(params, key);
        for name in ["server", "client"] {
            let key = KeyPair::generate().unwrap();
            let params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
            let cert = params.signed_by(&key, &issuer).unwrap();
            std::fs::write(directory.path().join(format!("{name}.pem")), cert.pem()).unwrap();
            std::fs::write(directory.path().join(format!("{name}.key")), key.serialize_pem()).unwrap();
        }
        Authority { directory }
    }

    fn file(&self, name: &str) -> String {
        self.directory.path().join(name).display().to_string()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn server_and_client_believe_each_other_by_their_certificates() {
    let (ours, other) = (Authority::new(), Authority::new());
    let (cert, key) = (ours.file("server.pem"), ours.file("server.key"));
    let (cert, key) = (format!("--cert-file={cert}"), format!("--key-file={key}"));
    let trusted = format!("--trusted-ca-file={}", ours.file("ca.pem"));
    let arguments = [cert.as_str(), &key, "--client-cert-auth", &trusted];
    let Some(cluster) = Cluster::start_with(1, &arguments).unwrap() else { return };
    let host = &cluster.endpoints()[0];
    let by = |ca: &str, who: &Authority, name: &str| {
        let (cert, key) = (who.file(&format!("{name}.pem")), who.file(&format!("{name}.key")));
        format!("etcd://{host}?ca={ca}&cert={cert}&key={key}")
    };
    let store = open(&by(&ours.file("ca.pem"), &ours, "client"), PATIENCE).await.unwrap();
    done(&store, "key", None, value("1")).await;

    for distrusted in [
        // The server.
        by(&other.file("ca.pem"), &ours, "client"),
        by("system", &ours, "client"),
        // The client.
        by(&ours.file("ca.pem"), &other, "client"),
        format!("etcd://{host}?ca={}", ours.file("ca.pem")),
    ] {
        let error = in_time(open(&distrusted, PATIENCE)).await.err().unwrap();
        assert!(error.code() == "TW5106" && !error.is_retryable(), "{distrusted}: {error}");
    }
    for (unreadable, what) in [
        (format!("etcd://{host}?ca=/no/such/file"), "its ca, /no/such/file"),
        (by(&ours.file("ca.pem"), &ours, "nobody"), "its cert"),
        (by(&ours.file("server.key"), &ours, "client"), "certificate"),
        (format!("etcd://{host}?ca=system&cert={0}&key={0}", ours.file("ca.pem")), "key"),
    ] {
        let error = in_time(open(&unreadable, PATIENCE)).await.err().unwrap();
        assert!(error.to_string().contains(what), "{unreadable}: {error}");
        assert!(!error.is_retryable(), "{error}");
    }
    // In plain text it says nothing at all.
    let error = in_time(open(&format!("etcd://{host}"), Duration::from_secs(1))).await.err().unwrap();
    assert_eq!(error.code(), "TW5101");
}
