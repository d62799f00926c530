/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* The wire between kernel and user space: what a ring buffer record looks like, byte for byte.
 *
 * Fixed widths, explicit padding, little or big endian as the machine is. A record is a header, the rest of
 * the kind's fixed part, and the tails: byte strings that (offset, length) pairs in the fixed part point at,
 * counted from the start of the record. src/wire.rs decodes it; the layout test compares the two. */
#ifndef PODWARDEN_EVENTS_H
#define PODWARDEN_EVENTS_H

enum event_kind {
	EVENT_EXEC = 1,
	EVENT_FORK = 2,
	EVENT_EXIT = 3,
	EVENT_CGROUP_MADE = 4,
	EVENT_CGROUP_REMOVED = 5,
	EVENT_FILE = 6,
	EVENT_NETWORK = 7,
	EVENT_SYSTEM = 8,
	EVENT_PACKET = 9,
};

/* Sequence numbers and losses are counted per class. */
enum event_class {
	CLASS_EXEC = 0,
	CLASS_FORK = 1,
	CLASS_EXIT = 2,
	CLASS_CGROUP = 3,
	CLASS_FILE = 4,
	CLASS_NETWORK = 5,
	CLASS_DNS = 6,
	CLASS_SYSTEM = 7,
	CLASS_COUNT = 8,
};

enum event_flags {
	FLAG_EXE_TRUNCATED = 1 << 0,       /* the head of the path is missing */
	FLAG_CWD_TRUNCATED = 1 << 1,
	FLAG_PARENT_TRUNCATED = 1 << 2,
	FLAG_NAME_TRUNCATED = 1 << 3,      /* filename or interpreter */
	FLAG_ARGS_TRUNCATED = 1 << 4,
	FLAG_ARGS_UNREADABLE = 1 << 5,
	FLAG_SCRIPT = 1 << 6,              /* filename is the script, interp the interpreter */
	FLAG_DELETED = 1 << 7,             /* the file has no name left */
	FLAG_MEMFD = 1 << 8,
	FLAG_OVERLAY = 1 << 9,             /* the file lies on OverlayFS */
	FLAG_OVERLAY_UPPER = 1 << 10,      /* ... in its upper layer */
	FLAG_ROOT_FS = 1 << 11,            /* the file lies on the file system of the process's root */
	FLAG_DETACHED = 1 << 12,           /* ... on a mount that is not in the process's mount namespace */
	FLAG_PARENT_RUNTIME = 1 << 13,     /* the parent is a process from outside the container */
	FLAG_PARENT_INFERRED = 1 << 14,    /* the fork was not seen */
	FLAG_SETUP = 1 << 15,              /* by a runtime process, before it entered the mount namespace */
	FLAG_PARENT_DETACHED = 1 << 16,    /* the same as DETACHED, of the parent's executable */
	FLAG_ESCAPED = 1 << 17,            /* the process left its container's cgroup; cgroup is the container's */
	FLAG_SUBJECT_KERNEL = 1 << 18,     /* the subject comes from a kernel object, not from user memory */
	FLAG_SUBJECT_TRUNCATED = 1 << 19,
	FLAG_SUBJECT_UNREADABLE = 1 << 20, /* its user memory was gone when it was to be read */
	FLAG_CREATED = 1 << 21,            /* this call created the file */
	FLAG_IO_URING = 1 << 22,           /* io_uring carried it out; call is the system call that does the same */
	FLAG_EXE_DETACHED = 1 << 23,       /* DETACHED, of an actor's executable */
};

/* A packet that comes in may interrupt the handling of one that goes out on the same CPU; so they count apart, as if
 * by another CPU. */
#define INCOMING 0x4000

struct event_header {
	u16 kind;
	u16 cpu;             /* with INCOMING for packets that come in */
	u32 length;      /* of the whole record */
	u64 sequence;    /* per CPU and class, from 0, without gaps */
	u64 time;        /* CLOCK_BOOTTIME, ns */
	u64 cgroup;      /* where it happened */
};

struct tail {
	u16 offset;
	u16 length;
};

