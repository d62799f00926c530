/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* The same programs on raw tracepoints. */
#define RAW_TRACEPOINTS
#include "sensor.bpf.c"
