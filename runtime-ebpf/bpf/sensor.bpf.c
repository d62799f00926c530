/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* Sections only. This file is compiled twice: with BTF tracepoints, whose arguments have types, which costs
 * least; and by sensor_raw.bpf.c with raw tracepoints, for kernels that do not take those. Tracepoints have no stable ABI but these have kept their arguments since 5.5:
 *
 *   sched_process_fork(parent, child)        parent is the task that called clone, whatever CLONE_PARENT says
 *   sched_process_exec(task, old_pid, bprm)  after the point of no return, before the first instruction
 *   sched_process_exit(task, ...)            for each thread
 *   cgroup_mkdir(cgroup, path), cgroup_rmdir(cgroup, path)
 *   cgroup_attach_task(cgroup, path, task, threadgroup)   after the move
 *   sys_exit(regs, result)                   at the end of each system call; what it was given is still there
 */
#include "exec.bpf.h"
#include "cgroup.bpf.h"
#include "file.bpf.h"
#include "packet.bpf.h"
#include "ring.bpf.h"
#include "system.bpf.h"

char LICENSE[] SEC("license") = "Dual MIT/GPL";

#ifdef RAW_TRACEPOINTS
#define HOOK(name, call)                                                  \
	SEC("raw_tp/" #name) int raw_##name(unsigned long long *ctx)      \
	{                                                                 \
		return call;                                              \
	}
#else
#define HOOK(name, call)                                                  \
	SEC("tp_btf/" #name) int btf_##name(unsigned long long *ctx)      \
	{                                                                 \
		return call;                                              \
	}
#endif

HOOK(sched_process_fork, handle_fork((void *)ctx[0], (void *)ctx[1]))
HOOK(sched_process_exec, handle_exec((void *)ctx[0], (void *)ctx[2]))
HOOK(sched_process_exit, handle_exit((void *)ctx[0]))
HOOK(cgroup_mkdir, handle_cgroup_made((void *)ctx[0], (void *)ctx[1]))
HOOK(cgroup_rmdir, handle_cgroup_removed((void *)ctx[0], (void *)ctx[1]))
HOOK(cgroup_attach_task, handle_attach((void *)ctx[0], (void *)ctx[2]))
HOOK(sys_exit, handle_sys_exit(ctx, (void *)ctx[0], ctx[1]))

/* Called from the end of sys_exit, one for each handler. */
#ifdef RAW_TRACEPOINTS
#define HANDLE(name)                                                      \
	SEC("raw_tp/sys_exit") int raw_handle_##name(unsigned long long *ctx) \
	{                                                                 \
		return handle_##name();                                   \
	}
#else
#define HANDLE(name)                                                      \
	SEC("tp_btf/sys_exit") int btf_handle_##name(unsigned long long *ctx) \
	{                                                                 \
		return handle_##name();                                   \
	}
#endif

HANDLE(open)
HANDLE(paths)
HANDLE(descriptor)
HANDLE(socket)
HANDLE(system)

/* io_uring's tracepoints have changed their arguments again and again: as raw ones, one program is for all kernels.
 * What was submitted goes on to a handler as above. */
SEC("raw_tp/io_uring_submit_req")
int ring_submitted(unsigned long long *ctx)
{
	go_on(ctx, handle_ring_submitted(ctx));
	return 0;
}

SEC("raw_tp/io_uring_complete")
int ring_completed(unsigned long long *ctx)
{
	go_on(ctx, handle_ring_completed(ctx));
	return 0;
}

#define HANDLE_RING(name)                                                 \
	SEC("raw_tp/io_uring_submit_req") int ring_handle_##name(unsigned long long *ctx) \
	{                                                                 \
		return handle_##name();                                   \
	}

HANDLE_RING(open)
HANDLE_RING(paths)
HANDLE_RING(descriptor)
HANDLE_RING(socket)

/* Attached at the root of cgroup v2: what comes and goes over any socket of the machine. They let everything pass. */
SEC("cgroup_skb/egress")
int packet_sent(struct __sk_buff *skb)
{
	handle_packet(skb, true);
	return 1;
}

SEC("cgroup_skb/ingress")
int packet_received(struct __sk_buff *skb)
{
	handle_packet(skb, false);
	return 1;
}
