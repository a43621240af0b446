//! Names of drums, the same for every kit.

/// The drum that a kit calls `name`; `None` if that does not say which one.
pub fn by_name(name: &str) -> Option<String> {
    // What stands in parentheses says who made it.
    let name = match name.split_once('(') {
        Some((before, _)) => before,
        None => name,
    }
    .to_lowercase()
    .replace("hi-hat", "hihat")
    .replace("hi hat", "hihat");
    let words: Vec<&str> = name
        .split(|c: char| !c.is_alphanumeric())
        .map(|word| word.trim_end_matches(|c: char| c.is_ascii_digit()))
        .filter(|word| !word.is_empty())
        .collect();
    let says = |any: &[&str]| words.iter().any(|word| any.contains(word));
    // With words run together, as in "tomhi".
    let has = |part: &str| name.contains(part);

    let drum = if says(&["hh", "hat", "hihat", "chh", "ohh", "hats"]) || has("hihat") {
        if says(&["pedal", "pd", "foot"]) {
            "hihat_pedal"
        } else if says(&["semi", "semiopen", "half"]) {
            "hihat_half"
        } else if says(&["open", "opened", "op", "ohh"]) {
            "hihat_open"
        } else if says(&["closed", "cl", "close", "chh"]) {
            "hihat_closed"
        } else {
            return None;
        }
    } else if has("rimshot") {
        "snare_rimshot"
    } else if says(&["stick", "sidestick", "rim", "rimclick"]) {
        "side_stick"
    } else if says(&["snare", "snares"]) {
        if says(&["roll"]) {
            "snare_roll"
        } else {
            "snare"
        }
    } else if says(&["kick", "bassdrum", "bd"]) || has("bass drum") {
        "kick"
    } else if has("tom") {
        if says(&["floor", "low"]) {
            "tom_low"
        } else if says(&["mid", "middle"]) {
            "tom_mid"
        } else if says(&["high", "hi"]) || has("tomhi") {
            "tom_high"
        } else {
            return None;
        }
    } else if says(&["ride"]) {
        if says(&["crash"]) {
            return None;
        } else if says(&["bell", "cup"]) {
            "ride_bell"
        } else {
            "ride"
        }
    } else if says(&["crash"]) || has("crash") {
        "crash"
    } else if says(&["china", "chinese"]) {
        "china"
    } else if says(&["djembe"]) {
        // Its strokes differ as much as drums do.
        let strokes = ["slap", "tone", "bass"];
        let stroke = words.iter().find(|word| strokes.contains(word))?;
        return Some(format!("djembe_{stroke}"));
    } else {
        let plain = [
            "splash",
            "cowbell",
            "tambourine",
            "clap",
            "maracas",
            "claves",
            "shaker",
            "whistle",
            "conga",
            "bongo",
            "agogo",
            "triangle",
            "cabasa",
            "guiro",
            "castanets",
        ];
        let high = match () {
            () if says(&["high", "hi"]) => "_high",
            () if says(&["low", "lo"]) => "_low",
            () => "",
        };
        let drum = plain.iter().find(|drum| {
            let singular = drum.trim_end_matches('s');
            says(&[drum, singular])
        })?;
        return Some(format!("{drum}{high}"));
    };
    Some(drum.to_owned())
}

/// First note that [`by_note`] names.
pub const FIRST_NOTE: u8 = 27;

/// Drums of the General MIDI percussion map with Roland's extensions, from [`FIRST_NOTE`] on.
const NOTES: [&str; 61] = [
    "high_q",
    "slap",
    "scratch_push",
    "scratch_pull",
    "sticks",
    "square_click",
    "metronome_click",
    "metronome_bell",
    "kick",
    "kick",
    "side_stick",
    "snare",
    "clap",
    "snare",
    "tom_low",
    "hihat_closed",
    "tom_low",
    "hihat_pedal",
    "tom_mid",
    "hihat_open",
    "tom_mid",
    "tom_high",
    "crash",
    "tom_high",
    "ride",
    "china",
    "ride_bell",
    "tambourine",
    "splash",
    "cowbell",
    "crash",
    "vibraslap",
    "ride",
    "bongo_high",
    "bongo_low",
    "conga_mute",
    "conga_high",
    "conga_low",
    "timbale_high",
    "timbale_low",
    "agogo_high",
    "agogo_low",
    "cabasa",
    "maracas",
    "whistle_short",
    "whistle_long",
    "guiro_short",
    "guiro_long",
    "claves",
    "wood_block_high",
    "wood_block_low",
    "cuica_mute",
    "cuica_open",
    "triangle_mute",
    "triangle_open",
    "shaker",
    "jingle_bell",
    "bell_tree",
    "castanets",
    "surdo_mute",
    "surdo_open",
];

