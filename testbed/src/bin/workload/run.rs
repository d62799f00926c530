//! The many ways to execute a program.

use std::ffi::{CString, OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::Outcome;

/// Executes `path` with another `argv[0]`.
pub(crate) fn exec_as(name: &OsStr, path: &OsStr, args: &[OsString]) -> Outcome {
    Err(Command::new(path).arg0(name).args(args).exec().into())
}

/// The grandchild executes once its parent is gone.
pub(crate) fn double_fork(path: &OsStr, args: &[OsString]) -> Outcome {
    if fork()? != 0 {
        return reap_one();
    }
    orphan(path, args)
}

/// The child executes once this process is gone.
pub(crate) fn fork_exit(path: &OsStr, args: &[OsString]) -> Outcome {
    orphan(path, args)
}

/// Forks and exits; the child executes when it has been given to somebody else.
fn orphan(path: &OsStr, args: &[OsString]) -> Outcome {
    let parent = std::process::id();
    if fork()? != 0 {
        return Ok(());
    }
    let deadline = Instant::now() + Duration::from_secs(5);
    while std::os::unix::process::parent_id() == parent && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(1));
    }
    Err(Command::new(path).args(args).exec().into())
}

/// The child is this process's sibling.
pub(crate) fn clone_parent(path: &OsStr, args: &[OsString]) -> Outcome {
    match testbed::sys::fork_sibling()? {
        Some(_) => Ok(()),
        None => Err(Command::new(path).args(args).exec().into()),
    }
}

/// Executes a copy that has no name in any folder.
pub(crate) fn memfd(path: &OsStr, args: &[OsString]) -> Outcome {
    // SAFETY: the name is a literal with its final NUL; the result is a fresh descriptor that nobody else owns.
    let mut memory = unsafe {
        let fd = libc::memfd_create(c"copy".as_ptr(), libc::MFD_CLOEXEC);
        if fd < 0 {
            return Err(io::Error::last_os_error().into());
        }
        File::from_raw_fd(fd)
    };
    io::copy(&mut File::open(path)?, &mut memory)?;
    execveat_call(memory.as_raw_fd(), OsStr::new(""), path, args)
}

/// Executes a name relative to a folder's descriptor.
pub(crate) fn execveat(path: &OsStr, args: &[OsString]) -> Outcome {
    let path = Path::new(path);
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err("no such path".into());
    };
    let folder = File::open(if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    })?;
    execveat_call(folder.as_raw_fd(), name, path.as_os_str(), args)
}

/// Executes a file that was removed after it was opened.
pub(crate) fn deleted(path: &OsStr, args: &[OsString]) -> Outcome {
    let copy = Path::new("/tmp").join(format!("deleted-{}", std::process::id()));
    std::fs::copy(path, &copy)?;
    std::fs::set_permissions(&copy, std::fs::Permissions::from_mode(0o755))?;
    let file = File::open(&copy)?;
    std::fs::remove_file(&copy)?;
    execveat_call(file.as_raw_fd(), OsStr::new(""), copy.as_os_str(), args)
}

/// Executes with `count` arguments, of which each starts with its number.
pub(crate) fn many_args(count: u64, length: u64, path: &OsStr) -> Outcome {
    let length = usize::try_from(length)?;
    let args = (0..count).map(|index| format!("{index:0>length$}"));
    Err(Command::new(path).args(args).exec().into())
}

/// Executes from a thread that is not the first: the kernel ends the others and gives it the process's id.
pub(crate) fn threads_exec(path: &OsStr, args: &[OsString]) -> Outcome {
    let error = std::thread::scope(|scope| {
        scope.spawn(|| std::thread::sleep(Duration::from_mins(1)));
        scope
            .spawn(|| Command::new(path).args(args).exec().to_string())
            .join()
    });
    // Only a failed exec comes here, and it leaves the sleeping thread behind.
    eprintln!("workload: {error:?}");
    std::process::exit(1)
}

/// Forks; 0 in the child. This program has one thread wherever it calls this.
pub(crate) fn fork() -> io::Result<i32> {
    // SAFETY: with one thread, no lock can be held that the child would miss.
    match unsafe { libc::fork() } {
        ..0 => Err(io::Error::last_os_error()),
        pid => Ok(pid),
    }
}

/// Waits for any one child.
pub(crate) fn reap_one() -> Outcome {
    rustix::process::wait(rustix::process::WaitOptions::empty())?;
    Ok(())
}

fn execveat_call(folder: RawFd, name: &OsStr, invoked: &OsStr, args: &[OsString]) -> Outcome {
    let text = |text: &OsStr| CString::new(text.as_bytes());
    let name = text(name)?;
    let mut all = vec![text(invoked)?];
    for arg in args {
        all.push(text(arg)?);
    }
    let pointers: Vec<_> = all
        .iter()
        .map(|arg| arg.as_ptr())
        .chain([std::ptr::null()])
        .collect();
    let environment = [c"PATH=/bin".as_ptr(), std::ptr::null()];
    // SAFETY: name, arguments and environment are NUL-terminated, the arrays end with a null pointer, and all
    // outlive the call.
    unsafe {
        libc::syscall(
            libc::SYS_execveat,
            folder,
            name.as_ptr(),
            pointers.as_ptr(),
            environment.as_ptr(),
            libc::AT_EMPTY_PATH,
        )
    };
    Err(io::Error::last_os_error().into())
}
