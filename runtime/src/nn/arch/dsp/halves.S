@ Widens the four bytes b0 to b3 of a word to 16 bits: \low = b0, b1 and \high = b2, b3. The word
@ comes in \high; \t is changed.
        .macro  widen_word low, high, t
        sxtb16  \t, \high                       @ b0, b2
        sxtb16  \high, \high, ror #8            @ b1, b3
        pkhbt   \low, \t, \high, lsl #16        @ b0, b1
        pkhtb   \high, \high, \t, asr #16       @ b2, b3
        .endm
