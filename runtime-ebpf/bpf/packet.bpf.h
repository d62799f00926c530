/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* DNS packets: what containers ask, and the answers to it. Only packets to and from port 53 cost more than a look. */
#ifndef PODWARDEN_PACKET_BPF_H
#define PODWARDEN_PACKET_BPF_H

#include "activity.bpf.h"

#define DNS_PORT 53
#define PROTOCOL_TCP 6
#define PROTOCOL_UDP 17
#define IPV6_HEADER 40

/* Where the transport header begins, when the packet is UDP or TCP; else 0. Extension headers of IPv6 and later
 * fragments are not followed: no resolver's packets have any at this place, the kernel has put them together. */
static __always_inline u32 transport_of(struct __sk_buff *skb)
{
	u8 first = 0, protocol = 0;
	if (bpf_skb_load_bytes(skb, 0, &first, 1))
		return 0;
	u32 offset;
	if (first >> 4 == 4) {
		offset = (first & 15) * 4;
		bpf_skb_load_bytes(skb, 9, &protocol, 1);
	} else {
		offset = IPV6_HEADER;
		bpf_skb_load_bytes(skb, 6, &protocol, 1);
	}
	return protocol == PROTOCOL_TCP || protocol == PROTOCOL_UDP ? offset : 0;
}

/* The number of the network namespace that the packet's socket is in. The context is the kernel's own structure, of
 * which only parts may be read otherwise. */
static __always_inline u32 network_of(struct __sk_buff *skb)
{
	struct sock *sock = NULL;
	bpf_probe_read_kernel(&sock, sizeof(sock), (char *)skb + bpf_core_field_offset(struct sk_buff, sk));
	return sock ? PROBE(sock, __sk_common.skc_net.net, ns.inum) : 0;
}

/* Who sends this: the task that runs now, when the socket is of its cgroup. In an interrupt it is somebody else. */
static __always_inline bool find_asker(struct __sk_buff *skb, struct dns_socket *asker)
{
	struct task_struct *task = CURRENT_TASK();
	if (bpf_skb_cgroup_id(skb) != READ(task, cgroups, dfl_cgrp, kn, id))
		return false;
	struct task_struct *leader = READ(task, group_leader);
	asker->cgroup = counts_for(leader, cgroup_of(task));
	asker->start = READ(leader, start_boottime);
	asker->pid = READ(leader, tgid);
	return true;
}

static __always_inline void handle_packet(struct __sk_buff *skb, bool outgoing)
{
	u32 transport = transport_of(skb);
	u16 port = 0;
	if (!transport || bpf_skb_load_bytes(skb, transport + (outgoing ? 2 : 0), &port, sizeof(port)) ||
	    port != __builtin_bswap16(DNS_PORT))
		return;
	u64 cookie = bpf_get_socket_cookie(skb);
	struct dns_socket *known = bpf_map_lookup_elem(&dns_sockets, &cookie);
	struct dns_socket asker = {};
	if (outgoing && find_asker(skb, &asker)) {
		if (!asker.cgroup)
			return;
		bpf_map_update_elem(&dns_sockets, &cookie, &asker, BPF_ANY);
	} else if (known) {
		asker = *known;
	} else {
		return;
	}
	u32 direction = outgoing;
	struct packet_scratch *scratch = bpf_map_lookup_elem(&packet_scratches, &direction);
	if (!scratch)
		return;
	if (scratch->busy) {
		count_trouble(TROUBLE_PACKETS_NESTED);
		return;
	}
	*(volatile u32 *)&scratch->busy = 1;
	struct packet_event *event = &scratch->event;
	begin_record(&event->header, EVENT_PACKET, asker.cgroup);
	if (!outgoing)
		event->header.cpu |= INCOMING;
	event->cookie = cookie;
	event->start = asker.start;
	event->pid = asker.pid;
	event->outgoing = outgoing;
	event->wire_length = skb->len;
	event->network = network_of(skb);
	event->padding = 0;
	u32 length = skb->len;
	if (length > MAX_PACKET)
		length = MAX_PACKET;
	/* So that the verifier sees that it is neither nothing nor too much. */
	length = BOUNDED(length - 1, MAX_PACKET - 1) + 1;
	event->bytes.offset = sizeof(*event);
	event->bytes.length = length;
	if (bpf_skb_load_bytes(skb, 0, scratch->bytes, length)) {
		event->bytes.length = 0;
		length = 0;
	}
	submit_to(&activities, event, sizeof(*event) + length, false);
	*(volatile u32 *)&scratch->busy = 0;
}

#endif
