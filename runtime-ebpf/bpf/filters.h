/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* What user space tells the kernel of what it wants to hear: system calls, and files. src/filter/ writes it. */
#ifndef PODWARDEN_FILTERS_H
#define PODWARDEN_FILTERS_H

/* Who makes the event of a system call. */
enum handler {
	HANDLER_NONE = 0,
	HANDLER_OPEN = 1,
	HANDLER_PATHS = 2,         /* one or two paths by name */
	HANDLER_DESCRIPTOR = 3,    /* a file by descriptor */
	HANDLER_SOCKET = 4,
	HANDLER_SYSTEM = 5,
	HANDLER_COUNT = 6,
};

enum call_flags {
	CALL_ALSO_32 = 1 << 0,     /* the same number is of interest in the 32-bit table */
	CALL_MOVES = 1 << 1,       /* paths may lead elsewhere after it, whoever does it */
	CALL_EXECUTABLE = 1 << 2,  /* only when the third argument is PROT_WRITE and PROT_EXEC at once */
	CALL_POINTER = 1 << 3,     /* `first` points at struct open_how (OPEN) or at clone_args (SYSTEM), `path` at struct
				    * msghdr (SOCKET); `dir` is a pidfd (SYSTEM) */
	CALL_MULTIPLEX = 1 << 4,   /* i386's socketcall: the call is its first argument, its arguments the second's */
	CALL_MANY = 1 << 5,        /* `path` points at an array of messages; the call returns twice (SYSTEM) */
	CALL_STANDARD = 1 << 6,    /* only when the result is the descriptor of a standard stream */
	CALL_UNCOMMON = 1 << 7,    /* a socket that is made: only of other families than IP and Unix */
};

/* What else is to be known of a call that concerns the system: `second` of its entry. */
enum system_operation {
	SYSTEM_PLAIN = 0,          /* its arguments say all */
	SYSTEM_TEXTS = 1,          /* the caller's texts: `path`, `first`, and `new_path`, which is a path */
	SYSTEM_FILE = 2,           /* the file of a descriptor */
	SYSTEM_NAMESPACES = 3,     /* flags: only when they make new namespaces */
	SYSTEM_MEMORY = 4,         /* the file that is mapped */
	SYSTEM_DUPLICATE = 5,      /* only when it is a socket */
	SYSTEM_PROCESS = 6,        /* another process: by its number in `dir`, or a pidfd */
	SYSTEM_SIGNAL = 7,         /* the same, only when it leaves the container; the signal is in `first` */
};

/* What a call does with a socket: `second` of its entry. */
enum socket_operation {
	SOCKET_MAKE = 1,
	SOCKET_CONNECT = 2,
	SOCKET_BIND = 3,
	SOCKET_LISTEN = 4,
	SOCKET_ACCEPT = 5,
	SOCKET_SEND = 6,
};

/* What is to be done at the end of a system call. The bytes after flags are numbers of arguments, from 1; 0 where
 * there is none. */
struct call {
	u8 handler;
	u8 flags;
	u8 dir;              /* descriptor: of the directory that path counts from, or of the file or socket */
	u8 path;             /* or address of a socket, whose length is in `first` */
	u8 new_dir;
	u8 new_path;
	u8 first;            /* flags of open, mode, owner */
	u8 second;           /* mode of open, group */
};

/* Numbers of system calls, twice: 64-bit ones first, then the 32-bit ones of compat processes. After these come the
 * calls of socketcall, which have an event's number only, and no entry. */
#define CALLS 512
#define SOCKETCALLS (2 * CALLS)
/* In the table of io_uring's operations. */
#define RING_OPERATIONS 64
#define NO_CALL 0xffff

/* Sets of files, one bit each. */
enum file_set {
	SET_READS = 1 << 0,        /* opens that neither write nor create */
	SET_WRITES = 1 << 1,       /* opens that do */
	SET_CHANGES = 1 << 2,      /* everything else */
};

/* So much of a path counts in a filter; longer ones are cut, and then stand for more than they say. */
#define FILTER_PATH 128

/* Key in the tries of prefixes (of paths) and suffixes (of reversed paths). */
struct path_key {
	u32 bits;
	u8 text[FILTER_PATH];
};

/* Which sets a path is in by the longest entry that it begins with. */
struct path_sets {
	u8 prefix;           /* by this entry, and by all that are prefixes of it */
	u8 exact;            /* if it is as long as the entry */
	u16 length;          /* of the entry */
	u32 padding;
};

struct file_key {
	u64 inode;
	u32 device;
	u32 padding;
};

struct filter {
	u32 all;             /* sets that hold all files */
	u32 any;             /* sets that are not empty */
	u32 suffixes;        /* sets that have suffixes */
	u32 generation;      /* another one for each change, so that old answers are forgotten */
	u32 unseen_moves;    /* renames may be over without being heard of: no answer is kept any more */
};

_Static_assert(sizeof(struct call) == 8, "call");

#endif
