@ `run` of depthwise.rs: a depthwise convolution at one output position, four channels at a time.
@
@ A place is where the values of all channels under one weight of the kernel begin. Three places are a
@ round; SXTB16 parts the bytes of a word of values:
@
@                        channels 0, 2      channels 1, 3
@                       +-------------+    +-------------+
@   values, 16 bits     |     r11     |    |     r10     |
@                       +-------------+    +-------------+
@   weights, 16 bits  * |      r8     |  * |      r9     |
@                       +-------------+    +-------------+
@   sums                   r4     r6          r5     r7
@
@ Registers:
@   r0               the end of the places            (argument: `call`)
@   r1               the next words of the stream: biases, weights, multipliers
@   r2               the first channel of the step
@   r3               the next places
@   r4 to r7         the sum of each channel
@   r8 r9            weights, then multipliers
@   r10 r11          values, then multipliers
@   r10 r12 lr       places
@
@ Stack: 0 the places, 4 `out`, 8 the number of channels, 12 shift, 16 zero point, 20 the saved r4 to r11
@ and lr.

@ Adds the products of four channels at one place.
        .macro  add_place place
        ldr     r10, [\place, r2]
        sxtb16  r11, r10
        sxtb16  r10, r10, ror #8
        ldrd    r8, r9, [r1], #8
        smlabb  r4, r11, r8, r4
        smlatt  r6, r11, r8, r6
        smlabb  r5, r10, r9, r5
        smlatt  r7, r10, r9, r7
        .endm

@ Turns a sum into int8: ssat8(zero point + ((sum << shift) * multiplier + 2^31 >> 32)).
        .macro  requantise sum, multiplier
        lsl     \sum, \sum, r12
        smmlar  \sum, \sum, \multiplier, lr
        ssat    \sum, #8, \sum
        .endm

        push    {r4-r11, lr}
        ldm     r0, {r1-r7}
        push    {r3-r7}
        mov     r0, r2
        movs    r2, #0
2:      @ A step.
        ldm     r1!, {r4-r7}
        ldr     r3, [sp]
3:      @ A round.
        ldm     r3!, {r10, r12, lr}
        add_place r10
        add_place r12
        add_place lr
        cmp     r3, r0
        bne     3b

        ldm     r1!, {r8-r11}
        ldrd    r12, lr, [sp, #12]
        requantise r4, r8
        requantise r5, r9
        requantise r6, r10
        requantise r7, r11
        ldr     r8, [sp, #4]
        strb    r4, [r8], #1
        strb    r5, [r8], #1
        strb    r6, [r8], #1
        strb    r7, [r8], #1
        str     r8, [sp, #4]
        adds    r2, #4
        ldr     r8, [sp, #8]
        cmp     r2, r8
        bne     2b
        add     sp, #20
        pop     {r4-r11, lr}

        .purgem add_place
        .purgem requantise
