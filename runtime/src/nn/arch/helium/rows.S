@ `add_rows` of rows.rs: products of one input with four rows of weights.
@
@ A step takes sixteen values of the input and sixteen weights of each row. VMLADAVA adds all sixteen
@ products to a sum.
@
@ The tile:
@                                input, [r0]
@                             +--------------+
@                             |      q0      |
@                +------------+--------------+     +---------+
@   row 0, [r1]  |                   q1      | --> | sum r4  |
@   row 1, [r5]  |   weights         q2      | --> | sum r6  |
@   row 2, [r7]  |                   q3      | --> | sum r8  |
@   row 3, [r9]  |                   q1      | --> | sum r10 |
@                +---------------------------+     +---------+
@
@ Registers:
@   r0               the next values of the input     (argument: `x`)
@   r1 r5 r7 r9      the next weights of each row     (r1, argument: `places`)
@   r2               steps that are left              (argument: `steps`)
@   r4 r6 r8 r10     the sum of each row, which VMLADAVA wants in even registers
@   q0               values of the input
@   q1 to q3         weights
@
@ Stack: 0 `sums` (argument r3), 4 the saved r4 to r11 and lr.

@ Adds sixteen products of one row.
        .macro  add_row sum, place, weights
        vldrb.u8 \weights, [\place], #16
        vmladava.s8 \sum, q0, \weights
        .endm

        push    {r3-r11, lr}
        ldrd    r4, r6, [r3]                    @ the sums so far
        ldrd    r8, r10, [r3, #8]
        ldrd    r7, r9, [r1, #8]                @ the rows
        ldrd    r1, r5, [r1]
2:
        vldrb.u8 q0, [r0], #16
        add_row r4, r1, q1
        add_row r6, r5, q2
        add_row r8, r7, q3
        add_row r10, r9, q1
        subs    r2, #1
        bne     2b
        ldr     r3, [sp]
        strd    r4, r6, [r3]
        strd    r8, r10, [r3, #8]
        pop     {r3-r11, lr}

        .purgem add_row
