//! Which device a worker computes on.

use std::ffi::{CStr, c_char, c_int, c_void};

use tch::Device;
use twinspire_job::Device as Wanted;

use crate::TowersError;

const RTLD_NOW: c_int = 2;
const RTLD_GLOBAL: c_int = 0x100;

unsafe extern "C" {
    fn dlopen(file: *const c_char, mode: c_int) -> *mut c_void;
    fn dlerror() -> *const c_char;
}

/// Chooses the device. Call it before anything else of libtorch: the first question about CUDA is
/// answered for good, so libtorch_cuda must be open by then.
pub fn choose(wanted: Wanted) -> Result<Device, TowersError> {
    if wanted == Wanted::Cpu {
        return Ok(Device::Cpu);
    }
    let opened = open_libtorch_cuda();
    match (opened, wanted) {
        (Ok(()), _) if tch::Cuda::is_available() => Ok(Device::Cuda(0)),
        (_, Wanted::Auto) => Ok(Device::Cpu),
        (Ok(()), _) => Err(TowersError::NoCuda { why: "libtorch sees no GPU".into() }),
        (Err(why), _) => Err(TowersError::NoCuda { why }),
    }
}

/// Opens libtorch_cuda beside libtorch, or wherever the loader finds it. One binary serves machines
/// with and without a GPU: nothing links to it.
fn open_libtorch_cuda() -> Result<(), String> {
    let name = c"libtorch_cuda.so";
    // SAFETY: `name` is a valid C string for the length of both calls, and dlerror's answer is read
    // before any other call into the loader on this thread.
    unsafe {
        if !dlopen(name.as_ptr(), RTLD_NOW | RTLD_GLOBAL).is_null() {
            return Ok(());
        }
        let why = dlerror();
        Err(if why.is_null() {
            "libtorch_cuda.so could not be opened".into()
        } else {
            CStr::from_ptr(why).to_string_lossy().into_owned()
        })
    }
}
