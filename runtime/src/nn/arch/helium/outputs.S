@ `outputs` of outputs.rs: all channels at four output positions, two channels at a time.
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
@ Registers while it sums:
@   r0 r2 r4 ... r12 lr   sums, which VMLADAVA wants in even registers
@   r1                    the next weights
@   r3 r5 r7 r9           the next values of each position
@   r11                   steps that are left
@   q0 q1                 weights
@   q2 q3                 values
@   q5 q6                 least and greatest result of the requantisation
@   q7                    bytes from `out` to the pair's first value at each position
@
@ Registers while it finishes a pair:
@   q0 q1                 sums, then values, of the first and the second channel; a lane for each position
@   r0 r2                 shift, zero point
@   r3 r4                 `out`, one byte further
@   r5                    the end of the weights
@   r6                    the residual, or null
@   r12                   2
@   r7 r8                 multipliers
@
@ Stack: 0 `call`, 4 whether there is more than whole steps of one run, 8 the next biases, 12 the next
@ multipliers, 16 the next weights, 20 the next of the adapter or null, 24 saved registers.

@ Adds the products of sixteen values.
        .macro  step
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
        .endm

@ Adds the products of all but the first r11 of the sixteen values that end a run. The first ones were
@ counted before: it goes back by so many.
        .macro  last_step
        sub     r1, r1, r11, lsl #1
        subs    r3, r3, r11
        subs    r5, r5, r11
        subs    r7, r7, r11
        sub     r9, r9, r11
        vld20.8 {q0, q1}, [r1]
        vld21.8 {q0, q1}, [r1]!
        vctp.8  r11
        vpnot
        vshr.s8 q3, q0, #7
        vldrb.u8 q2, [r3]
        vsub.i8 q1, q1, q3
        vldrb.u8 q3, [r5]
        vpstttt
        vmladavat.s8 r0, q2, q0
        vmladavat.s8 r2, q2, q1
        vmladavat.s8 r4, q3, q0
        vmladavat.s8 r6, q3, q1
        vldrb.u8 q2, [r7]
        vldrb.u8 q3, [r9]
        vpstttt
        vmladavat.s8 r8, q2, q0
        vmladavat.s8 r10, q2, q1
        vmladavat.s8 r12, q3, q0
        vmladavat.s8 lr, q3, q1
        .endm

@ Adds the residual to the values of a channel: from what is at \out.
        .macro  residual values, out
        vldrb.s32 q2, [\out, q7]
        vmul.i32 q2, q2, r8
        vmla.i32 q2, \values, r7
        vadd.i32 q2, q2, r9
        vshr.s32 q2, q2, #20
        vadd.i32 \values, q2, r10
        .endm

        push    {r4-r11, lr}
        vpush   {d8-d15}
        sub     sp, #24
        str     r0, [sp]
        add     r1, r0, #48
        vldrw.u32 q7, [r1]
        add     r1, r0, #64
        ldm     r1, {r2-r8}
        strd    r2, r3, [sp, #4]
        strd    r4, r5, [sp, #12]
        str     r6, [sp, #20]
        vdup.32 q5, r7
        vdup.32 q6, r8

2:      @ A pair of channels.
        ldr     r11, [sp, #8]                   @ both biases, for all positions
        ldrd    r0, r2, [r11], #8
        str     r11, [sp, #8]
        ldr     r11, [sp]
        ldr     r1, [sp, #16]
        mov     r4, r0
        mov     r6, r2
        mov     r8, r0
        mov     r10, r2
        mov     r12, r0
        mov     lr, r2
        ldm     r11, {r3, r5, r7, r9, r11}
3:
        step
        subs    r11, #1
        bne     3b

        ldr     r11, [sp, #4]
        cmp     r11, #0
        bne     7f
        str     r1, [sp, #16]
5:      @ All products are in the sums.
        vmov    q0[2], q0[0], r0, r8
        vmov    q0[3], q0[1], r4, r12
        vmov    q1[2], q1[0], r2, r10
        vmov    q1[3], q1[1], r6, lr
        ldr     r9, [sp, #12]
        ldr     lr, [sp]
        ldrd    r7, r8, [r9], #8
        str     r9, [sp, #12]
        add     lr, lr, #92
        ldm     lr, {r0, r2-r6, r12}
        vdup.32 q2, r7
        vshl.s32 q0, r0
        vdup.32 q3, r8
        vshl.s32 q1, r0
        vrmulh.s32 q0, q0, q2
        vrmulh.s32 q1, q1, q3
        vadd.i32 q0, q0, r2
        vadd.i32 q1, q1, r2
        vmax.s32 q0, q0, q5
        vmax.s32 q1, q1, q5
        vmin.s32 q0, q0, q6
        vmin.s32 q1, q1, q6
        cmp     r6, #0
        bne     10f
6:
        vstrb.32 q0, [r3, q7]
        vstrb.32 q1, [r4, q7]
        vadd.i32 q7, q7, r12
        cmp     r1, r5
        bne     2b
        b       11f

7:      @ What whole steps of the first run leave.
        ldr     r11, [sp]
        ldr     r11, [r11, #20]
        cmp     r11, #0
        beq     8f
        last_step
8:
        str     r1, [sp, #16]
        ldr     r1, [sp, #20]
        cmp     r1, #0
        beq     9f
        ldr     r11, [sp]                       @ the adapter
        add     r11, r11, #24
        ldm     r11, {r3, r5, r7, r9, r11}
8:
        step
        subs    r11, #1
        bne     8b
        ldr     r11, [sp]
        ldr     r11, [r11, #44]
        cmp     r11, #0
        beq     8f
        last_step
8:
        str     r1, [sp, #20]
9:
        ldr     r1, [sp, #16]
        b       5b

10:     @ A residual.
        ldm     r6, {r7-r11, lr}
        residual q0, r3
        residual q1, r4
        vdup.32 q2, r11
        vdup.32 q3, lr
        vmax.s32 q0, q0, q2
        vmax.s32 q1, q1, q2
        vmin.s32 q0, q0, q3
        vmin.s32 q1, q1, q3
        b       6b

11:
        add     sp, #24
        vpop    {d8-d15}
        pop     {r4-r11, lr}

        .purgem step
        .purgem last_step
        .purgem residual
