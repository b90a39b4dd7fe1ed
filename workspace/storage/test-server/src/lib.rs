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

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};
use hyper::service::{Service, service_fn};
use hyper::{Method, Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{Body, HttpError};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::{Mutex, watch};
use tokio::task::JoinHandle;

/// The access key the server knows.
pub const ACCESS_KEY: &str = "TESTACCESSKEY";
/// Its secret.
pub const SECRET_KEY: &str = "test-secret-key";

/// What is wrong with the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// Every request is answered 503 SlowDown.
    SlowDown,
    /// Every request is answered 403 AccessDenied.
    AccessDenied,
    /// Every write is answered 507, as a server whose disk is full does.
    Full,
    /// Every write of a `manifest.json` is answered 503: all is sent, but nothing is committed.
    NoManifest,
    /// Conditional writes are written, whatever their condition; some servers are like that.
    NoConditions,
    /// Every write is answered 429 TooManyRequests.
    TooManyRequests,
    /// Every write is answered 500 InternalError.
    InternalError,
    /// Every write is answered 403 ExpiredToken, as when somebody's credentials have run out.
    ExpiredToken,
    /// Every write is taken and never answered.
    Silent,
    /// Every write is answered [`SLOWNESS`] late.
    Slow,
    /// The connection of every write that has a body is closed when half of that is there.
    CutOff,
    /// Every write is done, and its connection closed before the answer.
    AnswerLost,
    /// Nobody listens: connections are refused.
    Refused,
}

/// How late a slow server is.
pub const SLOWNESS: Duration = Duration::from_millis(700);

struct Shared {
    root: PathBuf,
    fault: watch::Sender<Fault>,
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

        let port = Port::reserve()?;
        let address = port.address;
        let listener = port.listen()?;
        let shared = Arc::new(Shared {
            root: root.path().to_owned(),
            fault: watch::Sender::new(Fault::None),
            requests: AtomicU64::new(0),
            conditional: Mutex::new(()),
        });
        let accepting = tokio::spawn(serve(port, listener, service, Arc::clone(&shared)));
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
        self.shared.fault.send_replace(fault);
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

/// A port of this machine that is ours, whether we listen or not.
struct Port {
    address: SocketAddr,
    _holder: TcpSocket,
}

impl Port {
    fn reserve() -> io::Result<Port> {
        let holder = bound(SocketAddr::from(([127, 0, 0, 1], 0)))?;
        Ok(Port { address: holder.local_addr()?, _holder: holder })
    }

    fn listen(&self) -> io::Result<TcpListener> {
        bound(self.address)?.listen(1024)
    }
}

/// Several sockets may have an address like this, of which one listens.
fn bound(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// Listens, but for the time that connections are to be refused.
async fn serve(port: Port, mut listener: TcpListener, service: S3Service, shared: Arc<Shared>) {
    let mut fault = shared.fault.subscribe();
    loop {
        tokio::select! {
            _ = fault.wait_for(|fault| *fault == Fault::Refused) => {}
            () = accept(&listener, &service, &shared) => return,
        }
        drop(listener);
        if fault.wait_for(|fault| *fault != Fault::Refused).await.is_err() {
            return;
        }
        match port.listen() {
            Ok(again) => listener = again,
            Err(_) => return,
        }
    }
}

async fn accept(listener: &TcpListener, service: &S3Service, shared: &Arc<Shared>) {
    while let Ok((socket, _)) = listener.accept().await {
        let (service, shared) = (service.clone(), Arc::clone(shared));
        tokio::spawn(async move {
            let answer = service_fn(move |request| answer(service.clone(), Arc::clone(&shared), request));
            // A client that hangs up is its own affair.
            let _ = Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(socket), answer).await;
        });
    }
}

/// What the fault leaves of an answer. An error closes the connection without one.
async fn answer(
    service: S3Service,
    shared: Arc<Shared>,
    request: Request<Incoming>,
) -> Result<Response<Body>, Box<dyn Error + Send + Sync>> {
    shared.requests.fetch_add(1, Ordering::SeqCst);
    let fault = *shared.fault.borrow();
    let writes = request.method() != Method::GET && request.method() != Method::HEAD;
    let refusal = match fault {
        Fault::SlowDown => Some((503, "SlowDown")),
        Fault::AccessDenied => Some((403, "AccessDenied")),
        Fault::Full if writes => Some((507, "XMinioStorageFull")),
        Fault::NoManifest if writes && request.uri().path().ends_with("/manifest.json") => {
            Some((503, "SlowDown"))
        }
        Fault::TooManyRequests if writes => Some((429, "TooManyRequests")),
        Fault::InternalError if writes => Some((500, "InternalError")),
        Fault::ExpiredToken if writes => Some((403, "ExpiredToken")),
        Fault::Silent if writes => std::future::pending().await,
        Fault::Slow if writes => {
            tokio::time::sleep(SLOWNESS).await;
            None
        }
        Fault::CutOff if writes && !request.body().is_end_stream() => {
            return Err(half_of(request.into_body()).await);
        }
        Fault::Refused => return Err("nobody is here".into()),
        _ => None,
    };
    let bucket = request.uri().path().split('/').nth(1).unwrap_or_default();
    let refusal = refusal.or((!shared.root.join(bucket).is_dir()).then_some((404, "NoSuchBucket")));
    if let Some((status, code)) = refusal {
        let body =
            format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>{code}</Message></Error>");
        return Ok(Response::builder().status(status).body(Body::from(body))?);
    }
    let answer = obey(&service, &shared, fault, request).await?;
    if fault == Fault::AnswerLost && writes {
        return Err("the answer is lost".into());
    }
    Ok(answer)
}

/// Takes half of a body, and says what became of it.
async fn half_of(mut body: Incoming) -> Box<dyn Error + Send + Sync> {
    let mut left = body.size_hint().lower() / 2;
    while let Some(Ok(frame)) = body.frame().await
        && left > 0
    {
        left = left.saturating_sub(frame.data_ref().map_or(0, |data| data.len() as u64));
    }
    "half of it is lost".into()
}

/// Does what is asked.
async fn obey(
    service: &S3Service,
    shared: &Shared,
    fault: Fault,
    request: Request<Incoming>,
) -> Result<Response<Body>, HttpError> {
    if request.headers().contains_key("if-none-match") {
        let _one_at_a_time = shared.conditional.lock().await;
        if fault == Fault::NoConditions {
            // The header is signed, so it stays; there is nothing it could hold against.
            let _ = std::fs::remove_file(shared.root.join(request.uri().path().trim_start_matches('/')));
        }
        return Service::call(service, request).await;
    }
    Service::call(service, request).await
}
