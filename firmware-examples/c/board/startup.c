// Starts the processor: sets up the floating-point unit and the data, then begins newlib's start-up code,
// which clears the rest and calls main with the arguments that QEMU was given.
#include <stdint.h>

extern uint32_t data_start[], data_end[], data_load[], __stack[];
void _start(void);

// Access to the floating-point unit: Armv7-M Architecture Reference Manual, B3.2.20.
#define CPACR (*(volatile uint32_t *)0xe000ed88)

void reset(void) {
    CPACR |= 0xfu << 20;
    __asm volatile("dsb\n isb");
    const uint32_t *from = data_load;
    for (uint32_t *to = data_start; to < data_end; to++) {
        *to = *from++;
    }
    _start();
    for (;;) {
    }
}

// A fault ends in a loop that the test's time limit ends.
static void fault(void) {
    for (;;) {
    }
}

__attribute__((section(".vectors"), used)) static const void *const vectors[16] = {
    __stack, (const void *)reset, (const void *)fault, (const void *)fault,
    (const void *)fault, (const void *)fault, (const void *)fault};
