//! A session of our own tools: calls, their answers, and events.

use std::collections::VecDeque;
use std::time::Duration;

use serde::Deserialize as _;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};

use super::error::{ClientError, Waited};
use super::messages::Messages;
use super::refusal::Refusal;

/// How many events are kept while nobody asks for them; then the oldest goes.
const MOST_EVENTS: usize = 1_024;

/// Something that the gateway tells.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Its name.
    pub name: String,
    /// What there is to it.
    pub payload: Value,
}

/// An admitted connection. It is one task's: calls come one after another.
pub struct Session {
    messages: Messages,
    hello: Value,
    patience: Duration,
    calls: u64,
    events: VecDeque<Event>,
}

/// Without what the gateway said: that may hold a device token.
impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("target", &self.messages.target)
            .finish_non_exhaustive()
    }
}

/// The answer to the request with this id; `None` when the message is another one.
pub(super) fn answer(message: &Value, id: &str) -> Option<Result<Value, Refusal>> {
    if message.get("type")?.as_str()? != "res" || message.get("id")?.as_str()? != id {
        return None;
    }
    if message.get("ok").and_then(Value::as_bool) == Some(true) {
        return Some(Ok(message.get("payload").cloned().unwrap_or_default()));
    }
    let error = message.get("error").unwrap_or(&Value::Null);
    let refusal = Refusal::deserialize(error).unwrap_or_else(|_| Refusal {
        code: "UNKNOWN".to_owned(),
        message: "refused, and not said why".to_owned(),
        details: error.clone(),
        close: None,
        connection: None,
    });
    Some(Err(refusal))
}

impl Session {
    pub(super) fn new(messages: Messages, hello: Value, patience: Duration) -> Self {
        Session {
            messages,
            hello,
            patience,
            calls: 0,
            events: VecDeque::new(),
        }
    }

    /// What the gateway said on admission. It may hold a device token (`auth.deviceToken`).
    #[must_use]
    pub fn hello(&self) -> &Value {
        &self.hello
    }

    /// Where the gateway is.
    #[must_use]
    pub fn target(&self) -> &str {
        &self.messages.target
    }

    /// The scopes that it was admitted with, as the gateway says.
    #[must_use]
    pub fn scopes(&self) -> Vec<&str> {
        let scopes = self.hello.pointer("/auth/scopes").and_then(Value::as_array);
        scopes
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect()
    }

    /// Calls a method. Events that come meanwhile are kept.
    ///
    /// # Errors
    ///
    /// [`ClientError::Refused`] with the gateway's answer; any other when there is none.
    pub async fn call(&mut self, method: &str, params: Value) -> Result<Value, ClientError> {
        self.calls += 1;
        let id = self.calls.to_string();
        let frame = json!({ "type": "req", "id": id, "method": method, "params": params });
        let deadline = Instant::now() + self.patience;
        match timeout_at(deadline, self.messages.send(&frame)).await {
            Ok(sent) => sent?,
            Err(_) => return Err(self.messages.late(Waited::Call)),
        }
        loop {
            let message = match timeout_at(deadline, self.messages.next()).await {
                Ok(message) => message?,
                Err(_) => return Err(self.messages.late(Waited::Call)),
            };
            match answer(&message, &id) {
                Some(answer) => {
                    return answer.map_err(|refusal| ClientError::Refused(Box::new(refusal)));
                }
                None => self.keep(&message),
            }
        }
    }

    /// The next event, in the order in which they come; `None` when there is none within the
    /// time.
    ///
    /// # Errors
    ///
    /// [`ClientError`] when the gateway ended the session.
    pub async fn event(&mut self, within: Duration) -> Result<Option<Event>, ClientError> {
        let deadline = Instant::now() + within;
        while self.events.is_empty() {
            match timeout_at(deadline, self.messages.next()).await {
                Ok(message) => self.keep(&message?),
                Err(_) => return Ok(None),
            }
        }
        Ok(self.events.pop_front())
    }

    /// Says good-bye. A gateway that does not listen any more is left.
    pub async fn close(self) {
        self.messages.close().await;
    }

    fn keep(&mut self, message: &Value) {
        let Some(name) = message.get("event").and_then(Value::as_str) else {
            return;
        };
        if self.events.len() == MOST_EVENTS {
            self.events.pop_front();
        }
        self.events.push_back(Event {
            name: name.to_owned(),
            payload: message.get("payload").cloned().unwrap_or_default(),
        });
    }
}
