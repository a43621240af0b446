@ `add_vectors` of vectors.rs: products of four positions' values with the weights of a
@ pair of channels.
@
@ A step takes sixteen values of each position and sixteen weights of each channel. VLD20 and VLD21
@ part the bytes of sixteen numbers `256 * second + first`: q0 is the first channel's weights, and q1
@ the second's, less one where the first's is negative. VMLADAVA adds sixteen products to a sum.
@
@ The tile:
@                                   position 0     1      2      3
@                                     +------+------+------+------+
@   values, sixteen in each vector    |  q2  |  q3  |  q2  |  q3  |
@                                     | [r3] | [r5] | [r7] | [r9] |
@                                     +------+------+------+------+
@                 +---------------+   +------+------+------+------+
@   weights, [r1] | q0 : first    | * |  r0  |  r4  |  r8  | r12  |   sums of the first channel
@                 | q1 : second   | * |  r2  |  r6  | r10  |  lr  |   sums of the second channel
@                 +---------------+   +------+------+------+------+
@
@ Registers:
@   r0 r2 r4 ... r12 lr   sums, which VMLADAVA wants in even registers
@   r1                    the next weights                    (argument r0: `weights`)
@   r3 r5 r7 r9           the next values of each position    (argument r1: `places`)
@   r11                   steps that are left                 (argument r2: `vectors`)
@   q0 q1                 weights
@   q2 q3                 values
@
@ Stack: 0 `sums` (argument r3), 4 the saved r4 to r11 and lr.

        push    {r3-r11, lr}
        mov     r11, r2
        ldrd    r5, r7, [r1, #4]                @ the places
        ldr     r9, [r1, #12]
        mov     lr, r3
        ldr     r3, [r1]
        mov     r1, r0
        ldr     r0, [lr]                        @ the sums so far
        ldr     r2, [lr, #4]
        ldr     r4, [lr, #8]
        ldr     r6, [lr, #12]
        ldr     r8, [lr, #16]
        ldr     r10, [lr, #20]
        ldr     r12, [lr, #24]
        ldr     lr, [lr, #28]

        @ Loads stand between the sums, so that none waits for the one before it.
2:
        vld20.8 {q0, q1}, [r1]
        vld21.8 {q0, q1}, [r1]!
        vldrb.u8 q2, [r3], #16                  @ position 0
        vshr.s8 q3, q0, #7                      @ -1 where the first's weight is negative
        vmladava.s8 r0, q2, q0
        vsub.i8 q1, q1, q3
        vldrb.u8 q3, [r5], #16                  @ position 1
        vmladava.s8 r2, q2, q1
        vmladava.s8 r4, q3, q0
        vldrb.u8 q2, [r7], #16                  @ position 2
        vmladava.s8 r6, q3, q1
        vmladava.s8 r8, q2, q0
        vldrb.u8 q3, [r9], #16                  @ position 3
        vmladava.s8 r10, q2, q1
        vmladava.s8 r12, q3, q0
        vmladava.s8 lr, q3, q1
        subs    r11, #1
        bne     2b

        ldr     r3, [sp]
        str     r0, [r3]
        str     r2, [r3, #4]
        str     r4, [r3, #8]
        str     r6, [r3, #12]
        str     r8, [r3, #16]
        str     r10, [r3, #20]
        str     r12, [r3, #24]
        str     lr, [r3, #28]
        pop     {r3-r11, lr}
