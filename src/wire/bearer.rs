//! A bearer token in the head of a request for a WebSocket, and the subprotocols beside it.
//!
//! A program sends `Authorization: Bearer TOKEN`. A page in a browser cannot, so it offers the
//! token as a subprotocol, `gw.bearer.` and the token in base64url without padding; and
//! `gw.bearer` beside it where it speaks no subprotocol with the server, because browsers want one
//! of theirs to be chosen:
//!
//! ```js
//! new WebSocket(url, ["gw.bearer", "gw.bearer." + base64url(token)])
//! ```

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::secret::Secret;

/// The subprotocol of who speaks none with the server: nothing but that it is chosen.
pub const NEUTRAL: &str = "gw.bearer";

/// What a token follows as a subprotocol.
const PREFIX: &str = "gw.bearer.";

/// What a head says: a token, where it has one, and what is offered to the server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bearer {
    /// The token, however it was sent.
    pub token: Option<Secret>,
    /// The subprotocols that are the server's to choose from, in the client's order.
    pub offered: Vec<Box<str>>,
    /// Whether [`NEUTRAL`] was offered.
    pub neutral: bool,
}

/// Why a head cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BearerError {
    /// Two tokens.
    #[error(
        "the token is sent more than once: send it in one `Authorization` header, or as one \
         subprotocol `gw.bearer.…`"
    )]
    Twice,
    /// What follows `Bearer` is no token.
    #[error("`Authorization: Bearer` is followed by one token, without spaces in it")]
    Header,
    /// What follows the prefix is no token.
    #[error("what follows `gw.bearer.` is the token in base64url, without `=` at its end")]
    Encoding,
    /// A list that is none.
    #[error("`Sec-WebSocket-Protocol` is a list of names with commas between them")]
    Subprotocol,
}

impl Bearer {
    /// Reads the headers of a request: names in any case. Credentials of another scheme than
    /// `Bearer` are none.
    ///
    /// # Errors
    ///
    /// [`BearerError`] where a token is there and cannot be told for sure.
    pub fn read<'a>(
        headers: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, BearerError> {
        let mut read = Bearer::default();
        let mut authorized = false;
        for (name, value) in headers {
            if name.eq_ignore_ascii_case("authorization") {
                if std::mem::replace(&mut authorized, true) {
                    return Err(BearerError::Twice);
                }
                if let Some(token) = of_header(value)? {
                    read.put(token)?;
                }
            } else if name.eq_ignore_ascii_case("sec-websocket-protocol") {
                for offered in value.split(',') {
                    read.offer(offered.trim_matches([' ', '\t']))?;
                }
            }
        }
        Ok(read)
    }

    fn put(&mut self, token: Secret) -> Result<(), BearerError> {
        match self.token.replace(token) {
            None => Ok(()),
            Some(_) => Err(BearerError::Twice),
        }
    }

    fn offer(&mut self, name: &str) -> Result<(), BearerError> {
        if !is_token(name) {
            return Err(BearerError::Subprotocol);
        }
        let prefix = name.get(..PREFIX.len()).unwrap_or_default();
        if name == NEUTRAL {
            self.neutral = true;
        } else if prefix.eq_ignore_ascii_case(PREFIX) {
            // In another case it is meant so too, and holds a secret that is not the server's.
            let encoded = name.get(PREFIX.len()..).unwrap_or_default();
            let bytes = URL_SAFE_NO_PAD.decode(encoded).ok();
            let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
            let token = text.map(|text| Secret::new(&text));
            let token = token.filter(|token| !token.is_blank());
            self.put(token.ok_or(BearerError::Encoding)?)?;
        } else {
            self.offered.push(name.into());
        }
        Ok(())
    }
}

fn of_header(value: &str) -> Result<Option<Secret>, BearerError> {
    let value = value.trim_matches([' ', '\t']);
    let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Ok(None);
    }
    let token = token.trim_start_matches(' ');
    let is_one = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
    match is_one {
        true => Ok(Some(Secret::new(token))),
        false => Err(BearerError::Header),
    }
}

/// RFC 9110, 5.6.2.
fn is_token(text: &str) -> bool {
    let may_stand = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(may_stand)
}

#[cfg(test)]
mod tests {
    use super::*;

    const AUTH: &str = "Authorization";
    const OFFER: &str = "Sec-WebSocket-Protocol";

    #[test]
    fn a_token_is_found_in_either_place() {
        // In base64url: s3cret, and a pass phrase that a header could not hold.
        for (headers, token, offered, neutral) in [
            (vec![], None, vec![], false),
            (vec![(AUTH, "Bearer s3cret")], Some("s3cret"), vec![], false),
            (
                vec![("authorization", " bearer  s3cret ")],
                Some("s3cret"),
                vec![],
                false,
            ),
            (vec![(AUTH, "Basic czNjcmV0")], None, vec![], false),
            (
                vec![(OFFER, "chat, gw.bearer.czNjcmV0,superchat")],
                Some("s3cret"),
                vec!["chat", "superchat"],
                false,
            ),
            (
                vec![(OFFER, "gw.bearer"), (OFFER, "gw.bearer.cMOkw58gd29ydA")],
                Some("päß wort"),
                vec![],
                true,
            ),
            (vec![(OFFER, "gw.bearers")], None, vec!["gw.bearers"], false),
        ] {
            let read = Bearer::read(headers.iter().copied()).unwrap();
            let found = read.token.as_ref().map(Secret::expose);
            assert_eq!(found, token, "{headers:?}");
            let names: Vec<&str> = read.offered.iter().map(|name| &**name).collect();
            assert_eq!((names, read.neutral), (offered, neutral), "{headers:?}");
        }
    }

    #[test]
    fn what_cannot_be_told_for_sure_is_an_error() {
        for (headers, error) in [
            (
                vec![(AUTH, "Bearer a"), (AUTH, "Bearer a")],
                BearerError::Twice,
            ),
            (
                vec![(AUTH, "Basic a"), (AUTH, "Bearer a")],
                BearerError::Twice,
            ),
            (
                vec![(AUTH, "Bearer a"), (OFFER, "gw.bearer.YQ")],
                BearerError::Twice,
            ),
            (
                vec![(OFFER, "gw.bearer.YQ, gw.bearer.YQ")],
                BearerError::Twice,
            ),
            (vec![(AUTH, "Bearer")], BearerError::Header),
            (vec![(AUTH, "Bearer a b")], BearerError::Header),
            (vec![(AUTH, "Bearer a, Bearer b")], BearerError::Header),
            (vec![(AUTH, "Bearer \u{e9}")], BearerError::Header),
            (vec![(OFFER, "gw.bearer.")], BearerError::Encoding),
            (vec![(OFFER, "gw.bearer.YQ==")], BearerError::Subprotocol),
            (vec![(OFFER, "gw.bearer.Y+")], BearerError::Encoding),
            (vec![(OFFER, "gw.bearer._w")], BearerError::Encoding),
            (vec![(OFFER, "a,,b")], BearerError::Subprotocol),
            (vec![(OFFER, "a b")], BearerError::Subprotocol),
        ] {
            let read = Bearer::read(headers.iter().copied());
            assert_eq!(read, Err(error), "{headers:?}");
        }
    }

    #[test]
    fn a_token_is_not_shown() {
        let read = Bearer::read([(AUTH, "Bearer s3cret")].into_iter()).unwrap();
        assert!(!format!("{read:?}").contains("s3cret"));
    }
}
