//! Prints the job-file reference, `docs/job-file.md`.

fn main() {
    print!("{}", twinspire_job::reference());
}
