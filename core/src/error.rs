//! The one error type of every face: which field, what was given, what is allowed, what was probably meant.

use std::fmt::Write as _;

use serde::Serialize;

/// Why a request was refused. Every variant names the field by its path (`training.layout.tp`).
///
/// Displays as one line that a person can act on; [`Error::code`], [`Error::field`] and [`Error::hint`] give the same
/// as data. "Nothing fits" is an answer, never an error.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// A name that no table knows.
    #[error("{field}: no {kind} is named \"{given}\"{}", suggestion(.nearest, .known))]
    UnknownName {
        /// Path of the field.
        field: String,
        /// What was looked for: "GPU", "shape", "model"…
        kind: &'static str,
        /// What was given.
        given: String,
        /// The nearest known name.
        nearest: Option<String>,
        /// Known names, for a person to choose from.
        known: Vec<String>,
    },
    /// A key that the request does not have.
    #[error("{field}: unknown field{}", suggestion(.nearest, .allowed))]
    UnknownField {
        /// Path of the field, ending in the unknown key.
        field: String,
        /// The nearest field that exists.
        nearest: Option<String>,
        /// The fields that exist there.
        allowed: Vec<String>,
    },
    /// A field that is needed and was not given.
    #[error("{field}: missing; {expected}")]
    MissingField {
        /// Path of the field.
        field: String,
        /// What to give.
        expected: String,
    },
    /// A value of the wrong kind.
    #[error("{field}: {given} given, {expected} expected")]
    WrongType {
        /// Path of the field.
        field: String,
        /// What was given, shortened.
        given: String,
        /// What is expected.
        expected: String,
    },
    /// A number outside what makes sense.
    #[error("{field}: {}", outside(*.given, *.min, *.max))]
    OutOfRange {
        /// Path of the field.
        field: String,
        /// What was given.
        given: f64,
        /// Smallest allowed value.
        min: f64,
        /// Largest allowed value.
        max: f64,
    },
    /// A number that must divide another one and does not.
    #[error("{field}: {given} does not divide {of}{}", try_one_of(.allowed))]
    Indivisible {
        /// Path of the field.
        field: String,
        /// What was given.
        given: u64,
        /// What it must divide, with its value: "8 kv heads".
        of: String,
        /// Values that would do.
        allowed: Vec<u64>,
    },
    /// A number that must be a multiple of another one and is not.
    #[error("{field}: {given} is not a multiple of {of}{}", try_one_of(.allowed))]
    NotMultiple {
        /// Path of the field.
        field: String,
        /// What was given.
        given: u64,
        /// What it must be a multiple of, with its value: "dp × micro_batch = 64".
        of: String,
        /// Values that would do.
        allowed: Vec<u64>,
    },
    /// Two fields that contradict each other.
    #[error("{field}: {message}")]
    Conflict {
        /// Path of the field to change first.
        field: String,
        /// What contradicts what, and the way out.
        message: String,
    },
    /// Something real that this version cannot price.
    #[error("{field}: \"{given}\" is not supported: {reason}")]
    Unsupported {
        /// Path of the field.
        field: String,
        /// What was given.
        given: String,
        /// Why, and what is.
        reason: String,
    },
    /// A file or table that is not what it claims.
    #[error("{field}: {message}")]
    Malformed {
        /// The file, table, line or column.
        field: String,
        /// What is wrong with it.
        message: String,
    },
}

impl Error {
    /// Stable name of the kind of error, the same on every face.
    pub fn code(&self) -> &'static str {
        match self {
            Self::UnknownName { .. } => "unknown_name",
            Self::UnknownField { .. } => "unknown_field",
            Self::MissingField { .. } => "missing_field",
            Self::WrongType { .. } => "wrong_type",
            Self::OutOfRange { .. } => "out_of_range",
            Self::Indivisible { .. } => "indivisible",
            Self::NotMultiple { .. } => "not_multiple",
            Self::Conflict { .. } => "conflict",
            Self::Unsupported { .. } => "unsupported",
            Self::Malformed { .. } => "malformed",
        }
    }

    /// Path of the field at fault, such as `training.layout.tp`; empty for the whole request.
    pub fn field(&self) -> &str {
        match self {
            Self::UnknownName { field, .. }
            | Self::UnknownField { field, .. }
            | Self::MissingField { field, .. }
            | Self::WrongType { field, .. }
            | Self::OutOfRange { field, .. }
            | Self::Indivisible { field, .. }
            | Self::NotMultiple { field, .. }
            | Self::Conflict { field, .. }
            | Self::Unsupported { field, .. }
            | Self::Malformed { field, .. } => field,
        }
    }

    /// The nearest thing that would have been accepted, where there is one.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::UnknownName { nearest, .. } | Self::UnknownField { nearest, .. } => nearest.clone(),
            Self::OutOfRange { given, min, max, .. } => {
                let negative = *min == 0.0 && of_the_machine(*max);
                let nearest = if given < min { *min } else { *max };
                (!negative && !of_the_machine(nearest)).then(|| plain(nearest))
            }
            Self::Indivisible { allowed, given, .. } | Self::NotMultiple { allowed, given, .. } => {
                allowed.iter().min_by_key(|&&v| v.abs_diff(*given)).map(u64::to_string)
            }
            _ => None,
        }
    }

    /// The same error with its path put under `parent`: `tp` under `layout` is `layout.tp`.
    #[must_use]
    pub fn within(mut self, parent: &str) -> Self {
        let field = self.field_mut();
        if field.is_empty() {
            field.push_str(parent);
        } else if !parent.is_empty() {
            let separator = if field.starts_with('[') { "" } else { "." };
            *field = format!("{parent}{separator}{field}");
        }
        self
    }

    /// The same error with `root` at the head of its path replaced; as it is where the path begins otherwise.
    #[must_use]
    pub fn with_root(mut self, root: &str, by: &str) -> Self {
        let field = self.field_mut();
        let rest = field.strip_prefix(root).filter(|rest| rest.is_empty() || rest.starts_with('.'));
        if let Some(moved) = rest.map(|rest| format!("{by}{rest}")) {
            *field = moved;
        }
        self
    }

    /// An unknown name with the nearest of `known` as suggestion.
    pub fn unknown_name<'a>(
        field: &str,
        kind: &'static str,
        given: &str,
        known: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let known: Vec<String> = known.into_iter().map(str::to_owned).collect();
        let nearest = nearest(given, known.iter().map(String::as_str));
        Self::UnknownName { field: field.to_owned(), kind, given: given.to_owned(), nearest, known }
    }

    fn field_mut(&mut self) -> &mut String {
        match self {
            Self::UnknownName { field, .. }
            | Self::UnknownField { field, .. }
            | Self::MissingField { field, .. }
            | Self::WrongType { field, .. }
            | Self::OutOfRange { field, .. }
            | Self::Indivisible { field, .. }
            | Self::NotMultiple { field, .. }
            | Self::Conflict { field, .. }
            | Self::Unsupported { field, .. }
            | Self::Malformed { field, .. } => field,
        }
    }
}

