// Declares as much of Arduino's core as the example uses, to compile it without the core.
#pragma once
#include <stddef.h>
#include <stdint.h>

struct SerialPort {
  void begin(unsigned long baud);
  int read();
  size_t print(const char *text);
  size_t println(const char *text);
};
extern SerialPort Serial;
