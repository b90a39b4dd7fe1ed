//! Compiles the Gloo shim against the libtorch that torch-sys found, and lets tests find it.

use std::{env, error::Error, path::Path};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=shim");

    // torch-sys tells its direct dependents where libtorch's libraries are.
    let lib = env::var("DEP_TCH_LIBTORCH_LIB")?;
    let include = Path::new(&lib).parent().ok_or("libtorch's lib has no parent")?.join("include");
    cc::Build::new()
        .cpp(true)
        .pic(true)
        .std("c++17")
        .define("_GLIBCXX_USE_CXX11_ABI", env::var("LIBTORCH_CXX11_ABI").as_deref().unwrap_or("1"))
        // libtorch's headers are not ours to mend: `-isystem` keeps their warnings out.
        .flag("-isystem")
        .flag(&include)
        .flag("-isystem")
        .flag(include.join("torch/csrc/api/include"))
        .include("shim/stub")
        .file("shim/gloo.cpp")
        .compile("twinspire_gloo");

    println!("cargo:rustc-link-arg=-Wl,-rpath,$ORIGIN/../lib");
    println!("cargo:rustc-link-arg=-Wl,-rpath,{lib}");
    Ok(())
}
