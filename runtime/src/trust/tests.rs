//! The vectors of RFC 8032, and the order of the checks.

use super::*;

fn bytes(digits: &str) -> Vec<u8> {
    let pairs = digits.as_bytes().chunks(2);
    pairs
        .map(|pair| u8::from_str_radix(core::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

/// Section 7.1, tests 1, 2, 3 and SHA(abc): public key, message, signature.
const RFC_8032: [[&str; 3]; 4] = [
    [
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555\
         fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ],
    [
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da\
         085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ],
    [
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac\
         18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ],
    [
        "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
        "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
         2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
        "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b589\
         09351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704",
    ],
];

#[test]
fn signatures_of_rfc_8032_are_valid_and_no_others() {
    for (index, [key, message, signature]) in RFC_8032.into_iter().enumerate() {
        let trusted = TrustedKey::from_hex(key).unwrap();
        let mut message = bytes(message);
        let signature: [u8; 64] = bytes(signature).try_into().unwrap();
        assert!(trusted.signed(&message, &signature), "{index}");
        for at in 0..signature.len() {
            for bit in [0, 3, 7] {
                let mut changed = signature;
                changed[at] ^= 1 << bit;
                assert!(!trusted.signed(&message, &changed), "{index}, byte {at}");
            }
        }
        message.push(0);
        assert!(!trusted.signed(&message, &signature), "{index}");
        let [other, ..] = RFC_8032[(index + 1) % RFC_8032.len()];
        let other = TrustedKey::from_hex(other).unwrap();
        message.pop();
        assert!(!other.signed(&message, &signature), "{index}");
    }
}

/// A key whose multiples are few fits signatures of everyone; and a second form of a signature is none.
#[test]
fn weak_keys_and_second_forms_are_refused() {
    for weak in [[0; 32], [0xff; 32], {
        let mut neutral = [0; 32];
        neutral[0] = 1;
        neutral
    }] {
        let mut forged = [0; 64];
        forged[0] = 1;
        assert!(!TrustedKey::new(weak).signed(b"anything", &forged));
    }
    // The same signature with the group's order added to its second half.
    let [key, message, signature] = RFC_8032[1];
    let order = bytes("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
    let mut second: [u8; 64] = bytes(signature).try_into().unwrap();
    let mut carry = 0;
    for (byte, add) in second[32..].iter_mut().zip(order) {
        carry += u16::from(*byte) + u16::from(add);
        *byte = carry as u8;
        carry >>= 8;
    }
    assert!(
        !TrustedKey::from_hex(key)
            .unwrap()
            .signed(&bytes(message), &second)
    );
}

#[test]
fn keys_are_read_from_digits() {
    let [digits, ..] = RFC_8032[0];
    let key = TrustedKey::from_hex(digits).unwrap();
    assert_eq!(key.as_bytes()[..], bytes(digits)[..]);
    assert_eq!(key.to_string(), digits);
    assert_eq!(TrustedKey::from_hex(&digits.to_uppercase()), Some(key));
    for wrong in ["", &digits[1..], &digits[2..], &digits.replace('d', "g")] {
        assert_eq!(TrustedKey::from_hex(wrong), None, "{wrong}");
    }
    assert_eq!(TrustedKey::from_hex(&format!("{digits}00")), None);
}
