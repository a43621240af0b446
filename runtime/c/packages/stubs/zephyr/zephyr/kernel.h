// Declares as much of Zephyr as the sample uses, to compile it without Zephyr.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct device {
	const char *name;
};
struct k_mem_slab {
	size_t block_size;
};

#define K_MEM_SLAB_DEFINE_STATIC(name, size, count, align)                                         \
	static struct k_mem_slab name = {.block_size = (size)}
void k_mem_slab_free(struct k_mem_slab *slab, void *block);

extern const struct device the_device;
#define DT_NODELABEL(label) label
#define DT_ALIAS(alias) alias
#define DEVICE_DT_GET(node) (&the_device)
