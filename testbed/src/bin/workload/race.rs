//! A path that changes while the kernel, and whoever watches it, reads it.

use std::ffi::OsStr;
use std::os::fd::FromRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::{fs, io};

use crate::Outcome;

/// Opens a path `count` times while another thread changes it, from `a` to `b` and back: both of the same length.
/// Prints how often it was the one and how often the other, by what was opened in truth.
pub(crate) fn race(a: &OsStr, b: &OsStr, count: u64) -> Outcome {
    if a.len() != b.len() {
        return Err("the paths have to be of the same length".into());
    }
    let inodes = [fs::metadata(a)?.ino(), fs::metadata(b)?.ino()];
    let text: Vec<AtomicU8> = a
        .as_bytes()
        .iter()
        .chain(b"\0")
        .map(|&byte| AtomicU8::new(byte))
        .collect();
    let over = AtomicBool::new(false);
    let mut opened = [0_u64; 2];
    let result = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                for path in [b, a] {
                    for (place, &byte) in text.iter().zip(path.as_bytes()) {
                        place.store(byte, Ordering::Relaxed);
                    }
                }
            }
        });
        let result = (0..count).try_for_each(|_| {
            let inode = open(&text)?;
            for (opened, of) in opened.iter_mut().zip(inodes) {
                *opened += u64::from(inode == of);
            }
            Ok::<_, io::Error>(())
        });
        over.store(true, Ordering::Relaxed);
        result
    });
    result?;
    println!("{} {}", opened[0], opened[1]);
    Ok(())
}

/// Gives the number of the file that was opened.
fn open(path: &[AtomicU8]) -> io::Result<u64> {
    // SAFETY: the bytes live on and end with a NUL, which nobody changes; the descriptor is fresh.
    let file = unsafe {
        let fd = libc::openat(libc::AT_FDCWD, path.as_ptr().cast(), libc::O_RDONLY);
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        fs::File::from_raw_fd(fd)
    };
    Ok(file.metadata()?.ino())
}
