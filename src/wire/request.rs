//! The envelope of a request: `{ type: "req", id, method, params? }`, before admission and after
//! it (reference 1.3). What the parameters have to be is the method's.

use std::fmt;

use serde::de::{Deserializer as _, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

use super::check::{Object, Path, Violations};
use super::close::Close;
use super::frame::{self, FrameError};
use super::schema::Schema;

/// A request of a session.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// What its response is known by.
    pub id: Box<str>,
    /// What is to be done.
    pub method: Box<str>,
    /// With what; null where nothing is.
    pub params: Value,
}

/// Why a message of a session is no request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// It is no JSON: the session is closed.
    #[error(transparent)]
    Message(#[from] FrameError),
    /// It is larger than is read: the session is told so, and goes on.
    #[error("request too large: what the gateway answers itself may have {most} bytes")]
    TooLarge {
        /// Its id, if that is at its beginning; else `invalid`.
        id: Box<str>,
        /// How many bytes it may have.
        most: usize,
    },
    /// It is JSON and no request: the session is told so, and goes on.
    #[error("invalid request frame: {wrong}")]
    Frame {
        /// Its id, if it has one; else `invalid`.
        id: Box<str>,
        /// What is wrong, in the words of the schema.
        wrong: String,
    },
}

impl RequestError {
    /// How the connection is closed, if it is.
    #[must_use]
    pub fn close(&self) -> Option<Close> {
        match self {
            RequestError::Message(error) => Some(error.close()),
            RequestError::TooLarge { .. } | RequestError::Frame { .. } => None,
        }
    }

    /// The id that it is answered by, if it is.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        match self {
            RequestError::Message(_) => None,
            RequestError::TooLarge { id, .. } | RequestError::Frame { id, .. } => Some(id),
        }
    }
}

/// The id of what has none.
const NO_ID: &str = "invalid";

/// Reads a message of an admitted client, of up to `most` bytes. Of a larger one only the beginning
/// is looked at.
///
/// # Errors
///
/// [`RequestError`].
pub fn parse(message: &[u8], most: usize, schema: &Schema<'_>) -> Result<Request, RequestError> {
    if message.len() > most {
        let id = id_within(message.get(..most).unwrap_or_default());
        let id = id.filter(|id| !id.is_empty());
        return Err(RequestError::TooLarge {
            id: id.unwrap_or_else(|| NO_ID.into()),
            most,
        });
    }
    let mut frame = frame::read(message, most)?;
    let mut wrong = Violations::new(schema.wording);
    let id = envelope(&frame, schema, &mut wrong).map(Box::<str>::from);
    let (Some(id), None) = (id, wrong.first_pointer()) else {
        let id = frame.get("id").and_then(Value::as_str);
        let id = id.filter(|id| !id.is_empty()).unwrap_or(NO_ID).into();
        let wrong = wrong.phrase();
        return Err(RequestError::Frame { id, wrong });
    };
    let mut take = |name: &str| frame.get_mut(name).map(Value::take);
    let method = match take("method") {
        Some(Value::String(method)) => method.into(),
        _ => Box::default(),
    };
    Ok(Request {
        id,
        method,
        params: take("params").unwrap_or(Value::Null),
    })
}

/// The id of a request whose end is missing, if it stands before what is missing.
fn id_within(beginning: &[u8]) -> Option<Box<str>> {
    /// Takes the first id.
    struct Id<'a>(&'a mut Option<Box<str>>);

    impl<'de> Visitor<'de> for Id<'_> {
        type Value = ();

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
            while let Some(name) = map.next_key::<String>()? {
                if name == "id" {
                    *self.0 = Some(map.next_value()?);
                    break;
                }
                map.next_value::<IgnoredAny>()?;
            }
            Ok(())
        }
    }

    let mut id = None;
    // It ends in an error, wherever its end is.
    let _ = serde_json::Deserializer::from_slice(beginning).deserialize_map(Id(&mut id));
    id
}

/// Checks the envelope; `method` may be any name, and `params` anything. Gives the id.
pub(super) fn envelope<'a>(
    frame: &'a Value,
    schema: &Schema<'_>,
    wrong: &mut Violations,
) -> Option<&'a str> {
    let required = ["type", "id", "method"];
    let known = schema.known(
        &["type", "id", "method", "params"],
        &["traceparent", "expectedProfileId"],
    );
    let object = Object::closed(frame, &Path::Root, &required, &known, wrong)?;
    object.word("type", |word| (word == "req").then_some(()), wrong);
    let id = object.name("id", wrong);
    object.name("method", wrong);
    object.short("traceparent", 128, wrong);
    object.short("expectedProfileId", 128, wrong);
    id
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Compatibility;

    #[test]
    fn a_message_is_a_request_or_says_why_not() {
        let constants = Compatibility::default();
        let schema = Schema::of(&constants);
        let said = |message: &str| match parse(message.as_bytes(), 100, &schema) {
            Ok(request) => format!("{} {} {}", request.id, request.method, request.params),
            Err(error) => match (&error, error.close()) {
                (_, None) => format!("{}: {error}", error.id().unwrap()),
                (_, close) => format!("{error}: closed with {}", close.unwrap().code),
            },
        };
        // The end is beyond what is read.
        let large = |beginning: &str| format!("{beginning}\"{}\"}}", "x".repeat(100));
        let cases = [
            (
                r#"{"type":"req","id":"1","method":"health"}"#,
                "1 health null",
            ),
            (
                r#"{"type":"req","id":"1","method":"x","params":[1]}"#,
                "1 x [1]",
            ),
            (
                r#"{"type":"req","id":"1"}"#,
                "1: invalid request frame: must have required property 'method'",
            ),
            (
                r#"{"type":"res","id":"","method":"x"}"#,
                "invalid: invalid request frame: at /type: must be equal to one of the allowed values; at /id: must not have fewer than 1 characters",
            ),
            ("[]", "invalid: invalid request frame: must be object"),
            ("{", "the message is not JSON: closed with 1000"),
            (
                &large(r#"{"type":"req","id":"1","method":"x","params":"#),
                "1: request too large: what the gateway answers itself may have 100 bytes",
            ),
            (
                &large(r#"{"type":"req","\u0069d":"\u0031","id":"2","params":"#),
                "1: request too large: what the gateway answers itself may have 100 bytes",
            ),
            (
                &large(r#"{"id":"","params":"#),
                "invalid: request too large: what the gateway answers itself may have 100 bytes",
            ),
            (
                &large(r#"{"id":["1"],"params":"#),
                "invalid: request too large: what the gateway answers itself may have 100 bytes",
            ),
            (
                &large(r#"{"params":[1],"id":"#),
                "invalid: request too large: what the gateway answers itself may have 100 bytes",
            ),
            (
                &"x".repeat(101),
                "invalid: request too large: what the gateway answers itself may have 100 bytes",
            ),
        ];
        for (message, expected) in cases {
            assert_eq!(said(message), expected);
        }
    }
}