struct exec_event {
	struct event_header header;
	u64 start;           /* of the process: CLOCK_BOOTTIME, ns */
	u64 parent_start;
	u64 inode;
	u64 size;
	u64 effective_caps;
	u64 permitted_caps;
	u64 args_length;     /* in bytes, before truncation */
	u32 device;
	u32 flags;
	u32 pid;
	u32 container_pid;
	u32 parent_pid;
	u32 args_count;      /* before truncation */
	u32 uid;
	u32 gid;
	u32 euid;
	u32 pid_namespace;
	u32 mount_namespace;
	u8 comm[16];
	struct tail exe;
	struct tail filename;
	struct tail interp;
	struct tail args;
	struct tail cwd;
	struct tail parent_exe;
	u32 padding;
};

struct fork_event {
	struct event_header header;
	u64 start;
	u64 parent_start;
	u32 pid;
	u32 container_pid;
	u32 parent_pid;
	u32 flags;
};

struct exit_event {
	struct event_header header;
	u64 start;
	u32 pid;
	u32 status;          /* as wait(2) gives it */
};

struct cgroup_event {
	struct event_header header;
	struct tail path;    /* below the hierarchy's root */
	u32 padding;
};

/* Who did it: in all events that system calls make. */
struct actor {
	u64 start;
	s64 result;          /* what the call returned */
	u32 pid;
	u32 uid;             /* the ids as they are after the call */
	u32 gid;
	u32 euid;
	u32 flags;
	u32 call;            /* its place in the table of calls: see filters.h */
	struct tail exe;
	struct tail parent_exe;
};

/* A path in it is whole where it comes from a kernel object. Else dir is the directory that it counts from, by the
 * kernel, and path is the caller's text. */
struct file_event {
	struct event_header header;
	struct actor actor;
	u64 inode;
	u32 device;
	u32 open_flags;
	u32 mode;
	u32 uid;             /* new owner */
	u32 gid;
	struct tail dir;
	struct tail path;
	struct tail new_dir;
	struct tail new_path; /* of an open that was done: the path as it was written */
	u32 padding;
};

struct network_event {
	struct event_header header;
	struct actor actor;
	u8 local[16];        /* as the family has it: 4 or 16 bytes */
	u8 remote[16];
	s32 descriptor;      /* -1 where there is none */
	u16 local_port;
	u16 remote_port;
	u16 local_family;    /* of the address; 0 where there is none */
	u16 remote_family;
	u16 family;          /* of the socket */
	u16 type;
	u16 protocol;
	struct tail local_path;
	struct tail remote_path;
	u8 padding[6];
};

/* What the fields mean is the call's matter: see src/sensor/system.rs. */
struct system_event {
	struct event_header header;
	struct actor actor;
	u64 args[4];
	u64 effective_caps;  /* after the call */
	u64 target_start;
	u64 target_cgroup;
	u32 target_pid;
	u16 family;          /* of a socket that became a standard stream */
	u16 remote_port;
	u8 remote[16];
	struct tail target_exe;
	struct tail dir;
	struct tail texts[3];
	u32 padding;
};

/* A packet to or from port 53. */
struct packet_event {
	struct event_header header;
	u64 cookie;          /* of the socket */
	u64 start;           /* of the process that asked; 0 where nobody knows */
	u32 pid;
	u32 outgoing;
	u32 wire_length;     /* from the IP header on, before truncation */
	u32 network;         /* number of the socket's network namespace */
	struct tail bytes;   /* from the IP header on */
	u32 padding;
};

_Static_assert(sizeof(struct actor) == 48, "actor");
_Static_assert(sizeof(struct file_event) == 128, "file");
_Static_assert(sizeof(struct network_event) == 144, "network");
_Static_assert(sizeof(struct system_event) == 184, "system");
_Static_assert(sizeof(struct packet_event) == 72, "packet");
_Static_assert(sizeof(struct event_header) == 32, "header");
_Static_assert(sizeof(struct exec_event) == 176, "exec");
_Static_assert(sizeof(struct fork_event) == 64, "fork");
_Static_assert(sizeof(struct exit_event) == 48, "exit");
_Static_assert(sizeof(struct cgroup_event) == 40, "cgroup");

#endif
