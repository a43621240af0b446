#pragma once
#include <zephyr/kernel.h>

typedef ptrdiff_t off_t_of_zephyr;
struct flash_area {
	size_t fa_size;
};
#define FIXED_PARTITION_ID(label) 0
int flash_area_open(uint8_t id, const struct flash_area **area);
int flash_area_read(const struct flash_area *area, off_t_of_zephyr offset, void *to, size_t len);
int flash_area_write(const struct flash_area *area, off_t_of_zephyr offset, const void *from,
		     size_t len);
int flash_area_erase(const struct flash_area *area, off_t_of_zephyr offset, size_t len);
