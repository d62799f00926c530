//! What was done to a file, by the record of the call.

use runtime_core::event::{FileActivity, FileOperation, MemoryWay, Open, OtherProcess};
use runtime_core::{Activity, FileId, Pid, Process, RawString, Syscall, SystemActivity};

use super::translate::Subject;
use crate::processes::marked_path;
use crate::wire::{FileRecord, flags};

/// `AT_REMOVEDIR`.
const REMOVE_DIRECTORY: u32 = 0x200;

/// `None` for a call that does nothing to files: then the record is not what its kind says.
pub(super) fn file_activity(syscall: Syscall, record: &FileRecord<'_>) -> Option<Subject> {
    let operation = operation(syscall, record)?;
    let by_kernel = record.actor.has(flags::SUBJECT_KERNEL);
    let truncated = record.actor.has(flags::SUBJECT_TRUNCATED);
    // What a symbolic link holds is a text that counts from nowhere.
    let path = if by_kernel {
        marked_path(record.path, truncated, record.actor.has(flags::DETACHED))
    } else if operation == FileOperation::Symlink {
        record.path.into()
    } else {
        marked_path(&absolute(record.dir, record.path), truncated, false)
    };
    let two = matches!(
        operation,
        FileOperation::Rename | FileOperation::Link | FileOperation::Symlink
    );
    let new_path = two.then(|| marked_path(&absolute(record.new_dir, record.new_path), truncated, false));
    let activity = FileActivity {
        operation,
        path,
        new_path,
        argument: if by_kernel {
            // Opens say it beside the file's own path.
            (!two && !record.new_path.is_empty()).then(|| RawString::from(record.new_path))
        } else {
            Some(RawString::from(record.path))
        },
        file: by_kernel.then_some(FileId {
            device: record.device,
            inode: record.inode,
        }),
    };
    Some(Subject::of_call(&record.actor, Activity::File(activity)))
}

/// The number of the process whose memory an open for writing gives access to: `/proc/PID/mem` and
/// `/proc/PID/task/TID/mem`, by the kernel's own path.
pub(super) fn memory_of(record: &FileRecord<'_>) -> Option<u32> {
    let open = Open {
        flags: record.open_flags,
        ..Open::default()
    };
    if !open.writes() || record.actor.result < 0 || !record.actor.has(flags::SUBJECT_KERNEL) {
        return None;
    }
    let rest = record.path.strip_prefix(b"/proc/")?.strip_suffix(b"/mem")?;
    let number = rest.split(|&byte| byte == b'/').next()?;
    str::from_utf8(number).ok()?.parse().ok()
}

/// Write access to another process's memory; `None` where it is the process's own.
pub(super) fn memory_write(
    record: &FileRecord<'_>,
    process: &Process,
    target: Option<&Process>,
) -> Option<Subject> {
    if target.is_some_and(|target| target.pid == process.pid) {
        return None;
    }
    let target = OtherProcess {
        pid: target.map_or(Pid(0), |target| target.pid),
        exe: target.map(|target| target.exe.clone()),
        container: None,
    };
    let activity = SystemActivity::WriteMemory {
        way: MemoryWay::ProcFile,
        target,
    };
    Some(Subject::of_call(&record.actor, Activity::System(activity)))
}

fn operation(syscall: Syscall, record: &FileRecord<'_>) -> Option<FileOperation> {
    let id = |id: u32| (id != u32::MAX).then_some(id);
    Some(match syscall {
        Syscall::open | Syscall::creat | Syscall::openat | Syscall::openat2 | Syscall::open_by_handle_at => {
            FileOperation::Open(Open {
                flags: record.open_flags,
                mode: record.mode,
                created: record.actor.has(flags::CREATED),
            })
        }
        Syscall::truncate | Syscall::ftruncate => FileOperation::Truncate,
        Syscall::rename | Syscall::renameat | Syscall::renameat2 => FileOperation::Rename,
        Syscall::link | Syscall::linkat => FileOperation::Link,
        Syscall::symlink | Syscall::symlinkat => FileOperation::Symlink,
        Syscall::unlinkat if record.mode & REMOVE_DIRECTORY != 0 => FileOperation::Rmdir,
        Syscall::unlink | Syscall::unlinkat => FileOperation::Unlink,
        Syscall::rmdir => FileOperation::Rmdir,
        Syscall::mkdir | Syscall::mkdirat => FileOperation::Mkdir { mode: record.mode },
        Syscall::mknod | Syscall::mknodat => FileOperation::Mknod { mode: record.mode },
        Syscall::chmod | Syscall::fchmod | Syscall::fchmodat | Syscall::fchmodat2 => {
            FileOperation::Chmod { mode: record.mode }
        }
        Syscall::chown | Syscall::lchown | Syscall::fchown | Syscall::fchownat => FileOperation::Chown {
            uid: id(record.uid),
            gid: id(record.gid),
        },
        _ => return None,
    })
}

