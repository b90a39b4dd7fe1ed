//! The C interface of `shim/gloo.cpp`, made safe. All `unsafe` of this crate is here.

use std::ffi::{CStr, CString, c_char, c_int};
use std::os::fd::RawFd;
use std::ptr::{self, NonNull};
use std::time::Duration;

use tch::Tensor;
use torch_sys::C_tensor;

#[repr(C)]
struct CServer {
    _private: [u8; 0],
}

#[repr(C)]
struct CGroup {
    _private: [u8; 0],
}

#[repr(C)]
struct CBreaker {
    _private: [u8; 0],
}

unsafe extern "C" {
    fn twinspire_error_free(message: *mut c_char);
    fn twinspire_server_start(
        listen_fd: c_int,
        host: *const c_char,
        port: u16,
        timeout_ms: i64,
        server: *mut *mut CServer,
    ) -> *mut c_char;
    fn twinspire_server_stop(server: *mut CServer);
    fn twinspire_group_connect(
        host: *const c_char,
        port: u16,
        bind: *const c_char,
        prefix: *const c_char,
        rank: c_int,
        size: c_int,
        timeout_ms: i64,
        group: *mut *mut CGroup,
    ) -> *mut c_char;
    fn twinspire_group_set_timeout(group: *mut CGroup, timeout_ms: i64);
    fn twinspire_group_close(group: *mut CGroup);
    fn twinspire_group_breaker(group: *mut CGroup) -> *mut CBreaker;
    fn twinspire_breaker_break_off(breaker: *mut CBreaker) -> *mut c_char;
    fn twinspire_breaker_free(breaker: *mut CBreaker);
    fn twinspire_all_reduce_sum(group: *mut CGroup, tensor: *mut C_tensor) -> *mut c_char;
    fn twinspire_all_gather(group: *mut CGroup, output: *mut C_tensor, input: *mut C_tensor) -> *mut c_char;
    fn twinspire_all_to_all(
        group: *mut CGroup,
        output: *mut C_tensor,
        input: *mut C_tensor,
        receive_rows: *const i64,
        send_rows: *const i64,
    ) -> *mut c_char;
    fn twinspire_broadcast(group: *mut CGroup, tensor: *mut C_tensor, root: c_int) -> *mut c_char;
    fn twinspire_barrier(group: *mut CGroup) -> *mut c_char;
}

/// A rendezvous server in this process.
pub(crate) struct RawServer(NonNull<CServer>);

// SAFETY: the server is a background thread of libtorch's own; its handle is only kept and dropped, on any thread.
unsafe impl Send for RawServer {}
// SAFETY: nothing can be called through a shared reference.
unsafe impl Sync for RawServer {}

impl RawServer {
    /// Serves on `listen_fd`, bound to `host:port` and listening; the descriptor is handed over.
    pub(crate) fn start(listen_fd: RawFd, host: &str, port: u16, timeout: Duration) -> Result<Self, String> {
        let host = c_string(host)?;
        let mut server = ptr::null_mut();
        // SAFETY: `host` outlives the call, and `server` is written only on success.
        check(unsafe {
            twinspire_server_start(listen_fd, host.as_ptr(), port, milliseconds(timeout), &mut server)
        })?;
        NonNull::new(server).map(Self).ok_or_else(|| "no server was made".to_owned())
    }
}

impl Drop for RawServer {
    fn drop(&mut self) {
        // SAFETY: made by `twinspire_server_start` and freed here only.
        unsafe { twinspire_server_stop(self.0.as_ptr()) }
    }
}

/// A connected group. Dropping it closes its connections.
pub(crate) struct RawGroup(NonNull<CGroup>);

// SAFETY: a process group may be used from any thread, one at a time, which `&mut self` assures.
unsafe impl Send for RawGroup {}

impl RawGroup {
    pub(crate) fn connect(
        host: &str,
        port: u16,
        bind: &str,
        prefix: &str,
        rank: usize,
        size: usize,
        timeout: Duration,
    ) -> Result<Self, String> {
        let (host, bind, prefix) = (c_string(host)?, c_string(bind)?, c_string(prefix)?);
        let (rank, size) = (c_number(rank)?, c_number(size)?);
        let mut group = ptr::null_mut();
        // SAFETY: the strings outlive the call, and `group` is written only on success.
        check(unsafe {
            twinspire_group_connect(
                host.as_ptr(),
                port,
                bind.as_ptr(),
                prefix.as_ptr(),
                rank,
                size,
                milliseconds(timeout),
                &mut group,
            )
        })?;
        NonNull::new(group).map(Self).ok_or_else(|| "no group was made".to_owned())
    }

