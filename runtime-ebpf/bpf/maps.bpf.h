/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* Every map, and the settings that the loader writes before anything runs. */
#ifndef PODWARDEN_MAPS_BPF_H
#define PODWARDEN_MAPS_BPF_H

#include "kernel.bpf.h"
#include <bpf/bpf_helpers.h>
#include "events.h"
#include "filters.h"

/* Which hierarchy cgroup ids are taken from: enum cgroup_source. */
const volatile u32 cgroup_source = 0;
/* On cgroup v1: the hierarchy_id of that hierarchy. */
const volatile u32 cgroup_hierarchy = 0;

/* The process that the sensor is in: what it does itself is told to nobody. */
const volatile u32 own_process = 0;

enum cgroup_source {
	SOURCE_UNIFIED = 0,
	SOURCE_MEMORY = 1,
	SOURCE_PIDS = 2,
	SOURCE_CPU = 3,
	SOURCE_DEVICES = 4,
	SOURCE_FREEZER = 5,
};

/* Longest path that a process record holds itself. */
#define INLINE_PATH 160
#define MAX_PATH 4096
#define MAX_NAME 256

enum process_flags {
	/* It runs an executable that was not started in this container: the runtime's own. */
	PROCESS_RUNTIME = 1 << 0,
	/* So did the process that forked it. */
	PROCESS_PARENT_RUNTIME = 1 << 1,
	/* Its fork was not seen. */
	PROCESS_PARENT_INFERRED = 1 << 2,
	PROCESS_EXE_TRUNCATED = 1 << 3,
	PROCESS_PARENT_TRUNCATED = 1 << 4,
	PROCESS_EXE_DETACHED = 1 << 5,
	PROCESS_PARENT_DETACHED = 1 << 6,
	/* It was moved out of its container's cgroup to one that nobody watches, and is still the container's. */
	PROCESS_ESCAPED = 1 << 7,
};

/* A process by its number in the innermost PID namespace that it is in. */
struct pid_key {
	u32 namespace;
	u32 number;
};

/* What is remembered of a live process, so that each event can say who its parent was. */
struct process {
	u64 start;
	u64 parent_start;
	u64 owner;           /* its container's cgroup, or its own where there is none */
	u64 exe_id;          /* key in long_paths where exe does not fit */
	u64 parent_exe_id;
	u32 parent_pid;
	u32 flags;
	u32 outer_mount_namespace; /* of a runtime process: where it came from */
	struct pid_key inner;
	u16 exe_length;
	u16 parent_length;
	u8 exe[INLINE_PATH];
	u8 parent_exe[INLINE_PATH];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, u32);    /* tgid */
	__type(value, struct process);
} processes SEC(".maps");

/* PROC_PID_INIT_INO of the kernel: the number of the host's own PID namespace. */
#define INITIAL_PID_NAMESPACE 0xEFFFFFFC

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, struct pid_key);
	__type(value, u32);  /* tgid of the host */
} inner_pids SEC(".maps");

/* Whether a process has ever left its container's cgroup: as long as none has, nobody need look for such. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u32);
} escapes SEC(".maps");

struct long_path {
	u8 text[MAX_PATH];
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 256);
	__type(key, u64);    /* process.exe_id */
	__type(value, struct long_path);
} long_paths SEC(".maps");

/* What is known of a cgroup. One that is not in here is watched: what is new is never missed. */
struct cgroup_state {
	u64 owner;           /* the cgroup of its container; 0 until somebody knows */
	u32 ignored;
	u32 padding;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, u64);    /* cgroup id */
	__type(value, struct cgroup_state);
} cgroups SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 8 << 20);
} events SEC(".maps");

/* What may come in floods has a ring of its own, so that it cannot push out what containers and processes are known
 * by. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 8 << 20);
} activities SEC(".maps");

/* How the reader waits. */
enum reader_mood {
	READER_AWAKE = 0,    /* it looks by itself */
	READER_ASLEEP = 1,   /* any record wakes it */
	READER_DOZING = 2,   /* it looks in a few milliseconds; what cannot wait wakes it */
};

struct reader_state {
	u32 mood;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct reader_state);
} reader SEC(".maps");

/* Actions that were seen a moment ago, by a hash of what they are. Only what is new is worth a wake-up: so
 * a workload that does the same thing ten thousand times a second pays for ten thousand records, not for ten
 * thousand wake-ups. Nothing else depends on it: a known action is judged as any other, when the reader looks. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, u64);
	__type(value, u8);
} seen SEC(".maps");

/* The file system at the root of each container, by the container's cgroup: what the entrypoint had for its
 * root, so that a chroot does not make a volume look like the image. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, u64);
	__type(value, u32);  /* device number */
} root_devices SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, CLASS_COUNT + 1);
	__type(key, u32);    /* enum event_class; the last one is for packets that come in: see INCOMING */
	__type(value, u64);  /* events made */
} made SEC(".maps");

struct loss_key {
	u64 cgroup;
	u32 class;
	u32 padding;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, struct loss_key);
	__type(value, u64);
} lost SEC(".maps");