/// A path of the caller, counted from a directory, without `.`, `..` and doubled slashes. An empty one stands for the
/// directory itself, which is what the kernel takes it for where it takes it at all.
pub(super) fn absolute(dir: &[u8], path: &[u8]) -> Vec<u8> {
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in dir
        .split(|&byte| byte == b'/')
        .chain(path.split(|&byte| byte == b'/'))
    {
        match part {
            b"" | b"." => {}
            b".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    let mut whole = Vec::with_capacity(dir.len() + path.len() + 1);
    for part in &parts {
        whole.push(b'/');
        whole.extend_from_slice(part);
    }
    if whole.is_empty() {
        whole.push(b'/');
    }
    whole
}

#[cfg(test)]
mod tests {
    use runtime_core::{Outcome, Trust};

    use super::*;
    use crate::wire::Actor;

    fn mk_record() -> FileRecord<'static> {
        FileRecord {
            dir: b"/work",
            path: b"../etc/./shadow",
            new_dir: b"/",
            new_path: b"//tmp//x",
            ..FileRecord::default()
        }
    }

    fn file(syscall: Syscall, record: &FileRecord<'_>) -> (FileActivity, Outcome, Trust) {
        match file_activity(syscall, record) {
            Some(Subject {
                activity: Activity::File(file),
                outcome,
                trust,
            }) => (file, outcome, trust),
            _ => panic!("{syscall} is about files"),
        }
    }

    #[test]
    fn arguments_are_made_absolute_and_kept() {
        let (file, outcome, trust) = file(Syscall::rename, &mk_record());
        assert_eq!(file.path.to_string(), "/etc/shadow");
        assert_eq!(file.new_path.unwrap().to_string(), "/tmp/x");
        assert_eq!(file.argument.unwrap().to_string(), "../etc/./shadow");
        assert_eq!((outcome, trust), (Outcome::Done, Trust::Argument));
    }

    #[test]
    fn what_a_kernel_object_says_is_left_as_it_is() {
        let record = FileRecord {
            actor: Actor {
                flags: flags::SUBJECT_KERNEL,
                result: -13,
                ..Actor::default()
            },
            path: b"/odd//name",
            new_path: b"../odd/link",
            inode: 7,
            ..mk_record()
        };
        let (file, outcome, trust) = file(Syscall::openat, &record);
        assert_eq!(file.path.to_string(), "/odd//name");
        assert_eq!(file.file.unwrap().inode, 7);
        // How it was written is told beside it.
        assert_eq!(file.argument.unwrap().to_string(), "../odd/link");
        assert_eq!((outcome, trust), (Outcome::Attempted, Trust::Kernel));
    }

    #[test]
    fn only_write_access_to_a_memory_file_is_such() {
        let record = |path, open_flags| FileRecord {
            actor: Actor {
                flags: flags::SUBJECT_KERNEL,
                result: 3,
                ..Actor::default()
            },
            path,
            open_flags,
            ..FileRecord::default()
        };
        assert_eq!(memory_of(&record(b"/proc/7/mem", 2)), Some(7));
        assert_eq!(memory_of(&record(b"/proc/7/task/9/mem", 1)), Some(7));
        assert_eq!(memory_of(&record(b"/proc/7/mem", 0)), None);
        assert_eq!(memory_of(&record(b"/proc/7/maps", 2)), None);
        assert_eq!(memory_of(&record(b"/proc/x/mem", 2)), None);
        assert_eq!(memory_of(&record(b"/tmp/proc/7/mem", 2)), None);
    }

    #[test]
    fn no_dots_lead_above_the_root() {
        assert_eq!(absolute(b"/", b"../../.."), b"/");
        assert_eq!(absolute(b"/a", b""), b"/a");
        assert_eq!(absolute(b"", b""), b"/");
    }

    #[test]
    fn a_call_that_is_not_about_files_is_refused() {
        assert!(file_activity(Syscall::connect, &mk_record()).is_none());
    }
}
