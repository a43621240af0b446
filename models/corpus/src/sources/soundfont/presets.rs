//! Which programs and kits a sound font has.

use anyhow::{Context, Result, ensure};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

/// A sound of a font.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Preset {
    /// Bank; 128 holds drum kits.
    pub bank: u16,
    /// Number in the bank.
    pub program: u16,
}

/// Bytes of a preset's header: 20 of its name, then program and bank, then what is of no use here.
const HEADER: usize = 38;

/// Reads the presets of the SoundFont 2 file at `path`, in the order of banks and programs.
///
/// # Errors
/// The file cannot be read or is no sound font.
pub fn read(path: &Path) -> Result<Vec<Preset>> {
    let read = || -> Result<Vec<Preset>> {
        let mut file = File::open(path)?;
        let mut riff = [0; 12];
        file.read_exact(&mut riff)?;
        ensure!(
            riff.starts_with(b"RIFF") && riff.ends_with(b"sfbk"),
            "no sound font"
        );
        let headers = find(&mut file)?.context("it has no presets")?;
        let mut presets: Vec<_> = headers
            .chunks_exact(HEADER)
            .map(|header| Preset {
                program: u16::from_le_bytes([header[20], header[21]]),
                bank: u16::from_le_bytes([header[22], header[23]]),
            })
            .collect();
        // The last one ends the list.
        presets.pop();
        presets.sort();
        Ok(presets)
    };
    read().with_context(|| format!("cannot read {}", path.display()))
}

/// Contents of the chunk `phdr` in the list `pdta`; `file` stands at the first chunk.
fn find(file: &mut File) -> Result<Option<Vec<u8>>> {
    let mut header = [0; 8];
    while file.read_exact(&mut header).is_ok() {
        let length = u32::from_le_bytes(header[4..].try_into().expect("four bytes"));
        match &header[..4] {
            b"LIST" => {
                let mut kind = [0; 4];
                file.read_exact(&mut kind)?;
                if &kind != b"pdta" {
                    file.seek(SeekFrom::Current(i64::from(length) - 4))?;
                }
            }
            b"phdr" => {
                let mut contents = Vec::new();
                file.take(length.into()).read_to_end(&mut contents)?;
                return Ok(Some(contents));
            }
            // Chunks fill even numbers of bytes.
            _ => {
                file.seek(SeekFrom::Current(i64::from(length + length % 2)))?;
            }
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(name: &[u8], contents: &[u8]) -> Vec<u8> {
        [name, &(contents.len() as u32).to_le_bytes(), contents].concat()
    }

    #[test]
    fn presets_are_found_behind_the_samples() {
        let header = |program: u16, bank: u16| {
            let mut header = vec![b'x'; HEADER];
            header[20..22].copy_from_slice(&program.to_le_bytes());
            header[22..24].copy_from_slice(&bank.to_le_bytes());
            header
        };
        let headers = [header(8, 128), header(3, 0), header(0, 128), header(9, 9)].concat();
        let samples = [&b"sdta"[..], &chunk(b"smpl", &[0; 64])].concat();
        let presets = [&b"pdta"[..], &chunk(b"phdr", &headers)].concat();
        let body = [
            &b"sfbk"[..],
            &chunk(b"LIST", &samples),
            &chunk(b"LIST", &presets),
        ]
        .concat();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.sf2");
        std::fs::write(&path, chunk(b"RIFF", &body)).unwrap();
        let found: Vec<_> = read(&path)
            .unwrap()
            .iter()
            .map(|p| (p.bank, p.program))
            .collect();
        assert_eq!(found, [(0, 3), (128, 0), (128, 8)]);
        std::fs::write(&path, b"RIFF....WAVE").unwrap();
        assert!(format!("{:#}", read(&path).unwrap_err()).contains("no sound font"));
    }
}
