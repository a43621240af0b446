//! Reads the constant tensors of an ONNX graph, and writes them again.

use super::external::is_external;
use super::limits::count;
use super::pb::tensor_proto::DataType;
use super::pb::{AttributeProto, TensorProto};
use half::{bf16, f16};

/// A constant: floats, or whole numbers (shapes, axes, quantised weights, truths).
#[derive(Clone, Debug, PartialEq)]
pub struct Constant {
    /// Its dimensions; none for a scalar.
    pub dims: Vec<usize>,
    /// Its values.
    pub values: Values,
    /// Type of the values in the graph. Floats of every width are `Float` here.
    pub kind: DataType,
}

/// The values of a [`Constant`], row-major.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// Values of the types float, double and the two half floats.
    Float(Vec<f32>),
    /// Values of the integers and of bool.
    Int(Vec<i64>),
}

impl Constant {
    /// Reads an initialiser; the error describes contents that cannot be read.
    pub fn read(proto: &TensorProto) -> Result<Self, String> {
        let dims = proto
            .dims
            .iter()
            .map(|&dim| usize::try_from(dim).map_err(|_| format!("a dimension of {dim}")))
            .collect::<Result<Vec<_>, _>>()?;
        let expected = count(&dims);
        if expected == usize::MAX {
            return Err("more values than can be counted".into());
        }
        if is_external(proto) {
            return Err("values in another file, which was not read with the model".into());
        }
        let unknown = || format!("values of the unknown type {}", proto.data_type);
        let kind = DataType::try_from(proto.data_type).map_err(|_| unknown())?;
        let values = if proto.raw_data.is_empty() {
            typed(proto, kind)
        } else {
            raw(&proto.raw_data, kind)
        };
        let values = values.ok_or_else(|| {
            let found = format!("{kind:?}").to_uppercase();
            format!("values of type {found}, expected FLOAT")
        })?;
        let found = match &values {
            Values::Float(values) => values.len(),
            Values::Int(values) => values.len(),
        };
        if found != expected {
            return Err(format!(
                "{found} values where its shape {dims:?} needs {expected}"
            ));
        }
        // A bound of a clip may be infinite; weights may not.
        if let Values::Float(values) = &values
            && values.len() > 1
            && !values.iter().all(|v| v.is_finite())
        {
            return Err("a value that is not finite".into());
        }
        let kind = match values {
            Values::Float(_) => DataType::Float,
            Values::Int(_) => kind,
        };
        Ok(Self { dims, values, kind })
    }

    /// Reads the value of a Constant node from one of its attributes.
    pub fn from_attribute(attribute: &AttributeProto) -> Result<Self, String> {
        match (attribute.name.as_str(), &attribute.t) {
            ("value", Some(tensor)) => Self::read(tensor),
            ("value_float", _) => Ok(Self::float(vec![], vec![attribute.f])),
            ("value_floats", _) => Ok(Self::float(
                vec![attribute.floats.len()],
                attribute.floats.clone(),
            )),
            ("value_int", _) => Ok(Self::int(vec![], vec![attribute.i])),
            ("value_ints", _) => Ok(Self::int(
                vec![attribute.ints.len()],
                attribute.ints.clone(),
            )),
            (other, _) => Err(format!("a constant given as `{other}`")),
        }
    }

    /// Makes a constant of floats.
    pub fn float(dims: Vec<usize>, values: Vec<f32>) -> Self {
        Self {
            dims,
            values: Values::Float(values),
            kind: DataType::Float,
        }
    }

    /// Makes a constant of whole numbers.
    pub fn int(dims: Vec<usize>, values: Vec<i64>) -> Self {
        Self {
            dims,
            values: Values::Int(values),
            kind: DataType::Int64,
        }
    }

    /// Returns its values as floats, if it holds floats.
    pub fn floats(&self) -> Option<&[f32]> {
        match &self.values {
            Values::Float(values) => Some(values),
            Values::Int(_) => None,
        }
    }

    /// Returns its values as whole numbers, if it holds whole numbers.
    pub fn ints(&self) -> Option<&[i64]> {
        match &self.values {
            Values::Int(values) => Some(values),
            Values::Float(_) => None,
        }
    }

