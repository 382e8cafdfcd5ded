//! What stands for what: `<…>` in the texts of a case.

use serde_json::Value;

use crate::scenario::{PASSWORD, TOKEN, WRONG, device_token};
use crate::sign::Identity;

/// What `<…>` stands for in every case.
pub(crate) fn constant(words: &str) -> Result<String, String> {
    let words: Vec<&str> = words.split(' ').collect();
    Ok(match *words.as_slice() {
        ["shared"] => TOKEN.to_owned(),
        ["password"] => PASSWORD.to_owned(),
        ["wrong"] => WRONG.to_owned(),
        ["device-token", role] => device_token(role),
        ["device", name] => Identity::named(name).id,
        _ => return Err(format!("`<{}>` stands for nothing", words.join(" "))),
    })
}

/// What the words of `<…>` stand for.
pub(crate) type Known<'a> = &'a dyn Fn(&str) -> Result<String, String>;

pub(crate) fn substituted(text: &str, known: Known<'_>) -> Result<String, String> {
    let mut read = String::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('<') {
        let (words, after) = behind.split_once('>').ok_or("`<` without `>`")?;
        read.push_str(before);
        read.push_str(&known(words)?);
        rest = after;
    }
    read.push_str(rest);
    Ok(read)
}

pub(crate) fn substituted_in(value: &Value, known: Known<'_>) -> Result<Value, String> {
    Ok(match value {
        Value::String(text) => substituted(text, known)?.into(),
        Value::Array(elements) => {
            let each = elements
                .iter()
                .map(|element| substituted_in(element, known));
            Value::Array(each.collect::<Result<_, _>>()?)
        }
        Value::Object(properties) => {
            let each = properties.iter();
            let each = each.map(|(name, value)| Ok((name.clone(), substituted_in(value, known)?)));
            Value::Object(each.collect::<Result<_, String>>()?)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    })
}
