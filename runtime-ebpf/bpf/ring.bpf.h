/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* What io_uring does in the place of system calls.
 *
 * Each operation is told of as the system call that does the same, by the same handlers. They are given what that
 * call's arguments would be, taken from the submission queue, which the process can write to: so, as for any
 * argument, another thread may have changed it. An operation is told of when it is submitted and has no result then.
 * But opens: these are told of by the file, when they are over, where a kernel says which request that was.
 *
 *   io_uring_submit_sqe(ring, opcode, ...)             before 5.12
 *   io_uring_submit_sqe(ring, request, opcode, ...)    before 6.0
 *   io_uring_submit_sqe(request, ...)                  before 6.3
 *   io_uring_submit_req(request)
 *   io_uring_complete(ring, user_data, ...)            before 5.12
 *   io_uring_complete(ring, request, ...)
 */
#ifndef PODWARDEN_RING_BPF_H
#define PODWARDEN_RING_BPF_H

#include "file.bpf.h"
#include "network.bpf.h"

/* include/uapi/linux/io_uring.h */
enum ring_operation {
	RING_SENDMSG = 9,
	RING_ACCEPT = 13,
	RING_CONNECT = 16,
	RING_OPENAT = 18,
	RING_SEND = 26,
	RING_OPENAT2 = 28,
	RING_RENAMEAT = 35,
	RING_UNLINKAT = 36,
	RING_MKDIRAT = 37,
	RING_SYMLINKAT = 38,
	RING_LINKAT = 39,
	RING_SOCKET = 45,
	RING_SEND_ZC = 47,
	RING_SENDMSG_ZC = 48,
	RING_FTRUNCATE = 55,
	RING_BIND = 56,
	RING_LISTEN = 57,
};

#define SQE_FIXED_FILE 1
#define SQE_SKIP_SUCCESS (1 << 6)
#define RING_SQE128 (1 << 10)
#define RING_NO_SQARRAY (1 << 16)

struct ring_entry {
	u8 opcode;
	u8 flags;
	u16 priority;
	s32 descriptor;
	u64 offset;          /* or second address, or length of the address */
	u64 address;
	u32 length;
	u32 operation_flags;
	u64 user_data;
	u16 buffer;
	u16 personality;
	u32 file_index;      /* or, of SEND, the length of the address in its lower half */
};

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct io_ring_ctx {
	u32 flags;
	u32 *sq_array;
	u32 sq_entries;
	u32 cached_sq_head;
	struct ring_entry *sq_sqes;
};

/* Requests are given to the tracepoint by kernels that have this type. */
struct io_cmd_data {
	struct file *file;
};

struct io_cqe {
	s32 res;
};

struct io_kiocb {
	u8 opcode;
	struct io_cqe cqe;
	struct io_ring_ctx *ctx;
};

struct io_open {
	u32 file_slot;
	struct open_how how;
};

#pragma clang attribute pop

static __always_inline bool knows_requests(void)
{
	return bpf_core_type_exists(struct io_cmd_data);
}

/* The entry that was taken from the queue last. */
static __always_inline bool last_entry(struct io_ring_ctx *ring, struct ring_entry *entry)
{
	u32 flags = PROBE(ring, flags);
	u32 mask = PROBE(ring, sq_entries) - 1;
	u32 index = (PROBE(ring, cached_sq_head) - 1) & mask;
	if (!(flags & RING_NO_SQARRAY)) {
		u32 *array = PROBE(ring, sq_array);
		if (bpf_probe_read_kernel(&index, sizeof(index), &array[index]))
			return false;
		index &= mask;
	}
	struct ring_entry *entries = PROBE(ring, sq_sqes);
	u64 address = (u64)entries + (flags & RING_SQE128 ? 128 : 64) * (u64)index;
	return !bpf_probe_read_kernel(entry, sizeof(*entry), (void *)address);
}

/* What the arguments of the system call would be. */
static __always_inline void ring_arguments(u64 *args, u32 operation, struct ring_entry *entry)
{
	args[0] = entry->flags & SQE_FIXED_FILE ? (u64)-1 : (u64)(s64)entry->descriptor;
	args[1] = entry->address;
	args[2] = entry->length;
	args[3] = entry->offset;
	args[4] = args[5] = 0;
	switch (operation) {
	case RING_OPENAT:
		args[2] = entry->operation_flags;
		args[3] = entry->length;
		break;
	case RING_OPENAT2:
	case RING_CONNECT:
	case RING_BIND:
		args[2] = entry->offset;
		break;
	case RING_UNLINKAT:
		args[2] = entry->operation_flags;
		break;
	case RING_SYMLINKAT:
		args[0] = entry->address;
		args[1] = (u64)(s64)entry->descriptor;
		args[2] = entry->offset;
		break;
	case RING_RENAMEAT:
	case RING_LINKAT:
		args[2] = (u64)(s64)(s32)entry->length;
		break;
	case RING_SEND:
	case RING_SEND_ZC:
		args[4] = entry->offset;
		args[5] = entry->file_index & 0xffff;
		break;
	case RING_SOCKET:
		args[0] = (u64)(s64)entry->descriptor;
		args[1] = entry->offset;
		break;
	case RING_FTRUNCATE:
		args[1] = entry->offset;
		break;
	}
}

