//! Thousands of simulated workers at one coordinator: real sessions, no work.
//!
//! ```text
//! register   all at once                         -> seconds until the last is welcomed
//! idle       heartbeats at the pace asked for    -> memory, processor time
//! jobs       submit, assigned, cancel, over      -> submit to the last of a job's Assign messages
//! flood      heartbeats as fast as they are read -> heartbeats per second
//! ```
//! Sessions share HTTP/2 connections; the coordinator sees each as a worker. A heartbeat has no answer,
//! so the flood ends with what has one: a worker closes its side after its last heartbeat, and the
//! coordinator ends the session once it has handled all that came before. In the flood several heartbeats
//! travel in a frame, as HTTP/2 has it; at the pace asked for, each has its own.
//!
//! `benches/rivals/heartbeats.py` serves the same protocol, but for jobs. Prints one JSON object.

mod jobs;
mod process;
mod simulated;

use std::{
    error::Error,
    time::{Duration, Instant},
};

use clap::Parser;
use serde_json::json;
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
};
use tonic::transport::{Channel, Endpoint};

use jobs::Jobs;
use process::Process;
use simulated::{Phase, Simulated};

type Failure = Box<dyn Error + Send + Sync>;

/// Simulated workers of a coordinator that has no others.
#[derive(Parser)]
struct Options {
    /// Where it listens.
    url: String,
    /// Its process.
    #[arg(long)]
    pid: u32,
    #[arg(long, default_value_t = 10_000)]
    workers: usize,
    /// Connections that they share.
    #[arg(long, default_value_t = 200)]
    connections: usize,
    /// Heartbeats of each in the flood.
    #[arg(long, default_value_t = 50)]
    heartbeats: usize,
    /// Seconds of heartbeats at the pace asked for.
    #[arg(long, default_value_t = 6)]
    idle: u64,
    /// Jobs submitted, one after another.
    #[arg(long, default_value_t = 0)]
    jobs: usize,
    /// Workers of each.
    #[arg(long, default_value_t = 64)]
    job_workers: usize,
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let options = Options::parse();
    let server = Process(options.pid);
    let empty_mb = server.memory_mb("VmRSS")?;
    let channels = connect(&options).await?;

    let (phase, phases) = watch::channel(Phase::Idle);
    let (assigned, mut seen) = mpsc::unbounded_channel();
    let began = Instant::now();
    let mut registering = JoinSet::new();
    for number in 0..options.workers {
        let channel = channels[number % channels.len()].clone();
        registering.spawn(Simulated::register(number, channel, assigned.clone()));
    }
    let mut workers = JoinSet::new();
    while let Some(registered) = registering.join_next().await {
        workers.spawn(registered??.live(phases.clone(), options.heartbeats));
    }
    let register_s = began.elapsed().as_secs_f64();

    let (began, before) = (Instant::now(), server.cpu_s()?);
    tokio::time::sleep(Duration::from_secs(options.idle)).await;
    let idle_cores = (server.cpu_s()? - before) / began.elapsed().as_secs_f64();
    let memory_mb = server.memory_mb("VmRSS")?;
    let mut figures = json!({
        "sessions": options.workers,
        "connections": channels.len(),
        "register_s": register_s,
        "idle_cores": idle_cores,
        "memory_mb": memory_mb,
        "kb_per_worker": (memory_mb - empty_mb) * 1024.0 / options.workers as f64,
    });

    if options.jobs > 0 {
        let mut jobs = Jobs::new(channels[0].clone(), options.job_workers);
        jobs.all_listed(options.workers).await?;
        let mut latencies = Vec::new();
        for number in 0..options.jobs {
            latencies.push(jobs.one(number, &mut seen).await?.as_secs_f64() * 1e3);
        }
        latencies.sort_by(f64::total_cmp);
        let rank = |share: f64| latencies[((share * latencies.len() as f64).ceil() as usize).max(1) - 1];
        figures["assign_p50_ms"] = rank(0.5).into();
        figures["assign_p99_ms"] = rank(0.99).into();
    }

    let (began, before) = (Instant::now(), server.cpu_s()?);
    phase.send_replace(Phase::Flood);
    while let Some(ended) = workers.join_next().await {
        ended??;
    }
    let heartbeats = (options.workers * options.heartbeats) as f64;
    figures["heartbeats_per_s"] = (heartbeats / began.elapsed().as_secs_f64()).into();
    figures["cpu_us_per_heartbeat"] = ((server.cpu_s()? - before) * 1e6 / heartbeats).into();
    figures["server_peak_mb"] = server.memory_mb("VmHWM")?.into();
    println!("{figures}");
    Ok(())
}

async fn connect(options: &Options) -> Result<Vec<Channel>, Failure> {
    let endpoint = Endpoint::from_shared(options.url.clone())?.tcp_nodelay(true);
    let mut channels = Vec::new();
    for _ in 0..options.connections.clamp(1, options.workers.max(1)) {
        channels.push(endpoint.connect().await?);
    }
    Ok(channels)
}
