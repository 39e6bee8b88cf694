//! The same question over a grid: one request, some of its fields taken from lists, and the numbers asked for as arrays.
//!
//! Every cell is asked exactly as the single call would be, in row-major order, so its numbers are the call's own bits.
//! A cell that the call refuses is NaN in every array and stands in the list of refusals with its error.

mod number;

use ndarray::{ArrayD, IxDyn};
use serde::{Deserialize, Serialize};

use crate::catalog::{Catalog, Overlay};
use crate::error::{Error, check_range};
use crate::input::{Value, answered};

/// Most cells of one grid; larger questions are asked in blocks.
pub const MOST_CELLS: usize = 1_000_000;
/// Most axes of one grid: what every NumPy that is in use can hold.
pub const MOST_AXES: usize = 32;
/// Most outputs of one sweep, so that memory stays within sight of the grid's size.
pub const MOST_OUTPUTS: usize = 100;

/// A call that can be asked over a grid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(rename_all = "snake_case")]
pub enum SweepCall {
    /// One explicit training layout.
    TrainingStep,
    /// One explicit operating point of serving.
    ServingPoint,
    /// One collective.
    Collective,
}

/// A field of the request and the values it takes, in order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(deny_unknown_fields)]
pub struct SweepAxis {
    /// Path of the field in the call's request, such as `gpus` or `layout.tp`.
    pub field: String,
    /// What it is set to along this axis, at least one.
    #[cfg_attr(feature = "tsify", tsify(type = "unknown[]"))]
    pub values: Vec<Value>,
}

/// One call over the grid that its axes span.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
#[serde(deny_unknown_fields)]
pub struct SweepRequest {
    /// The call.
    pub call: SweepCall,
    /// Its request; an axis replaces the field it names, which may also be missing here.
    #[cfg_attr(feature = "tsify", tsify(type = "object"))]
    pub base: Value,
    /// The axes, slowest first.
    pub axes: Vec<SweepAxis>,
    /// Paths of numbers in the call's answer, such as `step_seconds` or `memory.total_gib`.
    pub outputs: Vec<String>,
    /// The user's own data laid over the catalogue for every cell. To compare overlays, leave it out and let an axis set
    /// `overlay` or one of its tables.
    #[serde(default)]
    pub overlay: Option<Overlay>,
}

/// A sweep's answer as data: what JSON can carry, so a refused cell is nothing instead of NaN.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
pub struct Sweep {
    /// Cells along each axis.
    pub shape: Vec<usize>,
    /// The axes as they were asked, slowest first.
    pub axes: Vec<SweepAxis>,
    /// The numbers asked for.
    pub outputs: Vec<SweepOutput>,
    /// The cells without a number, in row-major order.
    pub refused: Vec<SweepRefusal>,
}

/// One number of the answer over the whole grid.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
pub struct SweepOutput {
    /// Its path in the call's answer.
    pub name: String,
    /// Row-major over the axes, in the unit that the answer's field has; nothing where the cell is refused.
    pub values: Vec<Option<f64>>,
}

/// A cell without a number, and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
pub struct SweepRefusal {
    /// Position along each axis, from 0.
    pub index: Vec<usize>,
    /// The call's own error, its field a path in the call's request; or, where only one number of an answer is missing,
    /// an error whose field is `outputs[i]`.
    pub error: SweepError,
}

/// Why a cell has no number, as every face passes errors on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "tsify", derive(tsify::Tsify))]
pub struct SweepError {
    /// Stable name of the kind of error.
    pub code: String,
    /// Path of the field at fault.
    pub field: String,
    /// One line that a person can act on.
    pub message: String,
    /// The nearest thing that would have been accepted, where there is one.
    pub hint: Option<String>,
}

/// A sweep's answer as arrays.
#[derive(Debug, Clone, PartialEq)]
pub struct SweepArrays {
    /// The axes as they were asked, slowest first.
    pub axes: Vec<SweepAxis>,
    /// Name and array of each output; row-major, one dimension for each axis, NaN where the cell is refused.
    pub outputs: Vec<(String, ArrayD<f64>)>,
    /// The cells that are NaN, in row-major order.
    pub refused: Vec<SweepRefusal>,
}

/// The numbers asked for over the whole grid, as data; refused cells are `None`.
///
/// # Errors
/// As [`sweep_arrays`].
pub fn sweep(catalog: &Catalog, request: &SweepRequest) -> Result<Sweep, Error> {
    let SweepArrays { axes, outputs, refused } = sweep_arrays(catalog, request)?;
    let outputs = outputs
        .into_iter()
        .map(|(name, values)| SweepOutput {
            name,
            values: values.into_iter().map(|v| Some(v).filter(|v| !v.is_nan())).collect(),
        })
        .collect();
    Ok(Sweep { shape: shape(&axes), axes, outputs, refused })
}

