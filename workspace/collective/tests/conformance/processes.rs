//! Ranks as real processes: this test binary started again, told by its environment which rank it is.
//!
//! A rank speaks to the test in lines `@ word rest` on its standard output.

use std::env;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use tch::{Device, Kind, Tensor};
use twinspire_collective::{Collective, CollectiveError, Gloo, Rendezvous, RendezvousHost};

use crate::suite;

const ROLE: &str = "TWINSPIRE_TEST_ROLE";
const RANK: &str = "TWINSPIRE_TEST_RANK";
const SIZE: &str = "TWINSPIRE_TEST_SIZE";
const PORT: &str = "TWINSPIRE_TEST_PORT";
const TIMEOUT_MS: &str = "TWINSPIRE_TEST_TIMEOUT_MS";

/// A wait that this ends has hung: far longer than anything takes on a busy machine.
pub(crate) const HUNG: Duration = Duration::from_secs(60);

/// An impatient rank breaks off when a sum takes longer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(2);

/// What a rank does once its group has met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Runs the suite.
    Conform,
    /// Sums for ever; at the first error says `failed CODE`, tries once more and says `then CODE`.
    Work,
    /// The same, and breaks off what takes longer than its patience.
    Impatient,
    /// Works for three steps and leaves.
    Leave,
}

impl Role {
    const ALL: [Role; 4] = [Role::Conform, Role::Work, Role::Impatient, Role::Leave];
}

/// A rank's process, killed when dropped.
pub(crate) struct Rank {
    pub(crate) rank: usize,
    child: Child,
    lines: Receiver<String>,
    heard: Vec<String>,
}

/// Runs the suite in a group of `size` processes.
pub(crate) fn conform(size: usize) {
    for mut rank in start(&vec![Role::Conform; size], HUNG) {
        rank.hear("kept", Instant::now() + HUNG);
    }
}

/// Starts one process a role, all of one group. Rank 0 hosts, as a worker does.
pub(crate) fn start(roles: &[Role], timeout: Duration) -> Vec<Rank> {
    let mut first = Rank::start(roles[0], 0, roles.len(), None, timeout);
    let port = first.hear("port", Instant::now() + HUNG);
    let others = roles.iter().enumerate().skip(1);
    let others = others.map(|(rank, role)| Rank::start(*role, rank, roles.len(), Some(&port), timeout));
    let others: Vec<Rank> = others.collect();
    [first].into_iter().chain(others).collect()
}

impl Rank {
    fn start(role: Role, rank: usize, size: usize, port: Option<&str>, timeout: Duration) -> Self {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--ignored", "--exact", "rank_of_a_group", "--nocapture", "--test-threads=1"])
            .env(ROLE, format!("{role:?}"))
            .env(RANK, rank.to_string())
            .env(SIZE, size.to_string())
            .env(PORT, port.unwrap_or_default())
            .env(TIMEOUT_MS, timeout.as_millis().to_string())
            // Four ranks on two cores are quicker when each keeps to one.
            .env("OMP_NUM_THREADS", "1")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, lines) = channel();
        pass_on(child.stdout.take().unwrap(), sender.clone());
        pass_on(child.stderr.take().unwrap(), sender);
        Self { rank, child, lines, heard: Vec::new() }
    }

    /// Waits for the rank to say `word`, and returns what it said with it.
    pub(crate) fn hear(&mut self, word: &str, deadline: Instant) -> String {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(line) = self.lines.recv_timeout(left) else {
                panic!("rank {} did not say {word:?} in time, but:\n{}", self.rank, self.heard.join("\n"));
            };
            self.heard.push(line.clone());
            // The test harness writes a few words of its own in the same line.
            let said = line.split_once("@ ").map_or("", |(_, said)| said);
            if let Some(rest) = said.strip_prefix(word) {
                return rest.trim().to_owned();
            }
        }
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
    }

    /// `kill -STOP`: alive to the system, dead to the others.
    pub(crate) fn freeze(&self) {
        let stop = format!("kill -STOP {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &stop]).status().unwrap().success());
    }
}

impl Drop for Rank {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn pass_on(stream: impl Read + Send + 'static, lines: Sender<String>) {
    thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            if lines.send(line).is_err() {
                break;
            }
        }
    });
}

fn say(words: &str) {
    println!("@ {words}");
}

/// The life of a rank's process.
pub(crate) fn be_a_rank() {
    let Ok(role) = env::var(ROLE) else { return };
    let role = Role::ALL.into_iter().find(|known| format!("{known:?}") == role).unwrap();
    let number = |name| env::var(name).unwrap().parse::<usize>().unwrap();
    let (rank, size) = (number(RANK), number(SIZE));
    let timeout = Duration::from_millis(number(TIMEOUT_MS) as u64);

    let host = (rank == 0).then(|| RendezvousHost::listen("127.0.0.1").unwrap());
    let port = host.as_ref().map_or_else(|| number(PORT) as u16, RendezvousHost::port);
    if host.is_some() {
        say(&format!("port {port}"));
    }
    let rendezvous = Rendezvous::new("127.0.0.1", port);
    let group = Gloo::connect(&rendezvous, rank, size, "job/1", HUNG).unwrap().with_timeout(timeout);
    match role {
        Role::Conform => {
            suite::run(&group);
            say("kept");
        }
        Role::Work => work(&group, || ()),
        Role::Impatient => {
            let (breaker, (alive, steps)) = (group.breaker(), channel());
            thread::spawn(move || {
                while steps.recv_timeout(PATIENCE).is_ok() {}
                breaker.break_off();
            });
            work(&group, || alive.send(()).unwrap_or_default());
        }
        Role::Leave => (0..3).for_each(|_| sum(&group).unwrap()),
    }
}

fn work(group: &Gloo, after_a_step: impl Fn()) {
    let mut steps = 0;
    let error = loop {
        match sum(group) {
            Ok(()) => {
                steps += 1;
                after_a_step();
            }
            Err(error) => break error,
        }
        if steps == 3 {
            say("working");
        }
    };
    say(&format!("failed {} {error}", error.code()));
    say(&format!("then {}", sum(group).unwrap_err().code()));
}

fn sum(group: &Gloo) -> Result<(), CollectiveError> {
    group.all_reduce_sum(&mut Tensor::ones([10_000], (Kind::Float, Device::Cpu)))
}
