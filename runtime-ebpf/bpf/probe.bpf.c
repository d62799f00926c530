/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* Loaded to see whether the kernel takes BTF tracepoints, and never attached. */
#include "kernel.bpf.h"
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "Dual MIT/GPL";

SEC("tp_btf/sched_process_exec")
int probe_tp_btf(unsigned long long *ctx)
{
	return bpf_get_current_task_btf() == NULL;
}
