/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* What is done with sockets.
 *
 * Addresses come from the kernel's socket where the call has left them there. A connect that failed has not, and a
 * message that is sent to an address without a connection never does: these come from the caller's memory, which is
 * read after the call. */
#ifndef PODWARDEN_NETWORK_BPF_H
#define PODWARDEN_NETWORK_BPF_H

#include "activity.bpf.h"

#define AF_UNSPEC 0
#define AF_UNIX 1
#define AF_INET 2
#define AF_INET6 10
#define S_IFMT 0170000
#define S_IFSOCK 0140000
#define EINTR 4
#define EINPROGRESS 115
#define ERESTARTSYS 512
/* struct sockaddr_storage; the path of a Unix socket is at most 108 bytes of it. */
#define MAX_ADDRESS 128
#define UNIX_PATH 108
/* So many messages of one sendmmsg are looked at. */
#define MAX_MESSAGES 16

/* The kernel's socket behind a descriptor; NULL where it is none. */
static __always_inline struct sock *sock_of(struct file *file)
{
	if (!file || (PROBE(file, f_inode, i_mode) & S_IFMT) != S_IFSOCK)
		return NULL;
	struct socket *socket = PROBE(file, private_data);
	return PROBE(socket, sk);
}

static __always_inline u16 swap_bytes(u16 port)
{
	return __builtin_bswap16(port);
}

/* Appends the name that a Unix socket is bound to. */
static __always_inline void append_unix_name(union scratch *scratch, struct tail *tail, u32 *position,
					     struct sock *sock)
{
	struct unix_sock *own = (struct unix_sock *)sock;
	struct unix_address *address = PROBE(own, addr);
	u32 at = *position;
	tail->offset = at;
	tail->length = 0;
	if (!address || at >= RECORD_LIMIT)
		return;
	u32 length = PROBE(address, len) - sizeof(u16);
	if (length == 0 || length > UNIX_PATH)
		return;
	char *name = (char *)address + bpf_core_field_offset(struct unix_address, name) + sizeof(u16);
	if (bpf_probe_read_kernel(&scratch->record[at], length & (MAX_ADDRESS - 1), name))
		return;
	tail->length = length;
	*position = at + (length & (MAX_ADDRESS - 1));
}

/* What every socket has, in one read: these stand side by side in every kernel so far. */
struct sock_part {
	u32 daddr;
	u32 rcv_saddr;
	u32 hash;
	u16 dport;
	u16 num;
	u16 family;
};

static __always_inline void read_sock(struct sock_part *part, struct sock *sock)
{
	u32 first = bpf_core_field_offset(struct sock, __sk_common.skc_daddr);
	if (bpf_core_field_offset(struct sock, __sk_common.skc_rcv_saddr) == first + 4 &&
	    bpf_core_field_offset(struct sock, __sk_common.skc_dport) == first + 12 &&
	    bpf_core_field_offset(struct sock, __sk_common.skc_num) == first + 14 &&
	    bpf_core_field_offset(struct sock, __sk_common.skc_family) == first + 16) {
		bpf_probe_read_kernel(part, 18, (char *)sock + first);
	} else {
		part->daddr = PROBE(sock, __sk_common.skc_daddr);
		part->rcv_saddr = PROBE(sock, __sk_common.skc_rcv_saddr);
		part->dport = PROBE(sock, __sk_common.skc_dport);
		part->num = PROBE(sock, __sk_common.skc_num);
		part->family = PROBE(sock, __sk_common.skc_family);
	}
}

static __always_inline void describe_socket(union scratch *scratch, u32 *position, struct sock *sock)
{
	struct network_event *event = &scratch->network;
	struct sock_part part = {};
	read_sock(&part, sock);
	u16 family = part.family;
	event->family = family;
	event->type = PROBE(sock, sk_type);
	event->protocol = PROBE(sock, sk_protocol);
	if (family == AF_INET || family == AF_INET6) {
		event->local_port = part.num;
		event->remote_port = swap_bytes(part.dport);
		event->local_family = family;
		if (event->remote_port)
			event->remote_family = family;
	}
	if (family == AF_INET) {
		*(u32 *)event->local = part.rcv_saddr;
		*(u32 *)event->remote = part.daddr;
	} else if (family == AF_INET6 && bpf_core_field_exists(sock->__sk_common.skc_v6_daddr)) {
		bpf_core_read(event->local, 16, &sock->__sk_common.skc_v6_rcv_saddr);
		bpf_core_read(event->remote, 16, &sock->__sk_common.skc_v6_daddr);
	} else if (family == AF_UNIX) {
		struct unix_sock *own = (struct unix_sock *)sock;
		append_unix_name(scratch, &event->local_path, position, sock);
		struct sock *peer = PROBE(own, peer);
		if (peer) {
			append_unix_name(scratch, &event->remote_path, position, peer);
			event->remote_family = AF_UNIX;
		}
	}
}