    /// Returns the values at the places `at` as a constant of shape `dims`.
    pub fn pick(&self, dims: Vec<usize>, at: impl Iterator<Item = usize>) -> Self {
        let values = match &self.values {
            Values::Float(values) => Values::Float(at.map(|at| values[at]).collect()),
            Values::Int(values) => Values::Int(at.map(|at| values[at]).collect()),
        };
        let kind = self.kind;
        Self { dims, values, kind }
    }

    /// Writes it as an initialiser.
    pub fn write(&self, name: &str) -> TensorProto {
        let ints = |values: &[i64]| -> Vec<u8> {
            match self.kind {
                DataType::Bool | DataType::Int8 | DataType::Uint8 => {
                    values.iter().map(|&v| v as u8).collect()
                }
                DataType::Int16 | DataType::Uint16 => values
                    .iter()
                    .flat_map(|&v| (v as u16).to_le_bytes())
                    .collect(),
                DataType::Int32 | DataType::Uint32 => values
                    .iter()
                    .flat_map(|&v| (v as u32).to_le_bytes())
                    .collect(),
                _ => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
            }
        };
        TensorProto {
            name: name.to_owned(),
            dims: self.dims.iter().map(|&dim| dim as i64).collect(),
            data_type: self.kind as i32,
            raw_data: match &self.values {
                Values::Float(values) => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
                Values::Int(values) => ints(values),
            },
            ..Default::default()
        }
    }
}

/// Reads values from the field of their type; `None` for a type that is not read.
fn typed(proto: &TensorProto, kind: DataType) -> Option<Values> {
    let small = &proto.int32_data;
    Some(match kind {
        DataType::Float => Values::Float(proto.float_data.clone()),
        DataType::Double => Values::Float(proto.double_data.iter().map(|&v| v as f32).collect()),
        DataType::Float16 => {
            let values = small
                .iter()
                .map(|&bits| f16::from_bits(bits as u16).to_f32());
            Values::Float(values.collect())
        }
        DataType::Bfloat16 => {
            let values = small
                .iter()
                .map(|&bits| bf16::from_bits(bits as u16).to_f32());
            Values::Float(values.collect())
        }
        DataType::Int64 => Values::Int(proto.int64_data.clone()),
        DataType::Uint32 | DataType::Uint64 => {
            Values::Int(proto.uint64_data.iter().map(|&v| v as i64).collect())
        }
        DataType::Int32
        | DataType::Int16
        | DataType::Int8
        | DataType::Uint16
        | DataType::Uint8
        | DataType::Bool => Values::Int(small.iter().map(|&v| v.into()).collect()),
        _ => return None,
    })
}

/// Reads values from their bytes; `None` for a type that is not read.
fn raw(raw: &[u8], kind: DataType) -> Option<Values> {
    let float = |values: Vec<f32>| Values::Float(values);
    Some(match kind {
        DataType::Float => float(words(raw).map(f32::from_le_bytes).collect()),
        DataType::Double => float(words(raw).map(|w| f64::from_le_bytes(w) as f32).collect()),
        DataType::Float16 => float(words(raw).map(|w| f16::from_le_bytes(w).to_f32()).collect()),
        DataType::Bfloat16 => float(
            words(raw)
                .map(|w| bf16::from_le_bytes(w).to_f32())
                .collect(),
        ),
        DataType::Int64 | DataType::Uint64 => {
            Values::Int(words(raw).map(i64::from_le_bytes).collect())
        }
        DataType::Int32 => Values::Int(words(raw).map(|w| i32::from_le_bytes(w).into()).collect()),
        DataType::Uint32 => Values::Int(words(raw).map(|w| u32::from_le_bytes(w).into()).collect()),
        DataType::Int16 => Values::Int(words(raw).map(|w| i16::from_le_bytes(w).into()).collect()),
        DataType::Uint16 => Values::Int(words(raw).map(|w| u16::from_le_bytes(w).into()).collect()),
        DataType::Int8 => Values::Int(raw.iter().map(|&v| (v as i8).into()).collect()),
        DataType::Uint8 | DataType::Bool => Values::Int(raw.iter().map(|&v| v.into()).collect()),
        _ => return None,
    })
}

/// Splits bytes into little-endian words of `N` bytes; a rest shorter than a word shows in the count.
fn words<const N: usize>(raw: &[u8]) -> impl Iterator<Item = [u8; N]> {
    raw.chunks_exact(N)
        .map(|word| word.try_into().expect("chunks of N bytes"))
}
