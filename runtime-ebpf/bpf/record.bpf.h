/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* Putting records together and handing them to the reader, or counting them as lost. */
#ifndef PODWARDEN_RECORD_BPF_H
#define PODWARDEN_RECORD_BPF_H

#include "maps.bpf.h"

static __always_inline u32 class_of(u16 kind)
{
	switch (kind) {
	case EVENT_EXEC:
		return CLASS_EXEC;
	case EVENT_FORK:
		return CLASS_FORK;
	case EVENT_EXIT:
		return CLASS_EXIT;
	case EVENT_FILE:
		return CLASS_FILE;
	case EVENT_NETWORK:
		return CLASS_NETWORK;
	case EVENT_SYSTEM:
		return CLASS_SYSTEM;
	case EVENT_PACKET:
		return CLASS_DNS;
	default:
		return CLASS_CGROUP;
	}
}

static __always_inline void begin_record(struct event_header *header, u16 kind, u64 cgroup)
{
	header->kind = kind;
	header->cpu = bpf_get_smp_processor_id();
	header->time = bpf_ktime_get_boot_ns();
	header->cgroup = cgroup;
}

static __always_inline void count_lost(u64 cgroup, u32 class)
{
	struct loss_key key = { .cgroup = cgroup, .class = class };
	u64 *count = bpf_map_lookup_elem(&lost, &key);
	if (!count) {
		u64 none = 0;
		bpf_map_update_elem(&lost, &key, &none, BPF_NOEXIST);
		count = bpf_map_lookup_elem(&lost, &key);
	}
	if (!count) {
		/* No room for another cgroup: cgroup 0 stands for all of these. */
		count_trouble(TROUBLE_LOST_FULL);
		key.cgroup = 0;
		count = bpf_map_lookup_elem(&lost, &key);
	}
	if (count)
		__sync_fetch_and_add(count, 1);
}

/* A wake-up costs more than ten records, so there is none while the reader is awake and polls, and while it
 * dozes only for what is urgent or when the ring fills up.
 *
 * The reader says that it sleeps, then looks at the ring once more; here the record is committed (a full
 * barrier), then the word is read: one of the two always sees the other. A discarded record wakes without
 * being delivered. */
static __always_inline void wake_reader(void *ring, bool urgent)
{
	struct reader_state *state = only_element(&reader);
	if (!state)
		return;
	u32 mood = *(volatile u32 *)&state->mood;
	if (mood == READER_AWAKE)
		return;
	if (mood == READER_DOZING && !urgent &&
	    bpf_ringbuf_query(ring, BPF_RB_AVAIL_DATA) < bpf_ringbuf_query(ring, BPF_RB_RING_SIZE) / 4)
		return;
	void *nothing = bpf_ringbuf_reserve(&events, 8, 0);
	if (!nothing)
		return;
	state->mood = READER_AWAKE;
	bpf_ringbuf_discard(nothing, BPF_RB_FORCE_WAKEUP);
}

/* Whether an action with this hash was not seen lately. */
static __always_inline bool is_new(u64 hash)
{
	if (bpf_map_lookup_elem(&seen, &hash))
		return false;
	u8 yes = 1;
	bpf_map_update_elem(&seen, &hash, &yes, BPF_ANY);
	return true;
}

static __always_inline u64 mix(u64 hash, u64 value)
{
	return (hash ^ value) * 0x9e3779b97f4a7c15ULL;
}

static __always_inline void submit_to(void *ring, void *record, u64 length, bool urgent)
{
	struct event_header *header = record;
	u32 class = class_of(header->kind);
	u32 counter = header->cpu & INCOMING ? CLASS_COUNT : class;
	u64 *sequence = bpf_map_lookup_elem(&made, &counter);
	if (!sequence)
		return;
	header->sequence = (*sequence)++;
	header->length = length;
	if (bpf_ringbuf_output(ring, record, length, BPF_RB_NO_WAKEUP))
		count_lost(header->cgroup, class);
	wake_reader(ring, urgent);
}

static __always_inline void submit_record(void *record, u32 length, bool urgent)
{
	submit_to(&events, record, length, urgent);
}

/* Whether somebody waits to be woken by what is urgent: only then it is worth while to find out whether something
 * is. */
static __always_inline bool is_waiting(void)
{
	struct reader_state *state = only_element(&reader);
	return state && *(volatile u32 *)&state->mood == READER_DOZING;
}

#endif
