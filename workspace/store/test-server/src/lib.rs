//! For tests only: real etcd servers, alone or as a cluster, that can be killed, frozen and started again.
//!
//! The server is the one in `.tools/etcd/`, which `make etcd` puts there, or else the one in PATH. Where there is
//! none, [`Cluster::start`] says so on stderr and gives none, and the test that wanted it is passed over.
//!
//! A server and its files are gone when the [`Cluster`] is dropped, and also when the test's process is killed: a
//! shell waits for the end of the pipe that it holds.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// How long a server may take to start, or a cluster to elect: on a machine that does ten other things.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs a server until a line comes (it is started again later) or the pipe ends (all is over).
const GUARD: &str = r#"
trap : INT TERM HUP
directory=$1; shift
"$@" > "$directory/log" 2>&1 &
echo $!
read -r keep
kill -9 $! 2> /dev/null
wait $! 2> /dev/null
[ "$keep" ] || rm -rf "$directory"
"#;

/// The etcd that tests use.
pub fn program() -> Option<PathBuf> {
    let fetched = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../.tools/etcd/bin/etcd");
    let in_path = std::env::var_os("PATH").unwrap_or_default();
    let in_path: Vec<PathBuf> =
        std::env::split_paths(&in_path).map(|directory| directory.join("etcd")).collect();
    [fetched].into_iter().chain(in_path).find(|path| path.is_file())
}

/// etcd servers that form one cluster.
pub struct Cluster {
    members: Vec<Member>,
}

impl Cluster {
    /// Starts a cluster of so many members, and waits until it has a leader. None: there is no etcd here.
    pub fn start(members: usize) -> io::Result<Option<Cluster>> {
        Cluster::start_with(members, &[])
    }

    /// The same with more arguments to each etcd.
    pub fn start_with(members: usize, arguments: &[&str]) -> io::Result<Option<Cluster>> {
        let Some(program) = program() else {
            // Not eprintln: the test harness would keep that to itself.
            writeln!(io::stderr(), "skipped: there is no etcd here; `make etcd` fetches one")?;
            return Ok(None);
        };
        // A port that was free may be taken a moment later.
        let mut attempts = 5;
        loop {
            attempts -= 1;
            match Cluster::try_start(&program, members, arguments) {
                Ok(cluster) => return Ok(Some(cluster)),
                Err(error) if attempts == 0 => return Err(error),
                Err(_) => {}
            }
        }
    }

    fn try_start(program: &Path, members: usize, arguments: &[&str]) -> io::Result<Cluster> {
        let ports = free_ports(2 * members)?;
        let (clients, peers) = ports.split_at(members);
        let is_tls = arguments.iter().any(|argument| argument.starts_with("--cert-file="));
        let scheme = if is_tls { "https" } else { "http" };
        let named = peers.iter().enumerate().map(|(i, port)| format!("m{i}=http://127.0.0.1:{port}"));
        let all = named.collect::<Vec<String>>().join(",");
        let started = clients.iter().zip(peers).enumerate().map(|(i, (client, peer))| {
            let directory = tempfile::Builder::new().prefix("twinspire-etcd-").tempdir()?.keep();
            let (client_url, peer_url) =
                (format!("{scheme}://127.0.0.1:{client}"), format!("http://127.0.0.1:{peer}"));
            let mut command: Vec<String> = vec![program.display().to_string()];
            for (name, value) in [
                ("name", format!("m{i}")),
                ("data-dir", directory.join("data").display().to_string()),
                ("listen-client-urls", client_url.clone()),
                ("advertise-client-urls", client_url),
                ("listen-peer-urls", peer_url.clone()),
                ("initial-advertise-peer-urls", peer_url),
                ("initial-cluster", all.clone()),
                ("initial-cluster-state", "new".into()),
                // In plain text wherever the clients are not.
                ("listen-metrics-urls", format!("http://127.0.0.1:{}", free_ports(1)?[0])),
            ] {
                command.push(format!("--{name}={value}"));
            }
            command.extend(arguments.iter().map(ToString::to_string));
            Member::start(directory, *client, command)
        });
        let mut cluster = Cluster { members: started.collect::<io::Result<_>>()? };
        cluster.members.iter_mut().try_for_each(Member::wait_until_ready)?;
        Ok(cluster)
    }

    /// `host:port` of all members.
    pub fn endpoints(&self) -> Vec<String> {
        self.members.iter().map(|member| format!("127.0.0.1:{}", member.client)).collect()
    }