    pub(crate) fn set_timeout(&mut self, timeout: Duration) {
        // SAFETY: the pointer is valid for the call.
        unsafe { twinspire_group_set_timeout(self.0.as_ptr(), milliseconds(timeout)) }
    }

    pub(crate) fn breaker(&self) -> Option<RawBreaker> {
        // SAFETY: the pointer is valid for the call, and what comes back does not need it.
        NonNull::new(unsafe { twinspire_group_breaker(self.0.as_ptr()) }).map(RawBreaker)
    }

    /// `tensor`: contiguous, on the CPU, the same shape on every rank.
    pub(crate) fn all_reduce_sum(&mut self, tensor: &mut Tensor) -> Result<(), String> {
        // SAFETY: both pointers are valid for the call. It returns when Gloo is done with the memory or, when broken off,
        // while Gloo holds a reference of its own to it and has closed all connections it could write from.
        check(unsafe { twinspire_all_reduce_sum(self.0.as_ptr(), tensor.as_mut_ptr()) })
    }

    /// `output [size * rows, ..]` from `input [rows, ..]`: contiguous, on the CPU, the same shapes on every rank.
    pub(crate) fn all_gather(&mut self, output: &mut Tensor, input: &Tensor) -> Result<(), String> {
        // SAFETY: as above; the input is only read.
        check(unsafe {
            twinspire_all_gather(self.0.as_ptr(), output.as_mut_ptr(), input.as_ptr().cast_mut())
        })
    }

    /// Sends `send[r]` rows of `input` to each rank r, and takes `receive[r]` rows from it: contiguous, on the CPU.
    pub(crate) fn all_to_all(
        &mut self,
        output: &mut Tensor,
        input: &Tensor,
        receive: &[i64],
        send: &[i64],
    ) -> Result<(), String> {
        // SAFETY: as above; both slices have the group's size, one number for each rank.
        check(unsafe {
            twinspire_all_to_all(
                self.0.as_ptr(),
                output.as_mut_ptr(),
                input.as_ptr().cast_mut(),
                receive.as_ptr(),
                send.as_ptr(),
            )
        })
    }

    /// `tensor`: contiguous, on the CPU, the same shape on every rank.
    pub(crate) fn broadcast(&mut self, tensor: &mut Tensor, root: usize) -> Result<(), String> {
        let root = c_number(root)?;
        // SAFETY: as above.
        check(unsafe { twinspire_broadcast(self.0.as_ptr(), tensor.as_mut_ptr(), root) })
    }

    pub(crate) fn barrier(&mut self) -> Result<(), String> {
        // SAFETY: the pointer is valid for the call.
        check(unsafe { twinspire_barrier(self.0.as_ptr()) })
    }
}

impl Drop for RawGroup {
    fn drop(&mut self) {
        // SAFETY: made by `twinspire_group_connect` and freed here only.
        unsafe { twinspire_group_close(self.0.as_ptr()) }
    }
}

/// Breaks a group's connections while another thread is in one of its operations. Does not keep it open.
pub(crate) struct RawBreaker(NonNull<CBreaker>);

// SAFETY: it holds a weak reference, counted atomically, to a group whose connections lock themselves.
unsafe impl Send for RawBreaker {}
// SAFETY: as above; breaking off twice, or from two threads, is breaking off once.
unsafe impl Sync for RawBreaker {}

impl RawBreaker {
    pub(crate) fn break_off(&self) -> Result<(), String> {
        // SAFETY: the pointer is valid for the call.
        check(unsafe { twinspire_breaker_break_off(self.0.as_ptr()) })
    }
}

impl Drop for RawBreaker {
    fn drop(&mut self) {
        // SAFETY: made by `twinspire_group_breaker` and freed here only.
        unsafe { twinspire_breaker_free(self.0.as_ptr()) }
    }
}

/// Takes over the message of a failed call.
fn check(message: *mut c_char) -> Result<(), String> {
    if message.is_null() {
        return Ok(());
    }
    // SAFETY: not null, so a string the shim made, which is copied before it is freed, once.
    let text = unsafe {
        let text = CStr::from_ptr(message).to_string_lossy().into_owned();
        twinspire_error_free(message);
        text
    };
    Err(text)
}

fn c_string(text: &str) -> Result<CString, String> {
    CString::new(text).map_err(|_| format!("{text:?} has a zero byte in it"))
}

fn c_number(number: usize) -> Result<c_int, String> {
    c_int::try_from(number).map_err(|_| format!("{number} is too many ranks"))
}

/// At least one: zero would mean "no time-out" to Gloo.
fn milliseconds(timeout: Duration) -> i64 {
    i64::try_from(timeout.as_millis()).unwrap_or(i64::MAX).max(1)
}
