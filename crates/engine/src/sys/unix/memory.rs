//! What the kernel can be told about memory.

use std::mem::MaybeUninit;

/// Asks for huge pages behind memory that was not written yet. It is advice: where the kernel has
/// none to give, nothing happens. Below a huge page's size there is nothing to ask for.
#[cfg(target_os = "linux")]
pub fn prefer_huge_pages<T>(memory: &mut [MaybeUninit<T>]) {
    const HUGE: usize = 2 << 20;

    let bytes = size_of_val(memory);
    if bytes < HUGE {
        return;
    }
    let page = rustix::param::page_size();
    let start = memory.as_mut_ptr() as usize;
    let first = start.next_multiple_of(page);
    let end = (start + bytes) & !(page - 1);
    // SAFETY: whole pages within memory that is borrowed mutably; the advice changes no content.
    unsafe { libc::madvise(first as *mut libc::c_void, end - first, libc::MADV_HUGEPAGE) };
}

/// macOS has no such advice.
#[cfg(not(target_os = "linux"))]
pub fn prefer_huge_pages<T>(_memory: &mut [MaybeUninit<T>]) {}