/// The numbers asked for over the whole grid, as arrays; refused cells are NaN and listed.
///
/// # Errors
/// No axes, values or outputs, or too many of them; a field on two axes; an overlay of the sweep and one in its base; an output that the answer does not have or that
/// is no number. An error that every cell shares is an error of the sweep, under `axes[i]` where an axis sets the field
/// at fault and under `base` elsewhere; so is an axis over a field that the request does not have.
pub fn sweep_arrays(catalog: &Catalog, request: &SweepRequest) -> Result<SweepArrays, Error> {
    let SweepRequest { call, base, axes, outputs, overlay } = request;
    let cells = check(request)?;
    let catalog = &*catalog.with_overlay(overlay.as_ref())?;
    let mut asked = base.clone();
    let mut index = vec![0; axes.len()];
    for axis in axes {
        set(&mut asked, axis, 0)?;
    }
    let mut values: Vec<Vec<f64>> = vec![Vec::new(); outputs.len()];
    let mut numbers = vec![false; outputs.len()];
    let mut refusals = Refusals::default();
    for _ in 0..cells {
        match ask(catalog, *call, &asked, outputs) {
            Ok(found) => {
                for (at, found) in found?.into_iter().enumerate() {
                    values[at].push(found.unwrap_or(f64::NAN));
                    numbers[at] |= found.is_some();
                    if found.is_none() {
                        refusals.list(&index, &no_number(at, &outputs[at]));
                    }
                }
            }
            Err(error) if is_about_unknown_axis(&error, axes) => return Err(placed(error, axes)),
            Err(error) => {
                refusals.push(&index, error);
                values.iter_mut().for_each(|values| values.push(f64::NAN));
            }
        }
        // Like an odometer: the last axis turns fastest.
        for (at, axis) in axes.iter().enumerate().rev() {
            index[at] = (index[at] + 1) % axis.values.len();
            set(&mut asked, axis, index[at])?;
            if index[at] != 0 {
                break;
            }
        }
    }
    if let Some(error) = refusals.shared_by(cells) {
        return Err(placed(error, axes));
    }
    // A grid of nothing but NaN would hide that the field never holds a number here; one that the call refuses
    // throughout, for reasons that differ, has said so in its refusals.
    if let Some(at) = numbers.iter().position(|any| !any).filter(|_| refusals.calls < cells) {
        return Err(no_number(at, &outputs[at]));
    }
    let shape = IxDyn(&shape(axes));
    let outputs = outputs.iter().zip(values).map(|(name, values)| {
        let array = ArrayD::from_shape_vec(shape.clone(), values);
        array.map(|array| (name.clone(), array)).map_err(|error| malformed("outputs", error.to_string()))
    });
    Ok(SweepArrays {
        axes: axes.clone(),
        outputs: outputs.collect::<Result<_, _>>()?,
        refused: refusals.listed,
    })
}

/// What one cell says: the call's own refusal outside, a fault of the outputs asked for inside.
type Cell = Result<Result<Vec<Option<f64>>, Error>, Error>;

fn ask(catalog: &Catalog, call: SweepCall, asked: &Value, outputs: &[String]) -> Cell {
    Ok(match call {
        SweepCall::TrainingStep => {
            number::all(&answered(asked, |r| crate::training::training_step(catalog, r))?, outputs)
        }
        SweepCall::ServingPoint => {
            number::all(&answered(asked, |r| crate::inference::serving_point(catalog, r))?, outputs)
        }
        SweepCall::Collective => {
            number::all(&answered(asked, |r| crate::network::collective(catalog, r))?, outputs)
        }
    })
}

/// The number of cells, if the grid is one.
fn check(request: &SweepRequest) -> Result<usize, Error> {
    let SweepRequest { axes, outputs, .. } = request;
    let missing = |field: &str, expected: &str| {
        Err(Error::MissingField { field: field.to_owned(), expected: expected.to_owned() })
    };
    if axes.is_empty() {
        return missing("axes", "at least one field with its values");
    }
    if axes.len() > MOST_AXES {
        let message = format!("{} axes given, at most {MOST_AXES} are possible", axes.len());
        return Err(Error::Conflict { field: "axes".to_owned(), message });
    }
    if outputs.is_empty() {
        return missing("outputs", "at least one number of the answer");
    }
    check_range("outputs", outputs.len() as f64, 1.0, MOST_OUTPUTS as f64)?;
    for (at, name) in outputs.iter().enumerate() {
        if outputs[..at].contains(name) {
            let message = format!("\"{name}\" is asked for twice");
            return Err(Error::Conflict { field: format!("outputs[{at}]"), message });
        }
    }
    let mut cells = 1.0;
    for (at, axis) in axes.iter().enumerate() {
        if axis.values.is_empty() {
            return missing(&format!("axes[{at}].values"), "at least one value");
        }
        if axis.field.split('.').any(str::is_empty) {
            let field = format!("axes[{at}].field");
            let expected = "the path of a field, such as \"gpus\" or \"layout.tp\"".to_owned();
            return Err(Error::WrongType { field, given: format!("\"{}\"", axis.field), expected });
        }
        if let Some(other) = axes[..at].iter().find(|other| related(&axis.field, &other.field)) {
            let message = format!("\"{}\" and \"{}\" set the same field", other.field, axis.field);
            return Err(Error::Conflict { field: format!("axes[{at}].field"), message });
        }
        cells *= axis.values.len() as f64;
    }
    if request.overlay.is_some() {
        check_one_overlay(request)?;
    }
    // Exact wherever it is in range.
    Ok(check_range("axes", cells, 1.0, MOST_CELLS as f64)? as usize)
}

