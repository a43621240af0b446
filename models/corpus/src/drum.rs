//! Names of drums, the same for every kit.

/// Returns the drum that a kit calls `name`; `None` if that does not say which one.
pub fn by_name(name: &str) -> Option<String> {
    let name = Name::of(name);
    let drum = if name.says(&["hh", "hat", "hihat", "chh", "ohh", "hats"]) || name.has("hihat") {
        hihat(&name)?
    } else if name.has("rimshot") {
        "snare_rimshot"
    } else if name.says(&["stick", "sidestick", "rim", "rimclick"]) {
        "side_stick"
    } else if name.says(&["snare", "snares"]) {
        if name.says(&["roll"]) {
            "snare_roll"
        } else {
            "snare"
        }
    } else if name.says(&["kick", "bassdrum", "bd"]) || name.has("bass drum") {
        "kick"
    } else if name.has("tom") {
        tom(&name)?
    } else if name.says(&["ride"]) {
        ride(&name)?
    } else if name.says(&["crash"]) || name.has("crash") {
        "crash"
    } else if name.says(&["china", "chinese"]) {
        "china"
    } else if name.says(&["djembe"]) {
        // Its strokes differ as much as drums do.
        let strokes = ["slap", "tone", "bass"];
        let mut words = name.words.iter();
        let stroke = words.find(|word| strokes.contains(&word.as_str()))?;
        return Some(format!("djembe_{stroke}"));
    } else {
        return percussion(&name);
    };
    Some(drum.to_owned())
}

/// A name in lower case.
struct Name {
    text: String,
    /// Its words without the numbers behind them.
    words: Vec<String>,
}

impl Name {
    fn of(name: &str) -> Self {
        // What stands in parentheses says who made it.
        let before = name.split_once('(').map_or(name, |(before, _)| before);
        let text = before
            .to_lowercase()
            .replace("hi-hat", "hihat")
            .replace("hi hat", "hihat");
        let words = text
            .split(|c: char| !c.is_alphanumeric())
            .map(|word| word.trim_end_matches(|c: char| c.is_ascii_digit()))
            .filter(|word| !word.is_empty())
            .map(str::to_owned)
            .collect();
        Self { text, words }
    }

    /// Whether one of its words is one of `any`.
    fn says(&self, any: &[&str]) -> bool {
        self.words.iter().any(|word| any.contains(&word.as_str()))
    }

    /// Whether it holds `part`, words run together included, as in "tomhi".
    fn has(&self, part: &str) -> bool {
        self.text.contains(part)
    }
}

fn hihat(name: &Name) -> Option<&'static str> {
    if name.says(&["pedal", "pd", "foot"]) {
        Some("hihat_pedal")
    } else if name.says(&["semi", "semiopen", "half"]) {
        Some("hihat_half")
    } else if name.says(&["open", "opened", "op", "ohh"]) {
        Some("hihat_open")
    } else if name.says(&["closed", "cl", "close", "chh"]) {
        Some("hihat_closed")
    } else {
        None
    }
}

fn tom(name: &Name) -> Option<&'static str> {
    if name.says(&["floor", "low"]) {
        Some("tom_low")
    } else if name.says(&["mid", "middle"]) {
        Some("tom_mid")
    } else if name.says(&["high", "hi"]) || name.has("tomhi") {
        Some("tom_high")
    } else {
        None
    }
}

fn ride(name: &Name) -> Option<&'static str> {
    if name.says(&["crash"]) {
        None
    } else if name.says(&["bell", "cup"]) {
        Some("ride_bell")
    } else {
        Some("ride")
    }
}

/// Returns the instrument that needs no more than its own word, and whether it is the high or the low one.
fn percussion(name: &Name) -> Option<String> {
    const INSTRUMENTS: [&str; 15] = [
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
    let instrument = INSTRUMENTS
        .iter()
        .find(|instrument| name.says(&[instrument, instrument.trim_end_matches('s')]))?;
    let pitch = if name.says(&["high", "hi"]) {
        "_high"
    } else if name.says(&["low", "lo"]) {
        "_low"
    } else {
        ""
    };
    Some(format!("{instrument}{pitch}"))
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