/* The system call that an operation stands for, where somebody wants to hear of it, or of what it does to paths. */
static __always_inline struct call *wanted_call(u32 operation, u32 *place)
{
	u32 *number = bpf_map_lookup_elem(&ring_calls, &operation);
	if (!number || *number >= CALLS)
		return NULL;
	*place = *number;
	struct call *call = bpf_map_lookup_elem(&calls, number);
	return call && *(u64 *)call ? call : NULL;
}

static __always_inline struct call_state *begin_ring_call(struct call *call, u32 place, s64 result)
{
	struct task_struct *task = CURRENT_TASK();
	u64 cgroup = counts_for(READ(task, group_leader), cgroup_of(task));
	struct call_state *state = only_element(&call_states);
	if (!cgroup || !state)
		return NULL;
	state->result = result;
	state->cgroup = cgroup;
	state->call = *call;
	state->number = place;
	state->ring = true;
	return state;
}

static __always_inline void paths_moved(bool unseen)
{
	struct filter *filter = only_element(&filters);
	if (!filter)
		return;
	__sync_fetch_and_add(&filter->generation, 1);
	if (unseen)
		filter->unseen_moves = 1;
}

/* The handler of what was submitted. */
static __always_inline u32 handle_ring_submitted(unsigned long long *ctx)
{
	struct io_ring_ctx *ring;
	u32 operation, place;
	if (knows_requests()) {
		struct io_kiocb *request = (void *)ctx[0];
		ring = PROBE(request, ctx);
		operation = PROBE(request, opcode);
	} else {
		ring = (void *)ctx[0];
		operation = ctx[1] > 0xff ? ctx[2] : ctx[1];
	}
	struct call *call = wanted_call(operation, &place);
	struct ring_entry entry;
	if (!call || !last_entry(ring, &entry))
		return HANDLER_NONE;
	/* When it is over is only told of what has a completion, and by kernels that say of which request. */
	bool end_seen = knows_requests() && !(entry.flags & SQE_SKIP_SUCCESS);
	if (call->flags & CALL_MOVES)
		paths_moved(!end_seen);
	if (call->handler == HANDLER_NONE || (call->handler == HANDLER_OPEN && end_seen && !entry.file_index))
		return HANDLER_NONE;
	struct call_state *state = begin_ring_call(call, place, -EIOCBQUEUED);
	if (!state)
		return HANDLER_NONE;
	ring_arguments(state->args, operation, &entry);
	return state->call.handler;
}

/* An open that is over: its file is known now. */
static __always_inline u32 handle_ring_completed(unsigned long long *ctx)
{
	if (!knows_requests())
		return HANDLER_NONE;
	struct io_kiocb *request = (void *)ctx[1];
	u32 operation = PROBE(request, opcode), place;
	struct call *call = wanted_call(operation, &place);
	if (!call)
		return HANDLER_NONE;
	if (call->flags & CALL_MOVES)
		paths_moved(false);
	s64 result = PROBE(request, cqe.res);
	struct io_open *open = (struct io_open *)request;
	if (call->handler != HANDLER_OPEN || result < 0 || PROBE(open, file_slot))
		return HANDLER_NONE;
	struct call_state *state = begin_ring_call(call, place, result);
	if (!state)
		return HANDLER_NONE;
	/* As openat, whose arguments say all. */
	state->args[0] = state->args[1] = 0;
	state->args[2] = PROBE(open, how.flags);
	state->args[3] = PROBE(open, how.mode);
	state->call.flags &= ~CALL_POINTER;
	state->call.first = 3;
	state->call.second = 4;
	return HANDLER_OPEN;
}

static __always_inline void go_on(void *ctx, u32 handler)
{
	switch (handler) {
	case HANDLER_OPEN:
		bpf_tail_call_static(ctx, &ring_handlers, HANDLER_OPEN);
		break;
	case HANDLER_PATHS:
		bpf_tail_call_static(ctx, &ring_handlers, HANDLER_PATHS);
		break;
	case HANDLER_DESCRIPTOR:
		bpf_tail_call_static(ctx, &ring_handlers, HANDLER_DESCRIPTOR);
		break;
	case HANDLER_SOCKET:
		bpf_tail_call_static(ctx, &ring_handlers, HANDLER_SOCKET);
		break;
	}
}

#endif
