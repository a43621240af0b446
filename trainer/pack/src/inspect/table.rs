//! Writes an inspection as text: facts line by line, then a table of operators.

use super::{FlashParts, Inspection, Part, Signature};
use mtslvr_runtime::fewshot::REFERENCE_TAILS;
use std::fmt;

impl fmt::Display for Inspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.origin(f)?;
        self.sizes(f)?;
        self.frontend_line(f)?;
        self.embedding(f)?;
        self.operator_table(f)?;
        if let Some(plan) = &self.memory_plan {
            write!(f, "\n{plan}")?;
        }
        Ok(())
    }
}

/// Writes the key, and what is known about it.
impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let trusted = match self.trusted {
            Some(true) => "trusted",
            Some(false) => "not trusted",
            None => "not verified: give --trusted-key",
        };
        write!(f, "the key {}  ({trusted})", self.key)
    }
}

impl Inspection {
    /// Writes name, provenance and hash, as far as the model has them.
    fn origin(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.name.is_empty() {
            writeln!(f, "name        {}", self.name)?;
        }
        for (index, line) in self.provenance.lines().enumerate() {
            writeln!(f, "{:<12}{line}", label(index, "provenance"))?;
        }
        if let Some(hash) = &self.hash {
            let verified = match hash.verified {
                true => "",
                false => "  (the contents have another one)",
            };
            writeln!(f, "hash        {}{verified}", hash.stated)?;
        }
        if let Some(counter) = self.version_counter {
            writeln!(f, "version     {counter}")?;
        }
        if let Some(signature) = &self.signature {
            writeln!(f, "signed by   {signature}")?;
        }
        Ok(())
    }

    /// Writes the bytes of flash and RAM and the number of multiply-accumulates.
    fn sizes(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let FlashParts {
            weights,
            adapters,
            tables,
            other,
        } = self.flash;
        writeln!(
            f,
            "flash       {} bytes: weights {weights}, adapters {adapters}, tables {tables}, other {other}",
            self.file_bytes
        )?;
        let arena = match self.ram.arena {
            Some(arena) => format!("arena {arena} bytes, "),
            None => String::new(),
        };
        writeln!(
            f,
            "RAM         {arena}clip buffer {} bytes",
            self.ram.clip_buffer
        )?;
        writeln!(
            f,
            "MAC         {} a patch, {} operators",
            millions(self.macs),
            self.operators.len()
        )
    }

    fn frontend_line(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let c = &self.frontend;
        writeln!(
            f,
            "frontend    {} Hz, window {} of {}, hop {} ({}), {} mels {} to {} Hz ({}, {}), {} frames; \
             (ln({} {} {:e}) - {}) * {}",
            c.sample_rate,
            c.window,
            c.transform,
            c.hop,
            c.framing,
            c.mels,
            c.f_min,
            c.f_max,
            c.mel_scale,
            c.band_norm,
            c.frames,
            c.spectrum,
            match c.floor_rule {
                "least" => "or at least",
                _ => "+",
            },
            c.floor,
            c.mean,
            c.scale
        )?;
        match (c.patch_mean, c.bands) {
            ("none", false) => Ok(()),
            ("none", true) => writeln!(f, "            then a mean and a scale for each band"),
            (of, false) => writeln!(f, "            then less the mean of each {of}"),
            (of, true) => writeln!(
                f,
                "            then less the mean of each {of}, and a mean and a scale for each band"
            ),
        }
    }

    /// Writes the parts of an embedding and what is known of embeddings in general.
    fn embedding(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, part) in self.parts.iter().enumerate() {
            let Part {
                name,
                len,
                share,
                macs,
            } = part;
            writeln!(
                f,
                "{:<12}{name}: {len} values, share {share:.2}, alone {} MAC",
                label(index, "embedding"),
                millions(*macs)
            )?;
        }
        let Some(s) = &self.statistics else {
            return Ok(());
        };
        writeln!(
            f,
            "statistics  length of the base mean {:.4}",
            s.base_mean_norm
        )?;
        let tails = REFERENCE_TAILS.iter().zip(s.unrelated_similarity);
        let tails = tails.map(|(tail, q)| format!("{} % above {q:.3}", 100.0 * tail));
        let tails: Vec<String> = tails.collect();
        writeln!(f, "reference   of unrelated pairs, {}", tails.join(", "))?;
        if s.cohort > 0 {
            let weights = match s.cohort_weights {
                true => ", with weights of the parts",
                false => "",
            };
            writeln!(
                f,
                "cohort      {} directions of ordinary sounds{weights}",
                s.cohort
            )?;
        }
        Ok(())
    }

    fn operator_table(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "\n  #  {:<18} {:>12} {:>12} {:>7} {:>7} {:>9} {:>9}  name",
            "operator", "input", "output", "kernel", "stride", "MAC", "bytes"
        )?;
        for (index, op) in self.operators.iter().enumerate() {
            let kind = if op.adapter {
                // The column has no room for more.
                format!("{} (adapted)", op.kind.replace("convolution", "conv"))
            } else {
                op.kind.clone()
            };
            writeln!(
                f,
                "{index:>3}  {kind:<18} {:>12} {:>12} {:>7} {:>7} {:>9} {:>9}  {}",
                op.input,
                op.output,
                op.kernel,
                op.stride,
                millions(op.macs),
                op.bytes,
                op.name.as_deref().unwrap_or("")
            )?;
        }
        Ok(())
    }
}

/// Returns the label of line `index` of a fact that may take several: the first alone has it.
fn label(index: usize, label: &str) -> &str {
    if index == 0 { label } else { "" }
}

fn millions(macs: u64) -> String {
    format!("{:.3} M", macs as f64 / 1e6)
}
