@ `run` of depthwise.rs: a depthwise convolution at one output position, eight channels at a time.
@
@ VLDRB.S16 widens eight bytes of values and of weights. VMULLB multiplies the even ones of them, VMULLT
@ the odd ones. VRMULH is product, rounding and shift of a requantisation:
@
@   values    q2 |  0  1  2  3  4  5  6  7  |
@   weights * q3 |  0  1  2  3  4  5  6  7  |
@                +--------------------------+
@   sums      q0 |  0     2     4     6     |
@             q1 |     1     3     5     7  |
@
@ Registers:
@   r0             the first channel of the step       (argument: `call`)
@   r1 r2          weights of the first place, bytes to the next
@   r3 r4 lr       the next place, the end of the places, their start
@   r5             `out`
@   r6 r7          values and weights of a place, which VLDRB.S16 wants in low registers
@   r8             number of channels
@   r9 r10         shift, zero point
@   r11 r12        the next biases and multipliers
@   q0 q1          sums
@   q2 q3          values and weights, then multipliers
@   q4 q5          products
@   q6 q7          least and greatest result

        push    {r4-r11, lr}
        vpush   {d8-d15}
        ldm     r0!, {r1-r10}
        ldm     r0, {r11, r12}
        vdup.32 q6, r11
        vdup.32 q7, r12
        mov     r11, r6
        mov     r12, r7
        mov     lr, r3
        movs    r0, #0
2:      @ A step.
        vld20.32 {q0, q1}, [r11]
        vld21.32 {q0, q1}, [r11]!
        mov     r3, lr
        add     r7, r1, r0
3:      @ A place.
        ldr     r6, [r3], #4
        add     r6, r6, r0
        vldrb.s16 q2, [r6]
        vldrb.s16 q3, [r7]
        add     r7, r7, r2
        vmullb.s16 q4, q2, q3
        vmullt.s16 q5, q2, q3
        vadd.i32 q0, q0, q4
        vadd.i32 q1, q1, q5
        cmp     r3, r4
        bne     3b

        vld20.32 {q2, q3}, [r12]
        vld21.32 {q2, q3}, [r12]!
        vshl.s32 q0, r9
        vshl.s32 q1, r9
        vrmulh.s32 q0, q0, q2
        vrmulh.s32 q1, q1, q3
        vadd.i32 q0, q0, r10
        vadd.i32 q1, q1, r10
        vmax.s32 q0, q0, q6
        vmax.s32 q1, q1, q6
        vmin.s32 q0, q0, q7
        vmin.s32 q1, q1, q7
        vmovnt.i32 q0, q1
        vstrb.16 q0, [r5], #8
        adds    r0, #8
        cmp     r0, r8
        bne     2b
        vpop    {d8-d15}
        pop     {r4-r11, lr}
