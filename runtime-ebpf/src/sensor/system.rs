//! What was done to the system, to privileges or to another process, by the record of the call.

use std::sync::Arc;

use runtime_core::event::{MemoryWay, NamespaceWay, OtherProcess};
use runtime_core::process::{Credentials, Process};
use runtime_core::{Activity, CgroupId, ContainerId, Pid, RawString, Syscall, SystemActivity};

use super::file::absolute;
use super::network::endpoint;
use super::translate::Subject;
use crate::wire::SystemRecord;

/// `None` for a call that is no matter of this kind: then the record is not what its kind says.
///
/// `before` are the ids of the process until this call; `known` is what user space knows of a process that the kernel
/// has not met.
pub(super) fn system_activity(
    syscall: Syscall,
    record: &SystemRecord<'_>,
    before: &Credentials,
    container_of: &dyn Fn(CgroupId) -> Option<ContainerId>,
    known: &dyn Fn(Pid) -> Option<Arc<Process>>,
) -> Option<Subject> {
    let [first, second, third, fourth] = record.args;
    let [text, path, other] = record.texts;
    let target = || {
        let pid = Pid(record.target_pid);
        match known(pid).filter(|_| record.target_start == 0) {
            Some(process) => OtherProcess {
                pid,
                exe: Some(process.exe.clone()),
                container: container_of(process.cgroup),
            },
            None => OtherProcess {
                pid,
                exe: (!record.target_exe.is_empty()).then(|| RawString::from(record.target_exe)),
                container: container_of(CgroupId(record.target_cgroup)),
            },
        }
    };
    let place = |path: &[u8]| RawString::from(absolute(record.dir, path));
    let activity = match syscall {
        Syscall::mount => SystemActivity::Mount {
            source: text.into(),
            target: place(path),
            fs_type: other.into(),
            flags: fourth,
        },
        Syscall::move_mount => SystemActivity::Mount {
            source: text.into(),
            target: place(path),
            fs_type: RawString::default(),
            flags: 0,
        },
        Syscall::umount2 => SystemActivity::Unmount {
            target: place(path),
            flags: second,
        },
        Syscall::pivot_root => SystemActivity::PivotRoot {
            new_root: place(path),
            put_old: place(other),
        },
        Syscall::ptrace => SystemActivity::Ptrace {
            request: first,
            target: target(),
        },
        Syscall::process_vm_writev => SystemActivity::WriteMemory {
            way: MemoryWay::ProcessVm,
            target: target(),
        },
        Syscall::kill | Syscall::tkill | Syscall::rt_sigqueueinfo | Syscall::pidfd_send_signal => {
            SystemActivity::Signal {
                signal: second as u32,
                target: target(),
            }
        }
        Syscall::tgkill | Syscall::rt_tgsigqueueinfo => SystemActivity::Signal {
            signal: third as u32,
            target: target(),
        },
        Syscall::setns => SystemActivity::Namespaces {
            way: NamespaceWay::Enter,
            kinds: second,
        },
        Syscall::unshare => SystemActivity::Namespaces {
            way: NamespaceWay::Unshare,
            kinds: first,
        },
        Syscall::clone | Syscall::clone3 => SystemActivity::Namespaces {
            way: NamespaceWay::Clone,
            kinds: first,
        },
        Syscall::setuid
        | Syscall::setgid
        | Syscall::setreuid
        | Syscall::setregid
        | Syscall::setresuid
        | Syscall::setresgid
        | Syscall::setfsuid
        | Syscall::setfsgid => SystemActivity::SetIds {
            uid: (before.uid, record.actor.uid),
            euid: (before.euid, record.actor.euid),
        },
        Syscall::capset => SystemActivity::SetCapabilities {
            effective: (before.effective_caps, record.effective_caps),
        },
        Syscall::init_module | Syscall::finit_module => SystemActivity::LoadModule { path: text.into() },
        Syscall::delete_module => SystemActivity::UnloadModule { name: text.into() },
        Syscall::bpf => SystemActivity::Bpf { command: first },
        Syscall::keyctl => SystemActivity::Keyctl { command: first },
        Syscall::userfaultfd => SystemActivity::Userfaultfd { flags: first },
        Syscall::io_uring_setup => SystemActivity::IoUringSetup { entries: first },
        Syscall::memfd_create => SystemActivity::Memfd {
            name: text.into(),
            flags: second,
        },
        Syscall::mmap | Syscall::mprotect | Syscall::pkey_mprotect => SystemActivity::ExecutableMemory {
            protection: third,
            file: (!text.is_empty()).then(|| text.into()),
        },
        Syscall::dup | Syscall::dup2 | Syscall::dup3 | Syscall::fcntl => {
            SystemActivity::SocketToStandardStream {
                stream: u32::try_from(record.actor.result).ok()?,
                remote: (record.remote_port != 0)
                    .then(|| endpoint(record.family, record.remote, record.remote_port, b""))
                    .flatten(),
            }
        }
        Syscall::setsid => SystemActivity::Setsid,
        _ => return None,
    };
    Some(Subject::of_call(&record.actor, Activity::System(activity)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use runtime_core::{Outcome, Trust};

    use super::*;
    use crate::filter::{call_at, calls};
    use crate::wire::{Actor, flags};

    const BEFORE: Credentials = Credentials {
        uid: 1000,
        gid: 1000,
        euid: 1000,
        effective_caps: 0,
        permitted_caps: 0,
    };

    fn of(syscall: Syscall, record: &SystemRecord<'_>) -> Option<Subject> {
        let container_of = |cgroup: CgroupId| (cgroup.0 == 7).then(|| ContainerId::new("other"));
        system_activity(syscall, record, &BEFORE, &container_of, &|_| None)
    }

    fn system(syscall: Syscall, record: &SystemRecord<'_>) -> SystemActivity {
        match of(syscall, record).map(|subject| subject.activity) {
            Some(Activity::System(system)) => system,
            other => panic!("{syscall} concerns the system, and not {other:?}"),
        }
    }

    #[test]
    fn a_mount_says_what_goes_where() {
        let record = SystemRecord {
            args: [1, 2, 3, 4096],
            dir: b"/work",
            texts: [b"/dev/sda", b"mnt", b"ext4"],
            ..SystemRecord::default()
        };
        let expected = SystemActivity::Mount {
            source: "/dev/sda".into(),
            target: "/work/mnt".into(),
            fs_type: "ext4".into(),
            flags: 4096,
        };
        assert_eq!(system(Syscall::mount, &record), expected);
    }

    #[test]
    fn ids_are_told_before_and_after() {
        let record = SystemRecord {
            actor: Actor {
                uid: 0,
                euid: 0,
                ..Actor::default()
            },
            effective_caps: 5,
            ..SystemRecord::default()
        };
        let expected = SystemActivity::SetIds {
            uid: (1000, 0),
            euid: (1000, 0),
        };
        assert_eq!(system(Syscall::setuid, &record), expected);
        let expected = SystemActivity::SetCapabilities { effective: (0, 5) };
        assert_eq!(system(Syscall::capset, &record), expected);
    }

    #[test]
    fn a_target_is_told_with_its_container() {
        let record = SystemRecord {
            actor: Actor {
                result: -1,
                flags: flags::SUBJECT_KERNEL,
                ..Actor::default()
            },
            args: [16, 2, 9, 0],
            target_pid: 77,
            target_cgroup: 7,
            target_exe: b"/bin/victim",
            ..SystemRecord::default()
        };
        let subject = of(Syscall::ptrace, &record).unwrap();
        assert_eq!(
            (subject.outcome, subject.trust),
            (Outcome::Attempted, Trust::Kernel)
        );
        let target = OtherProcess {
            pid: Pid(77),
            exe: Some("/bin/victim".into()),
            container: Some(ContainerId::new("other")),
        };
        let expected = SystemActivity::Signal { signal: 9, target };
        assert_eq!(system(Syscall::tgkill, &record), expected);
    }

    #[test]
    fn every_call_of_the_table_has_a_meaning() {
        for spec in calls::all().filter(|spec| spec.class == runtime_core::EventClass::System) {
            assert!(of(spec.syscall, &SystemRecord::default()).is_some(), "{spec:?}");
        }
        assert!(of(Syscall::openat, &SystemRecord::default()).is_none());
    }

    proptest! {
        #[test]
        fn any_record_of_any_call_is_taken_or_refused(
            place in 0u32..1100, args in any::<[u64; 4]>(), result in any::<i64>(),
            texts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20), 3),
            family in any::<u16>(), remote in any::<[u8; 16]>(),
        ) {
            let record = SystemRecord {
                actor: Actor { result, ..Actor::default() },
                args, family, remote, remote_port: 1,
                texts: [&texts[0], &texts[1], &texts[2]],
                ..SystemRecord::default()
            };
            if let Some(syscall) = call_at(place) {
                let _ = of(syscall, &record);
            }
        }
    }
}
