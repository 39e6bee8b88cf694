//! The most that a field takes, for a whole number that is too large to be read at all.

use serde::de::DeserializeOwned;

use super::{Value, read};
use crate::error::Error;

/// What `call` answers to the typed request in `request`.
///
/// A whole number that is larger than any that can be read is refused with its field's own limit: the one that the call
/// names where it is asked with the largest that can.
///
/// # Errors
/// Those of [`read`] and of `call`.
pub fn answered<T: DeserializeOwned, A>(
    request: &Value,
    call: impl Fn(&T) -> Result<A, Error>,
) -> Result<A, Error> {
    let unread = match read(request) {
        Ok(request) => return call(&request),
        Err(error) => error,
    };
    let fault = |request: &Value| read(request).and_then(|request| call(&request)).err();
    Err(of_field(request, &unread, fault).unwrap_or(unread))
}

/// What is wrong with the field that `unread` tells of, by its own limit; none where another fault is found first.
fn of_field(request: &Value, unread: &Error, fault: impl Fn(&Value) -> Option<Error>) -> Option<Error> {
    let Error::OutOfRange { field, given, max: readable, .. } = unread else { return None };
    if given <= readable {
        return None;
    }
    let mut largest = request.clone();
    *at(&mut largest, field)? = Value::Number(*readable);
    match fault(&largest)? {
        Error::OutOfRange { field: same, given: taken, min, max } if same == *field && taken == *readable => {
            Some(Error::OutOfRange { field: same, given: *given, min, max })
        }
        _ => None,
    }
}

/// What stands at a path such as `serving.shapes[0]`.
fn at<'v>(value: &'v mut Value, path: &str) -> Option<&'v mut Value> {
    path.split(['.', '[']).try_fold(value, |value, step| match value {
        Value::Object(fields) => fields.iter_mut().find(|(key, _)| key == step).map(|(_, member)| member),
        Value::List(items) => items.get_mut(step.strip_suffix(']')?.parse::<usize>().ok()?),
        _ => None,
    })
}