/* Takes an address from the caller's memory: into the remote side, or the local one. False for a connect to
 * AF_UNSPEC. Anything else that is done with an IPv4 socket takes AF_UNSPEC for AF_INET, as udp_sendmsg() does. */
static __always_inline bool describe_argument(union scratch *scratch, u32 *position, u64 address, u64 length,
					      u32 operation, bool local)
{
	struct network_event *event = &scratch->network;
	struct tail *path = local ? &event->local_path : &event->remote_path;
	u8 *bytes = local ? event->local : event->remote;
	u16 family = 0, port = 0;
	if (bpf_probe_read_user(&family, sizeof(family), (void *)address)) {
		event->actor.flags |= FLAG_SUBJECT_UNREADABLE;
		return true;
	}
	if (family == AF_UNSPEC && event->family == AF_INET && operation != SOCKET_CONNECT)
		family = AF_INET;
	long unreadable = 0;
	__builtin_memset(bytes, 0, 16);
	if (family == AF_INET || family == AF_INET6)
		unreadable |= bpf_probe_read_user(&port, sizeof(port), (void *)(address + 2));
	if (family == AF_INET) {
		unreadable |= bpf_probe_read_user(bytes, 4, (void *)(address + 4));
	} else if (family == AF_INET6) {
		unreadable |= bpf_probe_read_user(bytes, 16, (void *)(address + 8));
	} else if (family == AF_UNIX) {
		u32 at = *position;
		u32 name = (u32)length - sizeof(u16);
		if (at >= RECORD_LIMIT || name == 0 || name > UNIX_PATH)
			return true;
		if (bpf_probe_read_user(&scratch->record[at], name & (MAX_ADDRESS - 1), (void *)(address + 2)))
			event->actor.flags |= FLAG_SUBJECT_UNREADABLE;
		path->offset = at;
		path->length = name;
		*position = at + (name & (MAX_ADDRESS - 1));
	}
	if (unreadable)
		event->actor.flags |= FLAG_SUBJECT_UNREADABLE;
	u16 shown = family == AF_INET || family == AF_INET6 ? swap_bytes(port) : 0;
	if (local) {
		event->local_family = family;
		event->local_port = shown;
	} else {
		event->remote_family = family;
		event->remote_port = shown;
	}
	return family != AF_UNSPEC || operation != SOCKET_CONNECT;
}

/* A call on a socket, whatever way it was made. */
struct socket_call {
	u64 descriptor;
	u64 address;
	u64 length;
	u32 operation;
	u32 place;
};

/* A global function, so that the verifier goes through it once and not once for each message. */
__noinline int report_socket(u64 descriptor, u64 address, u64 length, u32 operation, u32 place)
{
	struct call_state *state = only_element(&call_states);
	if (!state)
		return 0;
	struct task_struct *task = CURRENT_TASK();
	bool done = state->result >= 0;
	bool made_here = operation == SOCKET_MAKE || (operation == SOCKET_ACCEPT && done);
	struct sock *sock = NULL;
	if (!made_here || done)
		sock = sock_of(file_of(task, made_here ? (u64)state->result : descriptor));
	/* io_uring has sockets without a descriptor. */
	if (!sock && operation != SOCKET_MAKE && !state->ring)
		return 0;
	u32 position;
	union scratch *scratch = begin_activity(task, state, EVENT_NETWORK, sizeof(struct network_event), &position);
	if (!scratch)
		return 0;
	struct network_event *event = &scratch->network;
	__builtin_memset(event->local, 0, sizeof(*event) - __builtin_offsetof(struct network_event, local));
	event->actor.call = place;
	event->descriptor = made_here ? (done ? (s32)state->result : -1) : (s32)descriptor;
	if (sock) {
		describe_socket(scratch, &position, sock);
	} else if (operation == SOCKET_MAKE) {
		event->family = descriptor;
		event->type = address;
		event->protocol = length;
	}
	bool argument = false, local = false;
	switch (operation) {
	case SOCKET_CONNECT:
		argument = !done && state->result != -EINPROGRESS;
		/* A signal ends the wait and not the connection, which goes on to where the socket says. */
		if ((state->result == -EINTR || state->result == -ERESTARTSYS) && event->remote_family)
			argument = false;
		break;
	case SOCKET_BIND:
		argument = local = !done;
		break;
	case SOCKET_SEND:
		argument = true;
		break;
	}
	if (!argument && sock)
		event->actor.flags |= FLAG_SUBJECT_KERNEL;
	if (argument && !describe_argument(scratch, &position, address, length, operation, local))
		return 0;
	/* A connect to no family takes the connection away. */
	if (operation == SOCKET_CONNECT && !argument && !event->remote_family)
		return 0;
	u64 *words = (u64 *)event->remote;
	submit_activity(scratch, position, mix(mix(words[0], words[1]), event->remote_port));
	return 0;
}

