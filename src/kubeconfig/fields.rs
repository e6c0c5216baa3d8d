//! Single fields of a kubeconfig, as driver and helm read them. No value goes into a message.

use std::fmt;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_yaml::Value;

use super::Fault;

/// base64 as both read it: padded, and trailing bits of no meaning are let pass.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::RequireCanonical)
        .with_decode_allow_trailing_bits(true),
);

/// A piece of a kubeconfig: given in the file, or as the path of another file. Never shown.
#[derive(Clone, PartialEq, Eq)]
pub enum Material {
    /// The decoded content.
    Inline(Vec<u8>),
    /// A path on the unit.
    File(String),
}

impl fmt::Debug for Material {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Material(…)")
    }
}

/// A path or a content. The driver lets the path win and helm refuses both, and an empty path
/// hides the content from the driver alone.
///
/// # Errors
/// When the two disagree about it, or one cannot read it.
pub fn material(of: &Value, field: &str) -> Result<Option<Material>, Fault> {
    let data_field = format!("{field}-data");
    match (text(of, field)?, data(of, &data_field)?) {
        (Some(_), Some(_)) => Err(Fault::new(format!(
            "has both {field} and {data_field}, which helm refuses; keep one"
        ))),
        (Some(path), None) => Ok(Some(Material::File(path))),
        (None, Some(_)) if of.get(field).is_some() => Err(Fault::new(format!(
            "has an empty {field}, for which the driver ignores {data_field}; take it out"
        ))),
        (None, Some(data)) => Ok(Some(Material::Inline(data))),
        (None, None) if of.get(field).is_none() && of.get(&data_field).is_some() => {
            Err(Fault::new(format!(
                "has an empty {data_field}, at which the driver fails; take it out"
            )))
        }
        (None, None) => Ok(None),
    }
}

/// The decoded content of a field; `None` when it is empty.
///
/// # Errors
/// When it is no base64.
pub fn data(of: &Value, field: &str) -> Result<Option<Vec<u8>>, Fault> {
    let Some(data) = text(of, field)? else {
        return Ok(None);
    };
    // The one white space that helm skips.
    let data: String = data.chars().filter(|c| !matches!(c, '\r' | '\n')).collect();
    // The decoder's own message would quote a byte of it.
    let decoded = BASE64.decode(data);
    decoded
        .map(Some)
        .map_err(|_| Fault::new(format!("has a {field} that is no base64")))
}

/// A text that is there and not empty.
///
/// # Errors
/// When it is no text.
pub fn text(of: &Value, field: &str) -> Result<Option<String>, Fault> {
    match of.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone()).filter(|text| !text.is_empty())),
        Some(_) => Err(Fault::new(format!("has a {field} that is no text"))),
    }
}

/// Fields that are texts wherever they stand.
///
/// # Errors
/// When one of them is no text.
pub fn texts(of: &Value, fields: &[&str]) -> Result<(), Fault> {
    fields
        .iter()
        .try_for_each(|field| text(of, field).map(drop))
}

/// Whether a field is there and not empty.
pub fn given(of: &Value, field: &str) -> bool {
    of.get(field)
        .is_some_and(|value| !value.is_null() && value.as_str() != Some(""))
}