/// The sweep's own overlay is the only one.
fn check_one_overlay(SweepRequest { base, axes, .. }: &SweepRequest) -> Result<(), Error> {
    let twice = |field: String| {
        let message = "the sweep has an overlay of its own: give one of the two".to_owned();
        Err(Error::Conflict { field, message })
    };
    if let Some(at) = axes.iter().position(|axis| related(&axis.field, "overlay")) {
        return twice(format!("axes[{at}].field"));
    }
    match base.get("overlay") {
        None | Some(Value::Null) => Ok(()),
        Some(_) => twice("base.overlay".to_owned()),
    }
}

fn shape(axes: &[SweepAxis]) -> Vec<usize> {
    axes.iter().map(|axis| axis.values.len()).collect()
}

/// Puts the axis's value of this position into the request, opening objects on the way that are not there yet.
fn set(request: &mut Value, axis: &SweepAxis, position: usize) -> Result<(), Error> {
    let mut place = request;
    let mut path = String::new();
    for key in axis.field.split('.') {
        let Value::Object(fields) = place else {
            let given = place.describe();
            let expected = format!("an object with named fields, for \"{}\" is set in it,", axis.field);
            return Err(Error::WrongType { field: path, given, expected }.within("base"));
        };
        path = if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
        let at = fields.iter().position(|(name, _)| name == key).unwrap_or_else(|| {
            fields.push((key.to_owned(), Value::Object(Vec::new())));
            fields.len() - 1
        });
        place = &mut fields[at].1;
    }
    place.clone_from(&axis.values[position]);
    Ok(())
}

/// Whether one path is the other or lies under it.
fn related(one: &str, other: &str) -> bool {
    is_under(one, other) || is_under(other, one)
}

fn is_under(path: &str, parent: &str) -> bool {
    path.strip_prefix(parent).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// Whether the request has no such field as an axis sets: then no cell can be answered, whatever the values.
fn is_about_unknown_axis(error: &Error, axes: &[SweepAxis]) -> bool {
    matches!(error, Error::UnknownField { field, .. } if axes.iter().any(|axis| is_under(&axis.field, field)))
}

/// An error that all cells share, with its path in the sweep's own request.
fn placed(error: Error, axes: &[SweepAxis]) -> Error {
    match axes
        .iter()
        .position(|axis| is_under(error.field(), &axis.field) || is_under(&axis.field, error.field()))
    {
        Some(at) if !error.field().is_empty() => error.within(&format!("axes[{at}]")),
        _ => error.within("base"),
    }
}

fn no_number(at: usize, name: &str) -> Error {
    malformed(&format!("outputs[{at}]"), format!("the answer has no finite number \"{name}\" here"))
}

fn malformed(field: &str, message: String) -> Error {
    Error::Malformed { field: field.to_owned(), message }
}

/// The refused cells so far.
#[derive(Default)]
struct Refusals {
    listed: Vec<SweepRefusal>,
    /// Cells that the call itself refused.
    calls: usize,
    /// The first cell's error, and the cells that have the same: no other can be shared by all.
    first: Option<(Error, usize)>,
}

impl Refusals {
    fn list(&mut self, index: &[usize], error: &Error) {
        self.listed.push(SweepRefusal { index: index.to_vec(), error: error.into() });
    }

    fn push(&mut self, index: &[usize], error: Error) {
        self.list(index, &error);
        self.calls += 1;
        match &mut self.first {
            Some((known, cells)) => *cells += usize::from(*known == error),
            None => self.first = Some((error, 1)),
        }
    }

    fn shared_by(&self, cells: usize) -> Option<Error> {
        self.first.as_ref().filter(|(_, having)| *having == cells).map(|(error, _)| error.clone())
    }
}

impl From<&Error> for SweepError {
    fn from(error: &Error) -> Self {
        Self {
            code: error.code().to_owned(),
            field: error.field().to_owned(),
            message: error.to_string(),
            hint: error.hint(),
        }
    }
}
