//! Standard MIDI files: one note after the other.

/// A note of some program.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Note {
    /// Program, or kit on the channel of drums.
    pub program: u8,
    /// Number of the key; 60 is middle C.
    pub key: u8,
    /// Velocity, 1 to 127.
    pub force: u8,
    /// Time for which the key is held.
    pub seconds: f64,
}

/// Channel that plays drums.
pub const DRUMS: u8 = 9;

/// Ticks a second, at 120 beats a minute, which is what a file has that does not say.
const TICKS: f64 = 960.0;

/// Writes a file that plays `notes` on `channel`, each `slot` seconds after the one before, and
/// ends a slot after the last.
pub fn score(channel: u8, slot: f64, notes: impl Iterator<Item = Note>) -> Vec<u8> {
    let mut track = Vec::new();
    let mut now = 0;
    let mut at = |seconds: f64, event: &[u8]| {
        let tick = (seconds * TICKS).round() as u32;
        variable_length(tick - now, &mut track);
        now = tick;
        track.extend_from_slice(event);
    };
    let mut start = 0.0;
    for note in notes {
        at(start, &[0xc0 | channel, note.program]);
        at(start, &[0x90 | channel, note.key, note.force]);
        let end = start + note.seconds.min(slot - 0.01);
        at(end, &[0x80 | channel, note.key, 0]);
        start += slot;
        // What still rings must not be heard in the next slot: "all sound off".
        at(start, &[0xb0 | channel, 120, 0]);
    }
    at(start, &[0xff, 0x2f, 0]);

    let mut file = b"MThd\0\0\0\x06\0\0\0\x01".to_vec();
    let ticks_a_beat = (TICKS / 2.0) as u16;
    file.extend_from_slice(&ticks_a_beat.to_be_bytes());
    file.extend_from_slice(b"MTrk");
    file.extend_from_slice(&(track.len() as u32).to_be_bytes());
    file.extend_from_slice(&track);
    file
}

/// Seven bits a byte, the highest first; all but the last byte have their top bit set.
fn variable_length(value: u32, bytes: &mut Vec<u8>) {
    for shift in [21, 14, 7] {
        if value >> shift > 0 {
            bytes.push((value >> shift) as u8 & 0x7f | 0x80);
        }
    }
    bytes.push(value as u8 & 0x7f);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_as_the_standard_writes_them() {
        for (value, written) in [
            (0, &[0][..]),
            (0x7f, &[0x7f]),
            (0x80, &[0x81, 0]),
            (0x3fff, &[0xff, 0x7f]),
            (0x4000, &[0x81, 0x80, 0]),
            (0x0fff_ffff, &[0xff, 0xff, 0xff, 0x7f]),
        ] {
            let mut bytes = Vec::new();
            variable_length(value, &mut bytes);
            assert_eq!(bytes, written);
        }
    }

    #[test]
    fn a_score_is_a_file_of_one_track() {
        let note = Note {
            program: 40,
            key: 60,
            force: 100,
            seconds: 0.5,
        };
        let file = score(
            0,
            1.0,
            [
                note,
                Note {
                    seconds: 9.0,
                    ..note
                },
            ]
            .into_iter(),
        );
        assert_eq!(&file[..14], b"MThd\0\0\0\x06\0\0\0\x01\x01\xe0");
        assert_eq!(file[18..22], ((file.len() - 22) as u32).to_be_bytes());
        // At once: the program, then the key; 480 ticks later its end, and 480 on silence.
        let start = [
            0, 0xc0, 40, 0, 0x90, 60, 100, 0x83, 0x60, 0x80, 60, 0, 0x83, 0x60, 0xb0, 120, 0,
        ];
        assert_eq!(file[22..22 + start.len()], start);
        assert!(file.ends_with(&[0, 0xff, 0x2f, 0]));
    }
}