/// The drum of a note of a kit of General MIDI; `None` for notes outside the map, and where the
/// orchestra's kit has another instrument.
pub fn by_note(kit: u16, note: u8) -> Option<&'static str> {
    let drum = *NOTES.get(usize::from(note.checked_sub(FIRST_NOTE)?))?;
    match (kit, note) {
        (ORCHESTRA, 41..=53) => Some("timpani"),
        (ORCHESTRA, 27) => Some("hihat_closed"),
        (ORCHESTRA, 28) => Some("hihat_pedal"),
        (ORCHESTRA, 29) => Some("hihat_open"),
        (ORCHESTRA, 30) => Some("ride"),
        (ORCHESTRA, ..60) => None,
        _ => Some(drum),
    }
}

const ORCHESTRA: u16 = 48;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kits_names_become_one() {
        for (name, drum) in [
            ("Kick (Tama Superstar 22\")", "kick"),
            ("BassDrum", "kick"),
            ("c3 - bass drum 1", "kick"),
            ("VariBreaks Kick 3", "kick"),
            ("Snare Jazz", "snare"),
            ("Snare1", "snare"),
            ("d3 - snare ", "snare"),
            ("Snare Roll", "snare_roll"),
            (
                "Snare Rimshot (Pearl Free Floating Maple 14x3.5)",
                "snare_rimshot",
            ),
            ("Stick", "side_stick"),
            ("Rim Click (Pearl)", "side_stick"),
            ("Closed HH", "hihat_closed"),
            ("Hi Hat Closed", "hihat_closed"),
            ("f#3 - hi-hat closed", "hihat_closed"),
            ("VariBreaks Hat 2 Cl", "hihat_closed"),
            ("Hi Hat Opened", "hihat_open"),
            ("Side OHH", "hihat_open"),
            ("Hi-Hat Semiopen (Paiste)", "hihat_half"),
            ("Pedal HH", "hihat_pedal"),
            ("Tom Low", "tom_low"),
            ("Floor Tom", "tom_low"),
            ("c4 - middle tom", "tom_mid"),
            ("Tom Hi", "tom_high"),
            ("tomhi2", "tom_high"),
            ("Ride Rock", "ride"),
            ("Ride Bell (Custom, Zagrebin 22\")", "ride_bell"),
            ("ride-cup", "ride_bell"),
            ("Crash Left", "crash"),
            ("crash16inch", "crash"),
            ("Splash (Paiste Rude 10\")", "splash"),
            ("China (Paiste Alpha 18\")", "china"),
            ("Cowbell", "cowbell"),
            ("Hand Clap", "clap"),
            ("Clap 2", "clap"),
            ("Agogo Low (Pearl ECB-23)", "agogo_low"),
            ("Conga 1", "conga"),
            ("Maraca", "maracas"),
            ("Djembe3 Slap", "djembe_slap"),
        ] {
            assert_eq!(by_name(name).as_deref(), Some(drum), "{name}");
        }
        for name in [
            "",
            "17",
            "Sample: beats_08-37.flac",
            "FX",
            "Drum 2",
            "Hat Low",
            "Tom",
            "Crash/Ride (Paiste)",
            "Sangban1 Bell Hit",
        ] {
            assert_eq!(by_name(name), None, "{name}");
        }
    }

    #[test]
    fn notes_are_those_of_general_midi() {
        for (note, drum) in [
            (35, "kick"),
            (38, "snare"),
            (42, "hihat_closed"),
            (49, "crash"),
            (56, "cowbell"),
            (60, "bongo_high"),
            (75, "claves"),
            (81, "triangle_open"),
            (87, "surdo_open"),
        ] {
            assert_eq!(by_note(0, note), Some(drum));
        }
        assert_eq!((by_note(0, 26), by_note(0, 88)), (None, None));
        assert_eq!((by_note(48, 45), by_note(48, 38)), (Some("timpani"), None));
    }
}
