//! The plan of a dataset of very many shards; `benches/rivals/plan.py` does the same work with numpy, and
//! as PyTorch's sampler does.
//!
//! Reads a manifest, then plans one lane's share of several epochs, then asks where random steps stand.
//! Prints one JSON object.

use std::{error::Error, fs, hint::black_box, path::PathBuf, time::Instant};

use clap::Parser;
use serde_json::json;
use twinspire_dataset::{Manifest, Plan, PlanSettings, ShardInfo};

/// One lane of the epochs of a dataset.
#[derive(Parser)]
struct Options {
    /// A manifest.
    manifest: PathBuf,
    /// Write one of so many shards there, and do no more.
    #[arg(long)]
    create: Option<u64>,
    #[arg(long, default_value_t = 64)]
    lanes: u32,
    #[arg(long, default_value_t = 5)]
    epochs: u32,
    #[arg(long, default_value_t = 100_000)]
    lookups: u64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    if let Some(shards) = options.create {
        return Ok(fs::write(&options.manifest, manifest(shards).to_json()?)?);
    }
    let began = Instant::now();
    let place = options.manifest.display().to_string();
    let manifest = Manifest::from_json(&place, &fs::read(&options.manifest)?)?;
    let read_s = began.elapsed().as_secs_f64();

    let settings =
        PlanSettings { seed: 7, lanes: options.lanes, global_batch: options.lanes * 16, shuffle_shards: 4 };
    let plan = Plan::new(&manifest, settings)?;
    let mut seconds = Vec::new();
    let mut last = None;
    for epoch in 0..options.epochs.max(1) {
        drop(last.take());
        let began = Instant::now();
        last = Some(plan.epoch(epoch).lane(options.lanes / 2));
        seconds.push(began.elapsed().as_secs_f64());
    }
    seconds.sort_by(f64::total_cmp);
    let Some(lane) = last else { return Ok(()) };

    let mut step = 0u64;
    let began = Instant::now();
    for _ in 0..options.lookups {
        // Steps of all epochs in no order.
        step = step.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let cursor = plan.cursor(step >> 32);
        let blocks = lane.blocks_of(&lane.step_span(cursor.step));
        black_box(lane.pieces(blocks.start.min(lane.blocks() - 1)));
    }
    let lookup_us = began.elapsed().as_secs_f64() * 1e6 / options.lookups as f64;

    let figures = json!({
        "read_s": read_s,
        "plan_s": seconds[seconds.len() / 2],
        "lookup_us": lookup_us,
        "rows": plan.rows(),
        "lane_rows": lane.rows(),
        "lane_blocks": lane.blocks(),
    });
    println!("{figures}");
    Ok(())
}

/// A manifest of so many shards of about a thousand rows.
fn manifest(count: u64) -> Manifest {
    let mut users = 0;
    let shard = |number: u64| {
        let rows = 900 + number * 2_654_435_761 % 200;
        let first_row = users;
        users += rows;
        let file = format!("timelines-{:05}.parquet", number / 100);
        ShardInfo { file, row_group: (number % 100) as u32, first_row, rows, actions: rows * 50 }
    };
    let shards = (0..count).map(shard).collect();
    Manifest { users, items: 1, has_time: true, shards, ..Manifest::empty("bench") }
}
