// Declares as much of Arduino's PDM library as the example uses.
#pragma once
#include <stddef.h>

struct PDMClass {
  int begin(int channels, int sampleRate);
  int available();
  int read(void *buffer, size_t size);
  void onReceive(void (*callback)(void));
};
extern PDMClass PDM;
