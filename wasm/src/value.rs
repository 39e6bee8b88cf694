//! From JavaScript to core's [`Value`], whatever the caller passed.
//!
//! Everything that JSON could carry goes through unchanged, NaN included, so that core refuses it with its own words.
//! What JSON could not carry (functions, bigints, symbols, Maps, Dates, class instances, circles) is refused here with
//! its path: serde-wasm-bindgen would name no path, read a Map as an object, and follow a circle until the stack ends.

use js_sys::{Array, Object, Reflect};
use rackrate::Error;
use rackrate::input::Value;
use wasm_bindgen::{JsCast, JsValue};

/// Deeper nesting than any request has; a circle is deeper than every limit.
const DEEPEST: usize = 64;

/// The plain data in `given`.
///
/// `null` and `undefined` both become [`Value::Null`]: core takes it where a field may be left out and refuses it
/// elsewhere.
///
/// # Errors
/// With the path of the member: what is not plain data, what nests too deep, a getter that throws.
pub fn from_js(given: &JsValue) -> Result<Value, Error> {
    read(given, 0)
}

fn read(given: &JsValue, depth: usize) -> Result<Value, Error> {
    if given.is_null() || given.is_undefined() {
        return Ok(Value::Null);
    }
    if let Some(answer) = given.as_bool() {
        return Ok(Value::Bool(answer));
    }
    if let Some(number) = given.as_f64() {
        return Ok(Value::Number(number));
    }
    if let Some(text) = given.as_string() {
        return Ok(Value::Text(text));
    }
    if depth == DEEPEST {
        return Err(refuse(format!("data nested more than {DEEPEST} deep (or in a circle)")));
    }
    if Array::is_array(given) {
        return list(given.unchecked_ref(), depth);
    }
    if is_plain_object(given) {
        return object(given.unchecked_ref(), depth);
    }
    Err(refuse(name_of_kind(given)))
}

fn list(given: &Array, depth: usize) -> Result<Value, Error> {
    let mut items = Vec::new();
    for at in 0..given.length() {
        let path = format!("[{at}]");
        items.push(member(given, &JsValue::from(at), &path, depth)?);
    }
    Ok(Value::List(items))
}

fn object(given: &Object, depth: usize) -> Result<Value, Error> {
    let mut fields = Vec::new();
    for key in Object::keys(given).iter() {
        let name = key.as_string().unwrap_or_default();
        let value = member(given, &key, &name, depth)?;
        fields.push((name, value));
    }
    Ok(Value::Object(fields))
}

fn member(of: &JsValue, key: &JsValue, path: &str, depth: usize) -> Result<Value, Error> {
    let Ok(value) = Reflect::get(of, key) else {
        return Err(refuse("a getter that throws".to_owned()).within(path));
    };
    read(&value, depth + 1).map_err(|error| error.within(path))
}

/// An object literal, from any window or worker: nothing, or a prototype that ends there, is its prototype.
fn is_plain_object(given: &JsValue) -> bool {
    given.is_object()
        && Reflect::get_prototype_of(given).is_ok_and(|prototype| {
            prototype.is_null() || Reflect::get_prototype_of(&prototype).is_ok_and(|next| next.is_null())
        })
}

fn name_of_kind(given: &JsValue) -> String {
    if given.is_function() {
        return "a function".to_owned();
    }
    if !given.is_object() {
        // What is left: bigint and symbol.
        let kind = given.js_typeof().as_string().unwrap_or_default();
        return format!("a {kind}");
    }
    let constructor = Reflect::get(given, &JsValue::from_str("constructor"));
    let name = constructor.and_then(|made_by| Reflect::get(&made_by, &JsValue::from_str("name")));
    match name.ok().and_then(|name| name.as_string()).filter(|name| !name.is_empty()) {
        Some(name) => format!("an instance of {name}"),
        None => "an object that is not plain".to_owned(),
    }
}

fn refuse(given: String) -> Error {
    Error::WrongType {
        field: String::new(),
        given,
        expected: "plain data (objects, arrays, text, numbers, true, false, null)".to_owned(),
    }
}
