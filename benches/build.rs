//! Lets what is linked here find libtorch at run time, with no LD_LIBRARY_PATH: beside an installed program
//! (`bin/`, `lib/`), or where it was built against. Link arguments do not pass from a library to its dependents,
//! so each crate that makes a program or a test has these lines.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-link-arg=-Wl,-rpath,$ORIGIN/../lib");
    // torch-sys tells its direct dependents where libtorch's libraries are.
    if let Ok(lib) = std::env::var("DEP_TCH_LIBTORCH_LIB") {
        println!("cargo:rustc-link-arg=-Wl,-rpath,{lib}");
    }
}
