@ `widen` of widen.rs: bytes of four places, 16 bits each, side by side.
@
@ A quad takes four bytes of each place and writes eight words:
@
@                 place 0    1        2        3
@               +--------+--------+--------+--------+
@   b0, b1      |   r1   |   r2   |   r3   |   r4   |   out[0..4]
@   b2, b3      |   r5   |   r6   |   r7   |   r8   |   out[4..8]
@               +--------+--------+--------+--------+
@   the next    |  [r10] |  [r11] |  [r12] |  [lr]  |
@
@ Registers:
@   r0              the next word of `out`            (argument: `out`)
@   r1 to r8        widened words                     (r1: `places`, r2: `quads`)
@   r9              for a moment
@   r10 r11 r12 lr  the next bytes of each place
@
@ Stack: 0 the end of `out`, 4 the saved r4 to r11 and lr.
@ `widen_word` is in halves.S.

@ Reads and widens four bytes of one place.
        .macro  widen_place place, low, high
        ldr     \high, [\place], #4
        widen_word \low, \high, r9
        .endm

@ Does a quad.
        .macro  widen_quad
        widen_place r10, r1, r5
        widen_place r11, r2, r6
        widen_place r12, r3, r7
        widen_place lr, r4, r8
        stm     r0!, {r1-r8}
        .endm

        push    {r4-r11, lr}
        add     r3, r0, r2, lsl #5              @ a quad is 32 bytes of `out`
        push    {r3}
        ldm     r1, {r10, r11, r12, lr}
        tst     r2, #1
        bne     3f      @ an odd number begins with half a turn
2:
        widen_quad
3:
        widen_quad
        ldr     r9, [sp]
        cmp     r0, r9
        bne     2b
        add     sp, #4
        pop     {r4-r11, lr}

        .purgem widen_quad
        .purgem widen_place
        .purgem widen_word
