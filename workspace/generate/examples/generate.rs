//! `cargo run -p twinspire-generate --example generate -- OUT USERS ITEMS EVENTS`: a log, its
//! catalogue and a job file.

use std::path::PathBuf;
use std::time::Instant;

use twinspire_generate::{GenerateSpec, generate, job_yaml};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let out = PathBuf::from(args.next().ok_or("usage: generate OUT [USERS ITEMS EVENTS]")?);
    let mut number = |default| args.next().map_or(Ok(default), |text| text.parse::<u64>());
    let spec = GenerateSpec {
        users: number(10_000)?,
        items: number(5_000)?,
        events: number(500_000)?,
        ..GenerateSpec::default()
    };
    let start = Instant::now();
    let summary = generate(&spec, &out, &|_| ())?;
    std::fs::write(out.join("job.yaml"), job_yaml(&out))?;
    println!("{summary:?} in {:.1} s", start.elapsed().as_secs_f64());
    Ok(())
}