    /// The address of a store in it, whose keys begin with `prefix`: `etcd://…/prefix`.
    pub fn place(&self, prefix: &str) -> String {
        format!("etcd://{}/{prefix}", self.endpoints().join(","))
    }

    /// Which member leads, once one does.
    pub fn leader(&self) -> usize {
        let end = Instant::now() + PATIENCE;
        loop {
            let is_leader = |member: &Member| member.ask("/metrics").contains("\netcd_server_is_leader 1");
            if let Some(leader) = self.members.iter().position(is_leader) {
                return leader;
            }
            assert!(Instant::now() < end, "no member leads: {}", self.members[0].log());
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// `kill -9`.
    pub fn kill(&self, member: usize) {
        self.members[member].signal(Signal::KILL);
    }

    /// `kill -STOP`: it holds its connections and says nothing.
    pub fn freeze(&self, member: usize) {
        self.members[member].signal(Signal::STOP);
    }

    /// `kill -CONT`.
    pub fn thaw(&self, member: usize) {
        self.members[member].signal(Signal::CONT);
    }

    /// Starts a member again that was killed, with the files it had.
    pub fn restart(&mut self, member: usize) -> io::Result<()> {
        self.members[member].restart()?;
        self.members[member].wait_until_ready()
    }
}

struct Member {
    directory: PathBuf,
    /// The port for clients.
    client: u16,
    command: Vec<String>,
    guard: Child,
    pid: Pid,
}

impl Member {
    fn start(directory: PathBuf, client: u16, command: Vec<String>) -> io::Result<Member> {
        let (guard, pid) = guarded(&directory, &command)?;
        Ok(Member { directory, client, command, guard, pid })
    }

    fn restart(&mut self) -> io::Result<()> {
        if let Some(mut pipe) = self.guard.stdin.take() {
            pipe.write_all(b"keep\n")?;
        }
        self.guard.wait()?;
        (self.guard, self.pid) = guarded(&self.directory, &self.command)?;
        Ok(())
    }

    fn wait_until_ready(&mut self) -> io::Result<()> {
        let end = Instant::now() + PATIENCE;
        while !self.is_healthy() {
            let is_late = Instant::now() > end;
            if is_late || self.is_over() {
                let what = if is_late { "is not ready" } else { "ended" };
                return Err(io::Error::other(format!("etcd {what}: {}", self.log())));
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// The guard has not waited for it, so the number is nobody else's, also when it is dead.
    fn signal(&self, signal: Signal) {
        let _ = kill_process(self.pid, signal);
    }

    /// Whether it is dead, and a zombie until its guard is told.
    fn is_over(&self) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid.as_raw_nonzero()));
        stat.is_ok_and(|stat| stat.contains(") Z "))
    }

    fn is_healthy(&self) -> bool {
        self.ask("/health").contains(r#""health":"true""#)
    }

    fn log(&self) -> String {
        let mut log = String::new();
        let _ = File::open(self.directory.join("log")).and_then(|mut file| file.read_to_string(&mut log));
        log.lines().rev().take(20).collect::<Vec<&str>>().join("\n")
    }

    /// What it answers to a GET, or nothing.
    fn ask(&self, path: &str) -> String {
        let metrics = self.command.iter().find_map(|part| part.strip_prefix("--listen-metrics-urls=http://"));
        let address = metrics.and_then(|address| address.parse().ok());
        address.and_then(|address| get(address, path).ok()).unwrap_or_default()
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        let _ = self.guard.wait();
    }
}

fn guarded(directory: &Path, command: &[String]) -> io::Result<(Child, Pid)> {
    let mut guard = Command::new("sh")
        .args(["-c", GUARD, "guard"])
        .arg(directory)
        .args(command)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut line = String::new();
    BufReader::new(guard.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?).read_line(&mut line)?;
    let pid = line.trim().parse().ok().and_then(Pid::from_raw);
    Ok((guard, pid.ok_or_else(|| io::Error::other(format!("no process id: {line}")))?))
}

fn free_ports(count: usize) -> io::Result<Vec<u16>> {
    // Held all at once, so that they differ.
    let held =
        (0..count).map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).collect::<io::Result<Vec<_>>>()?;
    held.iter().map(|listener| Ok(listener.local_addr()?.port())).collect()
}

fn get(address: SocketAddr, path: &str) -> io::Result<String> {
    let patience = Duration::from_secs(5);
    let mut stream = TcpStream::connect_timeout(&address, patience)?;
    stream.set_read_timeout(Some(patience))?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
