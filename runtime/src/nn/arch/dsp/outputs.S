@ `outputs` of outputs.rs, which has the formulas: all pairs of output channels at four output
@ positions.
@
@ A step of the inner loop takes two values of four positions and two weights of two channels, 12
@ instructions for 16 products:
@
@                                     position 0    1      2      3
@                                       +------+------+------+------+
@   values, [r2], two in each word      |  r0  |  lr  |  r0  |  lr  |
@                                       +------+------+------+------+
@                 +-----------------+   +------+------+------+------+
@   weights       | r12 : first     | * |  r4  |  r5  |  r6  |  r7  |   sums `first`
@   [r1]          | r3  : both      | * |  r8  |  r9  | r10  | r11  |   sums `both`
@                 +-----------------+   +------+------+------+------+
@
@ Registers:
@   r0 lr       values of two positions             (r0, argument: `call`)
@   r1          the next weights
@   r2          the next values
@   r3          two weights as they are: 256 * second channel + first channel
@   r12         two weights of the first channel alone
@   r4 to r7    `first`, the sum of the first channel at each position
@   r8 to r11   `both`, `first` + 256 * the sum of the second channel since the last split
@
@ Once the sums are complete, r4 to r7 and r8 to r11 are the first and the second channel's sums, then
@ their int8 values.

@ The stack, from sp on:
        .equ    SEGMENT_END, 0          @ where in the values the segment ends
        .equ    RUN_END, 4              @ where in the values the run ends
        .equ    CALL, 8                 @ `call`
        .equ    SECOND, 12              @ sums of the second channel so far, four words
        .equ    STACK, 28               @ bytes of all these; then come the saved registers

@ The fields of `Outputs`; outputs.rs checks them.
        .equ    CALL_COLUMN, 0          @ a run: values, entry, end of the first segment, end
        .equ    CALL_CENTRE, 16         @ a run
        .equ    CALL_WEIGHTS, 32
        .equ    CALL_ADAPTER, 36
        .equ    CALL_BIAS, 40
        .equ    CALL_MULTIPLIERS, 44
        .equ    CALL_OUT, 48
        .equ    CALL_PAIRS, 52
        .equ    CALL_PRE, 56            @ then the zero point
        .equ    CALL_STRIDE, 64         @ then the residual's first multiplier
        .equ    CALL_RESIDUAL, 72       @ the residual's second multiplier, then its constant

@ `ROUND` and `SEGMENT` of outputs.rs.
        .equ    ROUND, 16               @ steps of a round
        .equ    SEGMENT, 15             @ rounds of a segment
        .equ    SEGMENT_BYTES, SEGMENT * ROUND * 16

@ A step: 12 instructions of four bytes each, which `STEP_BYTES` of outputs.rs relies on.
        .macro  step
        ldr.w   r3, [r1], #4                    @ both channels' weights
        sxtb16  r12, r3                         @ the first channel's
        ldrd    r0, lr, [r2], #8                @ positions 0 and 1
        smlad   r4, r0, r12, r4
        smlad   r8, r0, r3, r8
        smlad   r5, lr, r12, r5
        smlad   r9, lr, r3, r9
        ldrd    r0, lr, [r2], #8                @ positions 2 and 3
        smlad   r6, r0, r12, r6
        smlad   r10, r0, r3, r10
        smlad   r7, lr, r12, r7
        smlad   r11, lr, r3, r11
        .endm

