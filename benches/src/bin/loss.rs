//! Time and peak memory of the tiled softmax and its gradients; `benches/rivals/loss_memory.py` does the
//! same work densely.
//!
//! One size a process, so that peak memory is that of the size. Prints one JSON object.

use std::time::Instant;

use clap::Parser;
use serde_json::json;
use tch::{Device, Kind, Tensor};
use twinspire_job::PositiveCorrection;
use twinspire_towers::block::l2_normalize;
use twinspire_towers::loss::{Candidates, ColumnItems, Gradients, Masks, Queries, Tiles, softmax};

/// Softmax of `rows` users against `negatives` candidates, candidate i being row i's positive.
#[derive(Parser)]
struct Options {
    #[arg(long, default_value_t = 4096)]
    rows: usize,
    /// Columns, at least the rows.
    #[arg(long)]
    negatives: usize,
    #[arg(long, default_value_t = 256)]
    dim: i64,
    #[arg(long, default_value_t = 0.07)]
    temperature: f64,
    #[arg(long, default_value_t = 3)]
    repeats: usize,
    #[arg(long, default_value_t = 2)]
    threads: i32,
    #[arg(long, default_value_t = 1024)]
    tile_rows: usize,
    #[arg(long, default_value_t = 8192)]
    tile_columns: usize,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let options = Options::parse();
    tch::manual_seed(7); // The same numbers as the rival's.
    tch::set_num_threads(options.threads);
    let random =
        |rows: usize| l2_normalize(&Tensor::randn([rows as i64, options.dim], (Kind::Float, Device::Cpu)));
    let (users, candidates) = (random(options.rows), random(options.negatives));
    let before = peak_mb()?;

    let mut seconds = Vec::new();
    let mut last = None;
    for _ in 0..=options.repeats {
        drop(last.take()); // As the rival's gradients, the last ones are gone before the next are made.
        let began = Instant::now();
        last = Some(loss(&options, &users, &candidates));
        seconds.push(began.elapsed().as_secs_f64());
    }
    let Some(gradients) = last else { return Ok(()) };
    // A candidate's gradient as a positive and as a negative; dense cross-entropy has the sum.
    let by_candidate = gradients.candidates;
    let _ = by_candidate.narrow(0, 0, options.rows as i64).g_add_(&gradients.positives);

    let mut timed = seconds.split_off(1); // The first one warms up.
    timed.sort_by(f64::total_cmp);
    let rows = options.rows as f64;
    let result = json!({
        "seconds": timed.get(timed.len() / 2),
        "added_mb": peak_mb()? - before,
        "peak_mb": peak_mb()?,
        "loss": gradients.losses.sum(Kind::Double).double_value(&[]) / rows,
        "gradient_norm": by_candidate.norm().double_value(&[]) / rows,
    });
    println!("{result}");
    Ok(())
}

/// Loss and gradients as a training step has them from detached embeddings.
fn loss(options: &Options, users: &Tensor, candidates: &Tensor) -> Gradients {
    let rows: Vec<i64> = (0..options.rows as i64).collect();
    let items: Vec<i64> = (0..options.negatives as i64).collect();
    // In-batch columns are their row's user's, the others nobody's.
    let owners = items.iter().map(|&item| if item < rows.len() as i64 { item } else { -1 }).collect();
    let columns = ColumnItems::Listed { items, users: owners };
    let queries = Queries {
        users,
        positives: &candidates.narrow(0, 0, options.rows as i64),
        weights: &Tensor::ones([options.rows as i64], (Kind::Float, Device::Cpu)),
        log_expected: None,
    };
    softmax(
        &queries,
        &Candidates { vectors: candidates, log_expected: None },
        options.temperature.recip(),
        PositiveCorrection::Marginal,
        &Masks::new(&columns, &rows, &rows, None),
        Tiles { rows: options.tile_rows, columns: options.tile_columns },
    )
}

/// Most memory this process has had, as Linux counts it.
fn peak_mb() -> Result<f64, Box<dyn std::error::Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes =
        peak.and_then(|text| text.trim().strip_suffix(" kB")).ok_or("no VmHWM in /proc/self/status")?;
    Ok(kilobytes.trim().parse::<f64>()? / 1024.0)
}
