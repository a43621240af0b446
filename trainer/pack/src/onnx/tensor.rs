//! Reads the constant tensors of an ONNX graph.

use super::pb::tensor_proto::DataType;
use super::pb::{AttributeProto, TensorProto};

/// A constant: floats, or whole numbers (shapes, axes).
#[derive(Clone, Debug, PartialEq)]
pub struct Constant {
    /// Its dimensions; none for a scalar.
    pub dims: Vec<usize>,
    /// Its values.
    pub values: Values,
}

/// The values of a [`Constant`], row-major.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// Values of the types float and double.
    Float(Vec<f32>),
    /// Values of the types int32 and int64.
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
        let count = dims
            .iter()
            .try_fold(1usize, |count, &dim| count.checked_mul(dim))
            .ok_or("more values than can be counted")?;
        if !proto.external_data.is_empty() {
            return Err("values in another file; save the model as one file".into());
        }
        let raw = &proto.raw_data[..];
        let values = match DataType::try_from(proto.data_type) {
            Ok(DataType::Float) if raw.is_empty() => Values::Float(proto.float_data.clone()),
            Ok(DataType::Float) => Values::Float(words(raw).map(f32::from_le_bytes).collect()),
            Ok(DataType::Double) if raw.is_empty() => {
                Values::Float(proto.double_data.iter().map(|&v| v as f32).collect())
            }
            Ok(DataType::Double) => {
                Values::Float(words(raw).map(|w| f64::from_le_bytes(w) as f32).collect())
            }
            Ok(DataType::Int64) if raw.is_empty() => Values::Int(proto.int64_data.clone()),
            Ok(DataType::Int64) => Values::Int(words(raw).map(i64::from_le_bytes).collect()),
            Ok(DataType::Int32) if raw.is_empty() => {
                Values::Int(proto.int32_data.iter().map(|&v| v.into()).collect())
            }
            Ok(DataType::Int32) => {
                Values::Int(words(raw).map(|w| i32::from_le_bytes(w).into()).collect())
            }
            Ok(other) => {
                let found = format!("{other:?}").to_uppercase();
                return Err(format!("values of type {found}, expected FLOAT"));
            }
            Err(_) => return Err(format!("values of the unknown type {}", proto.data_type)),
        };
        let constant = Self { dims, values };
        let found = match &constant.values {
            Values::Float(values) => values.len(),
            Values::Int(values) => values.len(),
        };
        if found != count {
            return Err(format!(
                "{found} values where its shape {:?} needs {count}",
                constant.dims
            ));
        }
        if constant
            .floats()
            .is_some_and(|v| !v.iter().all(|v| v.is_finite()))
        {
            return Err("a value that is not finite".into());
        }
        Ok(constant)
    }

    /// Reads the value of a Constant node from one of its attributes.
    pub fn from_attribute(attribute: &AttributeProto) -> Result<Self, String> {
        let float = |values: Vec<f32>, dims| Self {
            dims,
            values: Values::Float(values),
        };
        let int = |values: Vec<i64>, dims| Self {
            dims,
            values: Values::Int(values),
        };
        match (attribute.name.as_str(), &attribute.t) {
            ("value", Some(tensor)) => Self::read(tensor),
            ("value_float", _) => Ok(float(vec![attribute.f], vec![])),
            ("value_floats", _) => Ok(float(
                attribute.floats.clone(),
                vec![attribute.floats.len()],
            )),
            ("value_int", _) => Ok(int(vec![attribute.i], vec![])),
            ("value_ints", _) => Ok(int(attribute.ints.clone(), vec![attribute.ints.len()])),
            (other, _) => Err(format!("a constant given as `{other}`")),
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
}

/// Splits bytes into little-endian words of `N` bytes; a rest shorter than a word shows in the count.
fn words<const N: usize>(raw: &[u8]) -> impl Iterator<Item = [u8; N]> {
    raw.chunks_exact(N)
        .map(|word| word.try_into().expect("chunks of N bytes"))
}
