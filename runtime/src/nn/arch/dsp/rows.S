@ `add_rows` of rows.rs: products of one input with four rows of weights.
@
@ A step takes four values of the input and four weights of each row. SXTB16 widens the bytes 0 and 2
@ of a word to 16 bits, and with `ror #8` the bytes 1 and 3. It does so alike for weights and input,
@ so each half meets its own: 25 instructions for 16 products.
@
@ The tile:
@                                  input, [r0]
@                            +---------+---------+
@                            | 0 and 2 | 1 and 3 |
@                            |   r8    |   r9    |
@                +-----------+---------+---------+     +--------+
@   row 0, [r1]  |                               | --> | sum r4 |
@   row 1, [r2]  |   weights   r10       r11     | --> | sum r5 |
@   row 2, [r3]  |                               | --> | sum r6 |
@   row 3, [r12] |                               | --> | sum r7 |
@                +-------------------------------+     +--------+
@
@ Registers:
@   r0             the next values of the input        (argument: `x`)
@   r1 r2 r3 r12   the next weights of each row        (r1: `places`, r2: `steps`, r3: `sums`)
@   r4 to r7       the sum of each row
@   r8 r9          values of the input
@   r10 r11        weights
@   lr             the end of the input
@
@ Stack: 0 `sums`, 4 the saved r4 to r11 and lr.

@ Adds four products of one row.
        .macro  add_row sum, place
        ldr     r11, [\place], #4
        sxtb16  r10, r11
        sxtb16  r11, r11, ror #8
        smlad   \sum, r8, r10, \sum
        smlad   \sum, r9, r11, \sum
        .endm

        push    {r3-r11, lr}
        add     lr, r0, r2, lsl #2
        ldm     r3, {r4-r7}                     @ the sums so far
        ldm     r1, {r1, r2, r3, r12}           @ the rows
2:
        ldr     r9, [r0], #4
        sxtb16  r8, r9
        sxtb16  r9, r9, ror #8
        add_row r4, r1
        add_row r5, r2
        add_row r6, r3
        add_row r7, r12
        cmp     r0, lr
        bne     2b
        ldr     r3, [sp]
        stm     r3, {r4-r7}
        pop     {r3-r11, lr}

        .purgem add_row