@ Splits the sums: r8 to r11 become the second channel's so far, SECOND + (both - first >> 8).
@ Changes r0, r3, lr.
        .macro  split
        add     lr, sp, #SECOND
        sub     r8, r4
        sub     r9, r5
        sub     r10, r6
        sub     r11, r7
        ldrd    r0, r3, [lr]
        add     r8, r0, r8, asr #8
        add     r9, r3, r9, asr #8
        ldrd    r0, r3, [lr, #8]
        add     r10, r0, r10, asr #8
        add     r11, r3, r11, asr #8
        .endm

@ Adds the products of a run, whose fields are in r2, r3, r12 and lr, with the weights at r1. Moves r1
@ on; changes r0, r2, r3, r12, lr.
        .macro  add_run
        strd    r12, lr, [sp, #SEGMENT_END]
        adr.w   r12, .Lround\@
        add     r12, r3                         @ begin within the first round, so that
        bx      r12                             @ all rounds after it are whole
        .p2align 2
.Lround\@:
        .rept   ROUND
        step
        .endr
        ldrd    r0, r12, [sp, #SEGMENT_END]
        cmp     r2, r0
        bne.w   .Lround\@
        cmp     r2, r12
        beq     .Lrun_done\@
        add     r0, r2, #SEGMENT_BYTES          @ the next segment ends there, or with the run
        cmp     r0, r12
        it      hi
        movhi   r0, r12
        str     r0, [sp, #SEGMENT_END]
        split
        add     r0, sp, #SECOND
        stm     r0, {r8-r11}
        mov     r8, r4                          @ and `both` begins again from `first`
        mov     r9, r5
        mov     r10, r6
        mov     r11, r7
        b       .Lround\@
.Lrun_done\@:
        .endm

@ Turns a sum, shifted already, into an int8 value: zero point + (sum * multiplier + 2^31 >> 32).
@ r2 is the zero point.
        .macro  requantise_one sum, multiplier
        smmlar  \sum, \sum, \multiplier, r2
        ssat    \sum, #8, \sum
        .endm

@ Turns the sums of one channel into int8 values. r1 is `pre`, most often zero.
        .macro  requantise multiplier, s0, s1, s2, s3
        cbz     r1, .Lshifted\@
        lsl     \s0, \s0, r1
        lsl     \s1, \s1, r1
        lsl     \s2, \s2, r1
        lsl     \s3, \s3, r1
.Lshifted\@:
        requantise_one \s0, \multiplier
        requantise_one \s1, \multiplier
        requantise_one \s2, \multiplier
        requantise_one \s3, \multiplier
        .endm

@ Stores a value.
        .macro  store q, place
        strb    \q, \place
        .endm

@ Adds what is at \place to a value and stores the sum: r0, r1 and r2 are the residual's numbers.
        .macro  add_and_store q, place
        ldrsb   lr, \place
        mla     lr, lr, r1, r2
        mla     \q, \q, r0, lr
        ssat    \q, #8, \q, asr #20
        strb    \q, \place
        .endm

@ Does \store for each value and its place. r3 is that of the first channel at position 0; from one
@ position to the next it is r12 bytes. Changes r3.
        .macro  each_value store
        \store  r4, "[r3]"
        \store  r5, "[r3, r12]"
        \store  r6, "[r3, r12, lsl #1]"
        add     r3, r12
        \store  r7, "[r3, r12, lsl #1]"
        add     r3, #1                          @ the second channel, at position 1
        \store  r9, "[r3]"
        \store  r10, "[r3, r12]"
        \store  r11, "[r3, r12, lsl #1]"
        sub     r3, r12
        \store  r8, "[r3]"
        .endm

        push    {r4-r11, lr}
        sub     sp, #STACK
        str     r0, [sp, #CALL]

2:                                              @ a pair of channels
        @ The sums begin as the biases.
        ldr     r1, [r0, #CALL_BIAS]
        ldrd    r4, r8, [r1], #8
        str     r1, [r0, #CALL_BIAS]
        strd    r8, r8, [sp, #SECOND]
        strd    r8, r8, [sp, #SECOND + 8]
        mov     r5, r4
        mov     r6, r4
        mov     r7, r4
        mov     r8, r4
        mov     r9, r4
        mov     r10, r4
        mov     r11, r4

        @ Add the kernel's products.
        ldr     r1, [r0, #CALL_WEIGHTS]
        ldm     r0, {r2, r3, r12, lr}           @ CALL_COLUMN
        add_run
        ldr     r0, [sp, #CALL]
        str     r1, [r0, #CALL_WEIGHTS]

        @ Add the adapter's, if there is one.
        ldr     r1, [r0, #CALL_ADAPTER]
        cmp     r1, #0
        beq.w   3f
        add     r0, #CALL_CENTRE
        ldm     r0, {r2, r3, r12, lr}
        add_run
        ldr     r0, [sp, #CALL]
        str     r1, [r0, #CALL_ADAPTER]
3:
        split

        @ Turn the sums into int8 values.
        ldr     lr, [sp, #CALL]
        ldr     r3, [lr, #CALL_MULTIPLIERS]
        ldrd    r1, r2, [lr, #CALL_PRE]
        ldrd    r0, r12, [r3], #8
        str     r3, [lr, #CALL_MULTIPLIERS]
        requantise r0, r4, r5, r6, r7
        requantise r12, r8, r9, r10, r11

        @ Store them, with the residual if there is one.
        ldr     r3, [lr, #CALL_OUT]
        add     r12, r3, #2
        str     r12, [lr, #CALL_OUT]
        ldrd    r12, r0, [lr, #CALL_STRIDE]
        cbnz    r0, 4f
        each_value store
        b       5f
4:
        ldrd    r1, r2, [lr, #CALL_RESIDUAL]
        each_value add_and_store
5:

        @ Go on with the next pair.
        ldr     r0, [sp, #CALL]
        ldr     r1, [r0, #CALL_PAIRS]
        subs    r1, #1
        str     r1, [r0, #CALL_PAIRS]
        bne.w   2b
        add     sp, #STACK
        pop     {r4-r11, lr}

        .purgem step
        .purgem split
        .purgem add_run
        .purgem requantise
        .purgem requantise_one
        .purgem store
        .purgem add_and_store
        .purgem each_value
