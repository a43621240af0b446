#pragma once
#include <zephyr/kernel.h>

struct gpio_dt_spec {
	const struct device *port;
};
#define GPIO_DT_SPEC_GET(node, property) {.port = &the_device}
#define GPIO_INPUT 1u
int gpio_pin_configure_dt(const struct gpio_dt_spec *spec, uint32_t flags);
int gpio_pin_get_dt(const struct gpio_dt_spec *spec);
