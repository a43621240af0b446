//! Memory for activations: kept from step to step.
//!
//! A training step allocates and frees a hundred buffers of megabytes. glibc takes each from the
//! system and gives it back, and every page is then faulted in and cleared anew: a fifth of the
//! processor time of a step of `edge-s`.

/// Makes the allocator keep large freed buffers for the next allocation; the process stays as large
/// as it has been. Without effect on systems without glibc.
#[allow(unsafe_code)]
pub fn keep_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        const NEVER: libc::c_int = libc::c_int::MAX;
        const GROWTH: libc::c_int = 64 << 20;
        // SAFETY: mallopt only sets parameters of the allocator, under its own lock.
        unsafe {
            libc::mallopt(libc::M_MMAP_MAX, 0);
            libc::mallopt(libc::M_TRIM_THRESHOLD, NEVER);
            libc::mallopt(libc::M_TOP_PAD, GROWTH);
        }
    }
}
