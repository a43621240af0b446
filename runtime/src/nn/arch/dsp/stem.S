@ `widen_stem` of widen.rs: a row of a map of one channel, for four positions that lie two
@ values apart.
@
@ Pair k of position i is values 2 (k + i) and 2 (k + i) + 1 of the span, which is widened to eight
@ words r4 to r11. Each group that is written is four of them, one further on than the last:
@
@   span, [r1]   0 1    2 3    4 5    6 7    8 9   10 11  12 13  14 15
@              +------+------+------+------+------+------+------+------+
@   widened    |  r4  |  r5  |  r6  |  r7  |  r8  |  r9  | r10  | r11  |
@              +------+------+------+------+------+------+------+------+
@   pair 0      position 0   1      2      3
@   pair 1                   0      1      2      3
@   pair 2                          0      1      2      3
@   pair 3                                 0      1      2      3
@
@ Registers:
@   r0          the next word of `out`      (argument: `out`)
@   r1          the span                    (argument: `span`)
@   r2          pairs that are left         (argument: `pairs`)
@   r3          for a moment
@   r4 to r11   widened words
@
@ `widen_word` is in halves.S.

@ Reads and widens four values of the span.
        .macro  widen_span at, low, high
        ldr     \high, [r1, #\at]
        widen_word \low, \high, r3
        .endm

        push    {r4-r11}
        widen_span 0, r4, r5
        widen_span 4, r6, r7
        widen_span 8, r8, r9
        widen_span 12, r10, r11
        stm     r0!, {r4-r7}
        subs    r2, #1
        ble     2f
        stm     r0!, {r5-r8}
        subs    r2, #1
        ble     2f
        stm     r0!, {r6-r9}
        subs    r2, #1
        ble     2f
        stm     r0!, {r7-r10}
2:
        pop     {r4-r11}

        .purgem widen_span
        .purgem widen_word
