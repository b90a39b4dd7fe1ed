//! Compiles the `.proto` files with protox, so that no protoc has to be installed.

use std::error::Error;

use prost::Message as _;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let files = protox::compile(["twinspire/v1/coordination.proto", "twinspire/v1/jobs.proto"], ["proto"])?;
    // For server reflection.
    let descriptors = std::path::PathBuf::from(std::env::var("OUT_DIR")?).join("twinspire.bin");
    std::fs::write(descriptors, files.encode_to_vec())?;
    tonic_prost_build::configure().compile_fds(files)?;
    Ok(())
}
