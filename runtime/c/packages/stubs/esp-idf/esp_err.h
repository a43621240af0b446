// Declares as much of ESP-IDF as the example uses, to compile it without ESP-IDF.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef int esp_err_t;
void esp_check(esp_err_t error);
#define ESP_ERROR_CHECK(call) esp_check(call)
