//! Calls of the program around the gateway to the server behind: each waits for the answer with
//! its id. What the server tells besides is not heard.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

use super::gateway::lock;
use super::session::Session;
use super::sessions::Live;
use crate::relay::{Came, FromUpstream, Link, Open, ToUpstream, Upstream};
use crate::wire::Close;
use crate::wire::reply::{CallError, ErrorCode};

/// How long the server may take to hear of the end.
const CLOSING: Duration = Duration::from_secs(2);

/// Whoever waits for the answer with an id. Nothing once the connection is over.
type Waiting = Arc<Mutex<Option<HashMap<String, oneshot::Sender<Value>>>>>;

/// The way there. Nothing once the connection is over.
type To = Arc<tokio::sync::Mutex<Option<ToUpstream>>>;

/// A connection to the server behind, for calls.
pub(super) struct Behind {
    to: To,
    waiting: Waiting,
    calls: AtomicU64,
    upstream: Arc<Upstream>,
    reader: JoinHandle<()>,
    _open: Open,
}

/// Nobody reads what nobody waits for.
impl Drop for Behind {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

impl Behind {
    /// Takes a connection; it ends with the session, whether that is called or not.
    pub(super) fn new(upstream: Arc<Upstream>, link: Link, session: &Arc<Session>) -> Self {
        let (to, from) = link.split();
        let waiting: Waiting = Arc::new(Mutex::new(Some(HashMap::new())));
        let to: To = Arc::new(tokio::sync::Mutex::new(Some(to)));
        let reader = {
            let (upstream, waiting, to) = (upstream.clone(), waiting.clone(), to.clone());
            let (session, live) = (Arc::downgrade(session), Arc::clone(&session.live));
            async move {
                read(from, &upstream, &waiting, session, &live).await;
                // Those that wait hear that nothing comes.
                *lock(&waiting) = None;
                if let Some(mut to) = to.lock().await.take() {
                    let _ = timeout(CLOSING, to.close(&Close::new(1000, ""))).await;
                }
            }
        };
        Behind {
            reader: tokio::spawn(reader),
            to,
            waiting,
            calls: AtomicU64::new(0),
            _open: upstream.count(),
            upstream,
        }
    }

    /// Calls a method there.
    pub(super) async fn call(&self, method: &str, params: &Value) -> Result<Value, CallError> {
        let id = self.calls.fetch_add(1, Ordering::Relaxed).to_string();
        let (answer, answered) = oneshot::channel();
        match &mut *lock(&self.waiting) {
            Some(waiting) => waiting.insert(id.clone(), answer),
            None => return Err(gone()),
        };
        let mut frame = json!({ "type": "req", "id": id, "method": method });
        if let (false, Some(object)) = (params.is_null(), frame.as_object_mut()) {
            object.insert("params".to_owned(), params.clone());
        }
        let names = self.upstream.names();
        let text = names.asked(frame.to_string().into());
        let sent = match &mut *self.to.lock().await {
            Some(to) => to.send(Message::Text(text)).await.is_ok(),
            None => false,
        };
        if !sent {
            return Err(gone());
        }
        let mut answer = answered.await.map_err(|_| gone())?;
        match answer.get("ok").and_then(Value::as_bool) {
            Some(true) => Ok(answer
                .get_mut("payload")
                .map(Value::take)
                .unwrap_or_default()),
            _ => Err(failed(answer.get("error").unwrap_or(&Value::Null))),
        }
    }
}

/// Gives each answer to whom it is for, until the connection or the session ends.
async fn read(
    mut from: FromUpstream,
    upstream: &Upstream,
    waiting: &Waiting,
    session: Weak<Session>,
    live: &Live,
) {
    loop {
        let message = tokio::select! {
            end = live.called() => {
                let goes_on = session.upgrade().is_some_and(|session| session.check().is_ok());
                match end.is_none() && goes_on {
                    true => continue,
                    false => break,
                }
            }
            came = from.next() => match came {
                Came::Message(Message::Text(text)) => upstream.names().told(text),
                Came::Message(_) => continue,
                Came::Closed(_) | Came::TooLarge | Came::Lost(_) => break,
            },
        };
        let Ok(message) = serde_json::from_str::<Value>(&message) else {
            continue;
        };
        let id = message.get("id").and_then(Value::as_str);
        let Some(id) = id.filter(|_| message.get("type").is_some_and(|kind| kind == "res")) else {
            continue;
        };
        let waits = lock(waiting)
            .as_mut()
            .and_then(|waiting| waiting.remove(id));
        if let Some(waits) = waits {
            // Whoever asked may have given up.
            let _ = waits.send(message);
        }
    }
}

fn gone() -> CallError {
    CallError {
        code: ErrorCode::Unavailable,
        message: "the server behind the gateway is gone: connect again".to_owned(),
        retryable: Some(true),
        details: None,
    }
}

fn failed(error: &Value) -> CallError {
    let text = |name: &str| error.get(name).and_then(Value::as_str);
    let message = text("message").unwrap_or("refused, and not said why");
    let code = text("code").unwrap_or_default();
    let known = ErrorCode::parse(code);
    CallError {
        code: known.unwrap_or(ErrorCode::InvalidRequest),
        // A code that there is none of here is told with the words.
        message: match known {
            Some(_) => message.to_owned(),
            None => format!("{message} ({code})"),
        },
        retryable: error.get("retryable").and_then(Value::as_bool),
        details: error.get("details").cloned(),
    }
}
