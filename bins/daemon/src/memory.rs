//! Memory that was needed once.

/// Gives memory that was freed back to the kernel, where the C library would keep it for later.
#[cfg(target_env = "gnu")]
pub(crate) fn give_back() {
    // SAFETY: malloc_trim takes no pointer, may be called at any time, and moves nothing that is in use.
    #[expect(unsafe_code, reason = "there is no safe name for it")]
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Other C libraries have no such call.
#[cfg(not(target_env = "gnu"))]
pub(crate) fn give_back() {}
