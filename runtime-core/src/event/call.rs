//! The system calls that events are made from.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::id::from_text;

/// The system call that made an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Call {
    /// Which one.
    pub syscall: Syscall,
    /// What it returned: a descriptor, a count or 0; negative numbers are `-errno`. `None` where the event was
    /// made before its end.
    pub result: Option<i64>,
    /// True where `io_uring` carried it out: no such system call was made, but the same was done.
    #[serde(default)]
    pub io_uring: bool,
}

macro_rules! syscalls {
    ($($name:ident)*) => {
        /// A system call that events are made from, by its name in the kernel.
        #[expect(non_camel_case_types, reason = "the kernel's names")]
        #[expect(missing_docs, reason = "each is documented by its manual page")]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Syscall {
            $($name),*
        }

        impl Syscall {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The name, as in the manual pages.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name)),*
                }
            }
        }
    };
}

syscalls! {
    accept accept4 add_key bind bpf capset chmod chown clone clone3 connect creat delete_module dup dup2 dup3
    execve execveat fchmod fchmodat fchmodat2 fchown fchownat fcntl finit_module fork fsmount ftruncate
    init_module io_uring_enter io_uring_register io_uring_setup kexec_file_load kexec_load keyctl kill lchown link
    linkat listen memfd_create mkdir mkdirat mknod mknodat mmap mount move_mount mprotect open open_by_handle_at
    open_tree openat openat2 pidfd_send_signal pivot_root pkey_mprotect prctl process_vm_readv process_vm_writev
    ptrace pwrite64 pwritev pwritev2 recvfrom recvmmsg recvmsg rename renameat renameat2 request_key rmdir
    rt_sigqueueinfo rt_tgsigqueueinfo sendmmsg sendmsg sendto setfsgid setfsuid setgid setns setregid setresgid
    setresuid setreuid setsid setuid socket socketpair symlink symlinkat tgkill tkill truncate umount2 unlink
    unlinkat unshare userfaultfd vfork write writev
}

/// A name that is none of [`Syscall::ALL`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no system call that events are made from")]
pub struct UnknownSyscall(pub String);

impl FromStr for Syscall {
    type Err = UnknownSyscall;

    fn from_str(text: &str) -> Result<Self, UnknownSyscall> {
        let mut all = Self::ALL.iter().copied();
        all.find(|syscall| syscall.name() == text)
            .ok_or_else(|| UnknownSyscall(text.to_owned()))
    }
}

impl fmt::Display for Syscall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for Syscall {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Syscall {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_text(deserializer)
    }
}
