//! Which call has which arguments, in the order that Falco gives them.

use runtime_core::Syscall;

use super::arg::Name;

/// The arguments of a call that events tell of, in Falco's order.
#[expect(clippy::match_same_arms, reason = "a table, sorted by what calls do")]
#[allow(clippy::enum_glob_use, reason = "the names are what the table is of")]
pub(super) fn names_of(call: Syscall) -> &'static [Name] {
    use Name::*;
    match call {
        Syscall::open | Syscall::creat => &[fd, called, flags, mode, Unknown, ino],
        Syscall::openat | Syscall::openat2 => &[fd, Unknown, called, flags, mode, Unknown, ino],
        Syscall::open_by_handle_at => &[fd, Unknown, flags, path, Unknown, ino],
        Syscall::execve | Syscall::execveat => {
            #[rustfmt::skip]
            const EXECVE: &[Name] = &[
                res, exe, args, tid, pid, ptid, cwd, Unknown, Unknown, Unknown, Unknown, Unknown, Unknown, comm, Unknown,
                Unknown, Unknown, Unknown, Unknown, Unknown, Unknown, Unknown, cap_effective, ino, Unknown, Unknown, uid,
                Unknown, gid,
            ];
            EXECVE
        }
        Syscall::clone | Syscall::clone3 | Syscall::fork | Syscall::vfork => {
            &[res, exe, args, tid, pid, ptid, cwd, flags]
        }
        Syscall::rename | Syscall::link => &[res, oldpath, newpath],
        Syscall::renameat | Syscall::renameat2 | Syscall::linkat => {
            &[res, Unknown, oldpath, Unknown, newpath]
        }
        Syscall::symlink => &[res, target, linkpath],
        Syscall::symlinkat => &[res, target, Unknown, linkpath],
        Syscall::unlink | Syscall::rmdir => &[res, path],
        Syscall::unlinkat => &[res, Unknown, called, flags],
        Syscall::mkdir => &[res, path, mode],
        Syscall::mkdirat => &[res, Unknown, path, mode],
        Syscall::mknod => &[res, path, mode],
        Syscall::mknodat => &[res, Unknown, path, mode],
        Syscall::chmod => &[res, filename, mode],
        Syscall::fchmodat | Syscall::fchmodat2 => &[res, Unknown, filename, mode],
        Syscall::fchmod => &[res, fd, mode],
        Syscall::chown | Syscall::lchown => &[res, path, uid, gid],
        Syscall::fchown => &[res, fd, uid, gid],
        Syscall::fchownat => &[res, Unknown, pathname, uid, gid],
        Syscall::truncate => &[res, path],
        Syscall::ftruncate | Syscall::write | Syscall::writev => &[res, fd],
        Syscall::pwrite64 | Syscall::pwritev | Syscall::pwritev2 => &[res, fd],
        Syscall::socket | Syscall::socketpair => &[fd, domain, kind, proto],
        Syscall::bind => &[res, addr, fd],
        Syscall::connect => &[res, tuple, fd, addr],
        Syscall::listen => &[res, fd],
        Syscall::accept | Syscall::accept4 => &[fd, tuple],
        Syscall::sendto | Syscall::sendmsg | Syscall::sendmmsg => &[res, Unknown, fd, Unknown, tuple],
        Syscall::recvfrom | Syscall::recvmsg | Syscall::recvmmsg => &[res, fd, Unknown, Unknown, tuple],
        Syscall::mount | Syscall::move_mount | Syscall::fsmount | Syscall::open_tree => {
            &[res, dev, dir, kind, flags]
        }
        Syscall::umount2 => &[res, called, flags],
        Syscall::ptrace => &[res, Unknown, Unknown, request, pid],
        Syscall::process_vm_readv | Syscall::process_vm_writev => &[res, pid],
        Syscall::kill | Syscall::tkill | Syscall::tgkill => &[res, pid, sig],
        Syscall::pidfd_send_signal | Syscall::rt_sigqueueinfo | Syscall::rt_tgsigqueueinfo => {
            &[res, pid, sig]
        }
        Syscall::setns => &[res, fd, nstype],
        Syscall::unshare | Syscall::userfaultfd => &[res, flags],
        Syscall::setuid | Syscall::setfsuid => &[res, uid],
        Syscall::setresuid | Syscall::setreuid => &[res, Unknown, euid],
        Syscall::capset => &[res, Unknown, Unknown, cap_effective],
        Syscall::init_module | Syscall::finit_module | Syscall::pivot_root | Syscall::setsid => &[res],
        Syscall::delete_module => &[res, called, flags],
        Syscall::bpf => &[fd, cmd],
        Syscall::io_uring_setup => &[res, entries],
        Syscall::memfd_create => &[fd, called, flags],
        Syscall::mprotect | Syscall::pkey_mprotect => &[res, Unknown, Unknown, prot],
        Syscall::mmap => &[res, Unknown, Unknown, Unknown, Unknown, Unknown, prot],
        _ => &[res],
    }
}
