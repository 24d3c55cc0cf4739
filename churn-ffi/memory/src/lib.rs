//! The system's allocator, asking for large pages where they pay.
//!
//! A log of ten million events and its table of features are half a gigabyte of fresh memory. Touched
//! in pages of 4 KiB, each of them a fault of the processor, that costs as much time as computing what
//! is written there. [`LargePages`] asks the kernel to back large blocks with pages of 2 MiB, as numpy
//! does for its arrays. It is only a hint: where the kernel does not follow it, nothing changes.
//!
//! The Python module and the C library install it. The core does not choose its caller's allocator;
//! Rust programs install it themselves, or any other allocator with large pages:
//!
//! ```
//! #[global_allocator]
//! static MEMORY: churn_memory::LargePages = churn_memory::LargePages;
//! let column = vec![1_u8; 64 << 20];
//! assert_eq!(column.iter().map(|cell| u64::from(*cell)).sum::<u64>(), 64 << 20);
//! ```

use std::alloc::{GlobalAlloc, Layout, System};

/// Blocks from this size on are worth large pages.
const LARGE: usize = 4 << 20;

/// The system's allocator with a hint to the kernel for blocks of 4 MiB and more (Linux only).
#[derive(Debug, Clone, Copy, Default)]
pub struct LargePages;

// SAFETY: every block comes from and goes back to `System`, which keeps the contract; the hint
// changes neither the addresses nor the contents of a block.
unsafe impl GlobalAlloc for LargePages {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the contract of `alloc`, which is that of `System`.
        let block = unsafe { System.alloc(layout) };
        hint(block, layout.size());
        block
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        let block = unsafe { System.alloc_zeroed(layout) };
        hint(block, layout.size());
        block
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as above; the block came from `System`.
        let block = unsafe { System.realloc(block, layout, size) };
        hint(block, size);
        block
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as above; the block came from `System`.
        unsafe { System.dealloc(block, layout) }
    }
}

/// Asks for large pages for a block that has just been allocated.
#[inline]
fn hint(block: *mut u8, size: usize) {
    if size >= LARGE && !block.is_null() {
        advise(block, size);
    }
}

#[cfg(target_os = "linux")]
#[cold]
fn advise(block: *mut u8, size: usize) {
    // The smallest page of any Linux; an address that is not on a page of the system is refused
    // with an error, which is ignored like every other.
    const PAGE: usize = 1 << 12;
    let skipped = block.align_offset(PAGE);
    if let Some(len) = size.checked_sub(skipped) {
        let start = block.wrapping_add(skipped).cast();
        // SAFETY: the range lies inside a block that is ours. This advice never touches contents.
        unsafe { libc::madvise(start, len & !(PAGE - 1), libc::MADV_HUGEPAGE) };
    }
}

#[cfg(not(target_os = "linux"))]
fn advise(_: *mut u8, _: usize) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_keep_their_contents_through_growth() {
        let layout = |size| Layout::from_size_align(size, 16).unwrap();
        // SAFETY: each layout is the one that the block has at that moment.
        unsafe {
            let block = LargePages.alloc_zeroed(layout(LARGE));
            assert!((0..LARGE).all(|i| *block.add(i) == 0));
            block.add(LARGE - 1).write(7);
            let block = LargePages.realloc(block, layout(LARGE), 3 * LARGE);
            assert_eq!(block.add(LARGE - 1).read(), 7);
            block.add(3 * LARGE - 1).write(9);
            let block = LargePages.realloc(block, layout(3 * LARGE), LARGE);
            assert_eq!(block.add(LARGE - 1).read(), 7);
            LargePages.dealloc(block, layout(LARGE));
        }
    }
}
