/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* Reading kernel objects.
 *
 * READ follows pointers that the verifier knows the types of: arguments of a BTF tracepoint, and what is reached
 * from them. The kernel then compiles each step to a plain load, many times cheaper than a helper's call, and
 * makes a fault read as 0. For raw tracepoints, whose arguments have no types, the same goes through the helper.
 *
 * PROBE is for addresses that came from somewhere else. */
#ifndef PODWARDEN_READ_BPF_H
#define PODWARDEN_READ_BPF_H

#include "kernel.bpf.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

#define PROBE(source, ...) BPF_CORE_READ(source, __VA_ARGS__)

#ifdef RAW_TRACEPOINTS
#define READ(source, ...) BPF_CORE_READ(source, __VA_ARGS__)
#else
#define READ(source, ...) ___arrow(source, __VA_ARGS__)
#endif

/* A length that the verifier sees the bound of. The compiler may compare one copy of a number and use another, which
 * older verifiers do not connect; and it would leave the mask out where it knows better. */
#define BOUNDED(value, mask)              \
	({                                \
		u64 bounded_ = (value);   \
		barrier_var(bounded_);    \
		bounded_ & (mask);        \
	})

#endif
