//! For tests only: a real S3 server inside the test's own process, with switchable faults.
//!
//! The server is `s3s-fs`: path-style requests, signatures checked, objects kept as files under a
//! temporary directory. It speaks HTTP on a loopback port, so that another process (a worker under
//! test) can use it just as well, given [`S3Server::environment`].
//!
//! Three things are added to it:
//! - a bucket that is not there is NoSuchBucket, also for writes;
//! - a conditional create (`If-None-Match: *`) is atomic, as it is on Amazon S3; `s3s-fs` alone
//!   checks first and writes later;
//! - [`S3Server::set_fault`] makes it answer like a server in trouble.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use hyper::service::{Service, service_fn};
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{Body, HttpError};
use tokio::net::TcpListener;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

/// The access key the server knows.
pub const ACCESS_KEY: &str = "TESTACCESSKEY";
/// Its secret.
pub const SECRET_KEY: &str = "test-secret-key";

/// What is wrong with the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Fault {
    /// Nothing.
    None = 0,
    /// Every request is answered 503 SlowDown.
    SlowDown = 1,
    /// Every request is answered 403 AccessDenied.
    AccessDenied = 2,
    /// Every write is answered 507, as a server whose disk is full does.
    Full = 3,
    /// Every write of a `manifest.json` is answered 503: all is sent, but nothing is committed.
    NoManifest = 4,
}

struct Shared {
    root: PathBuf,
    fault: AtomicU8,
    requests: AtomicU64,
    conditional: Mutex<()>,
}

/// A running server; it stops when dropped.
pub struct S3Server {
    address: SocketAddr,
    root: tempfile::TempDir,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

impl S3Server {
    /// Starts a server with these (empty) buckets on the present tokio runtime.
    pub async fn start(buckets: &[&str]) -> io::Result<S3Server> {
        let root = tempfile::tempdir()?;
        for bucket in buckets {
            std::fs::create_dir(root.path().join(bucket))?;
        }
        let files =
            s3s_fs::FileSystem::new(root.path()).map_err(|error| io::Error::other(format!("{error:?}")))?;
        let mut service = S3ServiceBuilder::new(files);
        service.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
        let service = service.build();

        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            root: root.path().to_owned(),
            fault: AtomicU8::new(Fault::None as u8),
            requests: AtomicU64::new(0),
            conditional: Mutex::new(()),
        });
        let accepting = tokio::spawn(accept(listener, service, Arc::clone(&shared)));
        Ok(S3Server { address, root, shared, accepting })
    }

    /// `http://127.0.0.1:port`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The variables with which a client reaches this server.
    pub fn environment(&self) -> Vec<(String, String)> {
        [
            ("AWS_ENDPOINT_URL", self.endpoint().as_str()),
            ("AWS_ALLOW_HTTP", "true"),
            ("AWS_ACCESS_KEY_ID", ACCESS_KEY),
            ("AWS_SECRET_ACCESS_KEY", SECRET_KEY),
            ("AWS_REGION", "us-east-1"),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .to_vec()
    }

    /// Where a bucket's objects lie as files: to damage them.
    pub fn bucket_path(&self, bucket: &str) -> PathBuf {
        self.root.path().join(bucket)
    }

    /// From now on the server has this fault.
    pub fn set_fault(&self, fault: Fault) {
        self.shared.fault.store(fault as u8, Ordering::SeqCst);
    }

    /// Requests seen so far.
    pub fn requests(&self) -> u64 {
        self.shared.requests.load(Ordering::SeqCst)
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, service: S3Service, shared: Arc<Shared>) {
    while let Ok((socket, _)) = listener.accept().await {
        let (service, shared) = (service.clone(), Arc::clone(&shared));
        tokio::spawn(async move {
            let answer = service_fn(move |request| answer(service.clone(), Arc::clone(&shared), request));
            // A client that hangs up is its own affair.
            let _ = Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(socket), answer).await;
        });
    }
}

async fn answer(
    service: S3Service,
    shared: Arc<Shared>,
    request: Request<hyper::body::Incoming>,
) -> Result<Response<Body>, HttpError> {
    shared.requests.fetch_add(1, Ordering::SeqCst);
    let fault = shared.fault.load(Ordering::SeqCst);
    let writes = request.method() != hyper::Method::GET && request.method() != hyper::Method::HEAD;
    let bucket = request.uri().path().split('/').nth(1).unwrap_or_default();
    let refusal = match fault {
        f if f == Fault::SlowDown as u8 => Some((503, "SlowDown")),
        f if f == Fault::AccessDenied as u8 => Some((403, "AccessDenied")),
        f if f == Fault::Full as u8 && writes => Some((507, "XMinioStorageFull")),
        f if f == Fault::NoManifest as u8 && writes && request.uri().path().ends_with("/manifest.json") => {
            Some((503, "SlowDown"))
        }
        _ if !shared.root.join(bucket).is_dir() => Some((404, "NoSuchBucket")),
        _ => None,
    };
    if let Some((status, code)) = refusal {
        let body =
            format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>{code}</Message></Error>");
        let mut response = Response::new(Body::from(body));
        if let Ok(status) = status.try_into() {
            *response.status_mut() = status;
        }
        return Ok(response);
    }
    if request.headers().contains_key("if-none-match") {
        let _one_at_a_time = shared.conditional.lock().await;
        return Service::call(&service, request).await;
    }
    Service::call(&service, request).await
}
