//! Recognises the format of a file by its first bytes.

/// Formats that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Container {
    Wav,
    Flac,
    Ogg,
    Mp3,
    /// AAC without a container, in ADTS frames.
    Adts,
    /// MPEG-4 and QuickTime: `.m4a`, `.mp4`, `.mov`, `.3gp`.
    Mp4,
    /// Matroska and WebM.
    Matroska,
    Aiff,
    Caf,
}

impl Container {
    /// Names it in messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Wav => "WAV",
            Self::Flac => "FLAC",
            Self::Ogg => "Ogg",
            Self::Mp3 => "MP3",
            Self::Adts => "ADTS",
            Self::Mp4 => "MPEG-4",
            Self::Matroska => "Matroska or WebM",
            Self::Aiff => "AIFF",
            Self::Caf => "CAF",
        }
    }

    /// Tells whether this build reads it.
    pub fn is_built_in(self) -> bool {
        match self {
            Self::Wav | Self::Flac | Self::Ogg | Self::Mp3 => true,
            Self::Adts | Self::Mp4 | Self::Matroska | Self::Aiff | Self::Caf => {
                cfg!(feature = "containers")
            }
        }
    }
}

/// Format of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// It is read.
    Read(Container),
    /// It holds sound, and is not read.
    Named(&'static str),
}

/// Number of bytes by which [`Kind::of`] tells all formats apart.
pub(super) const START: usize = 16;

impl Kind {
    /// Returns the format of the file that begins with `bytes`; `None` if it is not known.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        let at = |offset: usize, text: &[u8]| {
            bytes
                .get(offset..offset + text.len())
                .is_some_and(|found| found == text)
        };
        for container in [b"RIFF", b"RF64", b"BW64"] {
            if at(0, container) && at(8, b"WAVE") {
                return Some(Self::Read(Container::Wav));
            }
        }
        for kind in [&b"AIFF"[..], b"AIFC"] {
            if at(0, b"FORM") && at(8, kind) {
                return Some(Self::Read(Container::Aiff));
            }
        }
        // A file of QuickTime may begin with any of these.
        for atom in [&b"ftyp"[..], b"moov", b"mdat", b"wide"] {
            if at(4, atom) {
                return Some(Self::Read(Container::Mp4));
            }
        }
        let read: [(&[u8], Container); 5] = [
            (b"fLaC", Container::Flac),
            (b"OggS", Container::Ogg),
            (b"\x1a\x45\xdf\xa3", Container::Matroska),
            (b"caff", Container::Caf),
            (b"ID3", Container::Mp3),
        ];
        if let Some((_, container)) = read.iter().find(|(magic, _)| at(0, magic)) {
            return Some(Self::Read(*container));
        }
        if let Some((_, name)) = NAMED.iter().find(|(magic, _)| at(0, magic)) {
            return Some(Self::Named(name));
        }
        match bytes {
            // 12 bits of sync and a layer of 0.
            [0xff, b, ..] if b & 0xf6 == 0xf0 => Some(Self::Read(Container::Adts)),
            // MPEG audio frame: 11 bits of sync, then a version and a layer that exist.
            [0xff, b, ..] if b & 0xe0 == 0xe0 && b & 0x18 != 0x08 && b & 0x06 == 0x02 => {
                Some(Self::Read(Container::Mp3))
            }
            [0xff, b, ..] if b & 0xe0 == 0xe0 && b & 0x18 != 0x08 && b & 0x06 == 0x04 => {
                Some(Self::Named("MPEG layer II"))
            }
            _ => None,
        }
    }
}

/// First bytes of formats that hold sound and are not read.
pub(super) const NAMED: [(&[u8], &str); 20] = [
    (b"#!AMR", "AMR"),
    (b"#!SILK", "SILK"),
    (
        b"\x30\x26\xb2\x75\x8e\x66\xcf\x11",
        "Windows Media Audio (ASF)",
    ),
    (b".RMF", "RealMedia"),
    (b".snd", "AU"),
    (b"2BIT", "AVR"),
    (b"Creative Voice ", "VOC"),
    (b"DSD ", "DSD (DSF)"),
    (b"FRM8", "DSD (DSDIFF)"),
    (b"FORM", "IFF"),
    (b"MAC ", "Monkey's Audio"),
    (b"MP+", "Musepack"),
    (b"MPCK", "Musepack"),
    (b"NIST_1A", "NIST SPHERE"),
    (b"RIFX", "big-endian WAV (RIFX)"),
    (b"TTA", "True Audio"),
    (b"ajkg", "Shorten"),
    (b"riff\x2e\x91\xcf\x11", "Wave64"),
    (b"wvpk", "WavPack"),
    (b"\x0b\x77", "AC-3"),
];

/// Ends of the names of files that hold sound, read here or not.
const EXTENSIONS: [&str; 49] = [
    "3ga", "3gp", "aac", "ac3", "aif", "aifc", "aiff", "alac", "amr", "ape", "au", "awb", "bwf",
    "caf", "dff", "dsf", "dts", "eac3", "flac", "gsm", "m4a", "m4b", "m4r", "mka", "mogg", "mp2",
    "mp3", "mp4", "mpc", "mpga", "oga", "ogg", "opus", "qcp", "ra", "rf64", "shn", "snd", "sph",
    "spx", "tta", "voc", "w64", "wav", "wave", "weba", "webm", "wma", "wv",
];

/// Tells whether `extension` names sound.
pub(super) fn is_extension_of_sound(extension: &str) -> bool {
    let lower = extension.to_ascii_lowercase();
    EXTENSIONS.contains(&lower.as_str())
}

/// Shows the first bytes of a file: as text if they are text, otherwise in hexadecimal.
pub fn describe_start(start: &[u8]) -> String {
    let shown = &start[..start.len().min(8)];
    if shown.iter().all(|byte| (0x20..0x7f).contains(byte)) {
        format!("\"{}\"", String::from_utf8_lossy(shown))
    } else {
        let hex: Vec<_> = shown.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("the bytes {}", hex.join(" "))
    }
}
