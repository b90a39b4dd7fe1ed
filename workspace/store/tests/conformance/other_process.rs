//! Another process that uses the store, to be killed: this test program, run again as one test.

use std::io::{BufRead, BufReader, Read, Write as _};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};

use rustix::process::{Pid, Signal, kill_process};
use tokio::time::sleep;
use twinspire_store::{Election, MetadataStore, Write, open};

use crate::backend::{Backend, DEADLINE, TTL, done_write};

const ROLE: &str = "TWINSPIRE_TEST_ROLE";
const PLACE: &str = "TWINSPIRE_TEST_PLACE";

pub(crate) struct OtherProcess {
    child: Child,
    says: Arc<Mutex<BufReader<ChildStdout>>>,
}

impl OtherProcess {
    pub(crate) fn start(role: &str, backend: &Backend) -> OtherProcess {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "other_process::what_the_other_process_does", "--nocapture"])
            .envs([(ROLE, role), (PLACE, backend.place())])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let says = Arc::new(Mutex::new(BufReader::new(child.stdout.take().unwrap())));
        OtherProcess { child, says }
    }

    /// Waits until it says so.
    pub(crate) async fn wait_for(&mut self, word: &str) {
        let (says, word) = (Arc::clone(&self.says), word.to_owned());
        let waiting = tokio::task::spawn_blocking(move || {
            let mut says = says.lock().unwrap();
            says.by_ref().lines().map(Result::unwrap).any(|line| line == word)
        });
        assert!(waiting.await.unwrap(), "it ended without a word");
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    pub(crate) fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }
}

impl Drop for OtherProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn say(word: &str) {
    println!("\n{word}");
    std::io::stdout().flush().unwrap();
}

/// Not a test of its own.
#[tokio::test]
async fn what_the_other_process_does() {
    let (Ok(role), Ok(place)) = (std::env::var(ROLE), std::env::var(PLACE)) else { return };
    // The test may be killed itself.
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(1);
    });
    let store = open(&place).await.unwrap();
    match role.as_str() {
        "holder" => {
            let lease = store.lease(TTL).await.unwrap();
            done_write(&*store, Write::put("held", None, b"").under(&lease)).await;
            done_write(&*store, Write::put("stays", None, b"")).await;
            say("holding");
            sleep(DEADLINE).await;
        }
        "leader" => {
            let leadership = Election::new(store, "leader").campaign("the other", TTL).await.unwrap();
            let (store, mut version, mut count) = (leadership.store(), None, 0u64);
            loop {
                count += 1;
                match store.compare_and_swap("count", version, Some(count.to_string().into_bytes())).await {
                    Ok(twinspire_store::Swap::Done(done)) => version = Some(done),
                    other => {
                        assert_eq!(other.unwrap_err().code(), "TW5108");
                        say("deposed");
                        assert!(leadership.is_lost(), "the clock says so too");
                        return;
                    }
                }
                if count == 3 {
                    say("leading");
                }
            }
        }
        other => panic!("{other}"),
    }
}
