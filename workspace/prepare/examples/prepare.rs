//! `cargo run -p twinspire-prepare --example prepare -- job.yaml RUNS [field=value …]`: the dataset
//! of a job.

use std::time::Instant;

use twinspire_job::{JobFile, Override};
use twinspire_prepare::{describe, prepare};
use twinspire_storage::Location;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let usage = "usage: prepare job.yaml RUNS [field=value …]";
    let mut args = std::env::args().skip(1);
    let path = args.next().ok_or(usage)?;
    let runs = Location::parse(&args.next().ok_or(usage)?)?;
    let overrides = args.map(|text| text.parse()).collect::<Result<Vec<Override>, _>>()?;
    let job = JobFile::parse(&std::fs::read_to_string(&path)?, &path, &overrides)?;
    let start = Instant::now();
    match prepare(job.spec(), &runs, |_| ()).await {
        Ok(prepared) => {
            let verb = if prepared.reused { "found" } else { "prepared" };
            println!("{verb} {} in {:.2} s\n", prepared.location, start.elapsed().as_secs_f64());
            prepared.warnings.iter().for_each(|warning| println!("warning: {warning}"));
            print!("{}", describe(&prepared.manifest));
            Ok(())
        }
        Err(error) => Err(format!("{}: {error}", error.code()).into()),
    }
}