/// `{ code, field, message, hint }`: the shape in which every face passes an error on.
impl Serialize for Error {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct as _;
        let mut out = serializer.serialize_struct("Error", 4)?;
        out.serialize_field("code", self.code())?;
        out.serialize_field("field", self.field())?;
        out.serialize_field("message", &self.to_string())?;
        out.serialize_field("hint", &self.hint())?;
        out.end()
    }
}

/// `value` if it lies in `min..=max` and is finite; else an error that says so.
pub fn check_range(field: &str, value: f64, min: f64, max: f64) -> Result<f64, Error> {
    if value.is_finite() && value >= min && value <= max {
        Ok(value)
    } else {
        Err(Error::OutOfRange { field: field.to_owned(), given: value, min, max })
    }
}

/// The known name that `given` most resembles or shortens, ignoring case, `-`, `_`, `.` and spaces; none if nothing is close.
pub fn nearest<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let plain = |s: &str| -> String {
        s.chars().filter(|c| !matches!(c, '-' | '_' | '.' | ' ')).map(|c| c.to_ascii_lowercase()).collect()
    };
    let target = plain(given);
    known
        .into_iter()
        .map(|name| {
            let known = plain(name);
            let like = strsim::jaro_winkler(&target, &known);
            (if shortens(&target, &known) { like.max(SHORTENED) } else { like }, name)
        })
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .filter(|(likeness, _)| *likeness >= 0.7)
        .map(|(_, name)| name.to_owned())
}

/// Likeness of a name to one that it shortens: `trtllm` means `tensorrt_llm`, not `vllm`.
const SHORTENED: f64 = 0.85;

/// Whether `short` is at least half of `name`: its letters in their order, from the first on.
fn shortens(short: &str, name: &str) -> bool {
    let mut letters = name.chars();
    2 * short.len() >= name.len()
        && short.chars().next() == name.chars().next()
        && short.chars().all(|letter| letters.any(|known| known == letter))
}

/// What is wrong with a number that lies outside, and what is allowed. Where the other end is what a machine's number holds,
/// only this end is told.
fn outside(given: f64, min: f64, max: f64) -> String {
    let (shown, least, most) = (plain(given), plain(min), plain(max));
    if given.is_nan() {
        "not a number".to_owned()
    } else if !of_the_machine(max) && !of_the_machine(min) {
        format!("{shown} is outside {least} to {most}")
    } else if given < 0.0 && min == 0.0 {
        // Of a whole number that is read: whether 0 is allowed is not known yet.
        format!("{shown} is negative")
    } else if given < min {
        format!("{shown} is too small; at least {least}")
    } else {
        format!("{shown} is too large; at most {most}")
    }
}

/// Whether a limit is what a number of a machine holds, and not one of the question.
fn of_the_machine(limit: f64) -> bool {
    /// Whole numbers from here on are no longer told apart (2^53).
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let limit = limit.abs();
    let whole = [f64::from(u8::MAX), f64::from(u16::MAX), f64::from(u32::MAX), f64::from(i32::MAX)];
    limit >= EXACT || limit.is_nan() || whole.contains(&limit)
}

/// A number as a person writes it.
fn plain(number: f64) -> String {
    let size = number.abs();
    if size >= 1e16 || size > 0.0 && size < 1e-6 { format!("{number:e}") } else { number.to_string() }
}

/// Up to a dozen names are listed; more would bury the message.
const LISTED: usize = 12;

fn suggestion(nearest: &Option<String>, known: &[String]) -> String {
    let mut out = String::new();
    if let Some(name) = nearest {
        let _ = write!(out, "; did you mean \"{name}\"?");
    }
    if !known.is_empty() && known.len() <= LISTED {
        let _ = write!(out, " (known: {})", known.join(", "));
    }
    out
}

fn try_one_of(allowed: &[u64]) -> String {
    let names: Vec<String> = allowed.iter().map(u64::to_string).collect();
    match names.split_last() {
        None => String::new(),
        Some((last, [])) => format!("; try {last}"),
        Some((last, rest)) => format!("; try {} or {last}", rest.join(", ")),
    }
}