/* Numbers of socketcall(2). */
static __always_inline u32 multiplexed(u32 number, u8 *flags)
{
	switch (number) {
	case 1:
		return SOCKET_MAKE;
	case 2:
		return SOCKET_BIND;
	case 3:
		return SOCKET_CONNECT;
	case 4:
		return SOCKET_LISTEN;
	case 5:
	case 18:
		return SOCKET_ACCEPT;
	case 11:
		return SOCKET_SEND;
	case 16:
		*flags = CALL_POINTER;
		return SOCKET_SEND;
	case 20:
		*flags = CALL_POINTER | CALL_MANY;
		return SOCKET_SEND;
	default:
		return 0;
	}
}

static __always_inline int handle_socket(void)
{
	struct call_state *state = only_element(&call_states);
	if (!state)
		return 0;
	bool compat = state->number >= CALLS;
	u8 flags = state->call.flags;
	struct socket_call call = { .operation = state->call.second, .place = state->number };
	if (flags & CALL_MULTIPLEX) {
		u32 args[6] = {};
		u32 number = state->args[0];
		call.operation = multiplexed(number, &flags);
		if (!call.operation)
			return 0;
		call.place = SOCKETCALLS + number;
		if (bpf_probe_read_user(args, sizeof(args), (void *)state->args[1]))
			bpf_probe_read_user(args, 3 * sizeof(u32), (void *)state->args[1]);
		call.descriptor = args[0];
		call.address = args[1];
		call.length = args[2];
		if (number == 11) {
			call.address = args[4];
			call.length = args[5];
		}
	} else if (call.operation == SOCKET_MAKE) {
		call.descriptor = state->args[0];
		call.address = state->args[1];
		call.length = state->args[2];
	} else {
		call.descriptor = argument(state, state->call.dir);
		call.address = argument(state, state->call.path);
		call.length = argument(state, state->call.first);
	}
	if (call.operation == SOCKET_MAKE && flags & CALL_UNCOMMON) {
		u32 family = call.descriptor;
		if (family == AF_UNIX || family == AF_INET || family == AF_INET6)
			return 0;
	}
	if (call.operation != SOCKET_SEND || !(flags & CALL_POINTER)) {
		if (call.operation != SOCKET_SEND || call.address)
			report_socket(call.descriptor, call.address, call.length, call.operation, call.place);
		return 0;
	}
	/* struct msghdr begins with the address and its length, struct mmsghdr with a struct msghdr. */
	u64 message = call.address;
	u32 size = compat ? 32 : 64;
	u32 count = flags & CALL_MANY ? (state->result > 0 ? state->result : 1) : 1;
	for (u32 i = 0; i < MAX_MESSAGES; i++) {
		if (i >= count)
			break;
		if (compat) {
			u32 words[2] = {};
			bpf_probe_read_user(words, sizeof(words), (void *)message);
			call.address = words[0];
			call.length = words[1];
		} else {
			u64 words[2] = {};
			bpf_probe_read_user(words, sizeof(words), (void *)message);
			call.address = words[0];
			call.length = (u32)words[1];
		}
		if (call.address)
			report_socket(call.descriptor, call.address, call.length, call.operation, call.place);
		message += size;
	}
	return 0;
}

#endif