/* What went wrong in the kernel, for the metrics. */
enum trouble {
	TROUBLE_PROCESSES_FULL = 0,
	TROUBLE_CGROUPS_FULL = 1,
	TROUBLE_LOST_FULL = 2,
	TROUBLE_ARGS_UNREADABLE = 3,
	TROUBLE_PACKETS_NESTED = 4,
	TROUBLE_COUNT = 5,
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, TROUBLE_COUNT);
	__type(key, u32);
	__type(value, u64);
} troubles SEC(".maps");

/* Where a record is put together: 24 KiB for what is written so far, and room for the longest piece. */
#define RECORD_LIMIT 24576
#define MAX_ARGS 4096
/* So much of the arguments tells one exec from another. */
#define HASHED_ARGS 256

union scratch {
	u8 record[32768];
	/* So that the object's BTF describes the wire; the layout test reads it there. */
	struct exec_event exec;
	struct fork_event fork;
	struct exit_event exit;
	struct cgroup_event cgroup;
	struct file_event file;
	struct network_event network;
	struct system_event system;
	struct packet_event packet;
	enum event_kind kind;
	enum event_flags flags;
	enum event_class class;
	enum handler handler;
	enum call_flags call_flags;
	enum file_set file_set;
	enum socket_operation socket_operation;
	enum system_operation system_operation;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, union scratch);
} scratches SEC(".maps");

/* Where a path is put together, from its end backwards. */
struct path_buffer {
	u32 offset;          /* where in text the path begins; it ends at MAX_PATH */
	u32 truncated;       /* the head is missing */
	u32 detached;        /* the top mount is not in the process's mount namespace */
	u32 padding;
	u64 vfsmount;        /* where the walk begins */
	u64 dentry;
	u64 namespace;       /* the mount namespace that the path should be in */
	u8 text[MAX_PATH + MAX_NAME];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct path_buffer);
} path_buffers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct process);
} process_buffers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u64);  /* ids given out on this CPU */
} exe_ids SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2 * CALLS);
	__type(key, u32);
	__type(value, struct call);
} calls SEC(".maps");

/* The system calls that io_uring's operations stand for, by their numbers. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, RING_OPERATIONS);
	__type(key, u32);
	__type(value, u32);
} ring_calls SEC(".maps");

/* The handlers again, for the tracepoints of io_uring: a program is only called from one of its own kind. */
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, HANDLER_COUNT);
	__type(key, u32);    /* enum handler */
	__type(value, u32);
} ring_handlers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, HANDLER_COUNT);
	__type(key, u32);    /* enum handler */
	__type(value, u32);
} handlers SEC(".maps");

/* The call that is being handled on this CPU. */
struct call_state {
	u64 args[8];
	s64 result;
	u64 cgroup;
	struct call call;
	u32 number;          /* its place in calls */
	u32 ring;            /* io_uring does it */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct call_state);
} call_states SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct filter);
} filters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 4096);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct path_key);
	__type(value, struct path_sets);
} prefixes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 1024);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct path_key);
	__type(value, struct path_sets);
} suffixes SEC(".maps");

/* Files that are watched whatever name they go by. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct file_key);
	__type(value, u32);  /* sets */
} watched_files SEC(".maps");

/* Files that this thread, which is the sensor's own, opens now are put in these sets, none when they are 0. The last
 * one that was comes back, as the kernel knows it: what stat says of a device need not be that. */
struct marking {
	u32 thread;
	u32 sets;
	u64 inode;
	u32 device;
	u32 padding;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct marking);
} marking SEC(".maps");

/* Which sets a file is in, by what cannot stay the same when its path changes: its answer's slot is by the dentry's
 * address, one CPU's own. */
struct known_path {
	u64 vfsmount;
	u64 dentry;
	u64 parent;
	u64 hash_length;     /* of the name, as the dentry cache has it */
	u64 inode;
	u32 generation;
	u32 sets;
};

#define KNOWN_PATHS 2048

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, KNOWN_PATHS);
	__type(key, u32);
	__type(value, struct known_path);
} known_paths SEC(".maps");

/* A key, and room behind it for what is put together of two pieces. */
struct key_buffer {
	struct path_key key;
	u8 more[FILTER_PATH];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct key_buffer);
} path_keys SEC(".maps");

/* Sockets over which a container asked a DNS server something, by cookie: only for these are answers of interest. */
struct dns_socket {
	u64 cgroup;
	u64 start;
	u32 pid;
	u32 padding;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, u64);
	__type(value, struct dns_socket);
} dns_sockets SEC(".maps");

/* Packets are looked at in interrupts as well, in the middle of whatever uses the other scratch. */
#define MAX_PACKET 8192

struct packet_scratch {
	u32 busy;            /* a packet that comes in the middle of another of its direction is not looked at */
	u32 padding;
	struct packet_event event;
	u8 bytes[MAX_PACKET];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 2);
	__type(key, u32);    /* 0 for what comes in, 1 for what goes out */
	__type(value, struct packet_scratch);
} packet_scratches SEC(".maps");

static __always_inline void *only_element(void *map)
{
	u32 zero = 0;
	return bpf_map_lookup_elem(map, &zero);
}

static __always_inline void count_trouble(u32 what)
{
	u64 *count = bpf_map_lookup_elem(&troubles, &what);
	if (count)
		*count += 1;
}

#endif
