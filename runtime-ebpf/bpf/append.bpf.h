/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* The tails of records: strings of the kernel, paths, and what is remembered of a process. */
#ifndef PODWARDEN_APPEND_BPF_H
#define PODWARDEN_APPEND_BPF_H

#include "path.bpf.h"
#include "record.bpf.h"

/* Appends a kernel string without its NUL; returns true when it was cut. */
static __always_inline bool append_string(union scratch *scratch, struct tail *tail, u32 *position,
					  const char *source)
{
	u32 at = *position;
	tail->offset = at;
	tail->length = 0;
	if (at >= RECORD_LIMIT)
		return true;
	long length = bpf_probe_read_kernel_str(&scratch->record[at], MAX_PATH, source);
	if (length <= 1)
		return length < 0;
	length -= 1;
	tail->length = length;
	*position = at + (length & (MAX_PATH - 1));
	return length == MAX_PATH - 1;
}

/* Appends the path in the buffer; returns true when its head is missing. */
static __always_inline bool append_path(union scratch *scratch, struct tail *tail, u32 *position,
					struct path_buffer *buffer)
{
	u32 at = *position;
	u32 length = path_length(buffer);
	tail->offset = at;
	tail->length = 0;
	if (at >= RECORD_LIMIT || length > MAX_PATH)
		return true;
	bpf_probe_read_kernel(&scratch->record[at], length, &buffer->text[buffer->offset & (MAX_PATH - 1)]);
	tail->length = length;
	*position = at + length;
	return buffer->truncated;
}

/* Appends a path of a process's record. False when it is a long one that was forgotten. */
static __always_inline bool append_stored(union scratch *scratch, struct tail *tail, u32 *position, void *text,
					  u32 stored, u64 id)
{
	u32 at = *position;
	u32 length = stored & (2 * MAX_PATH - 1);
	tail->offset = at;
	tail->length = 0;
	if (at >= RECORD_LIMIT || length > MAX_PATH)
		return true;
	if (length <= INLINE_PATH) {
		bpf_probe_read_kernel(&scratch->record[at], length, text);
	} else {
		struct long_path *path = bpf_map_lookup_elem(&long_paths, &id);
		if (!path)
			return false;
		bpf_probe_read_kernel(&scratch->record[at], length,
				      &path->text[(MAX_PATH - length) & (MAX_PATH - 1)]);
	}
	tail->length = length;
	*position = at + length;
	return true;
}

#endif
