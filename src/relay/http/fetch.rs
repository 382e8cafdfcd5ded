//! One request to the upstream, and its answer: a connection for each, and bodies that pass as they
//! are taken.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::client::conn::http1::Builder;
use hyper::http::request;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::task::JoinSet;
use tokio::time::{Instant, Sleep, sleep_until};

use super::head::{self, Stays};
use super::pace::{Pace, Paced};
use crate::client::{ClientError, Patience, dial};
use crate::relay::Upstream;

/// The largest head of an answer, and how much of an answer waits for the client to take it.
const MOST_HELD: usize = 32 * 1_024;

/// The body of an answer, as it comes.
#[derive(Debug)]
pub struct FromBehind {
    body: Incoming,
    upstream: Arc<Upstream>,
    /// When the next part is here at the latest.
    next: Pin<Box<Sleep>>,
    /// The connection, which ends with this.
    _connection: JoinSet<()>,
}

impl Upstream {
    /// The head of a request, as it goes to the upstream.
    ///
    /// # Errors
    ///
    /// [`Stays`]: it does not go there.
    pub fn passes(&self, asked: &request::Parts) -> Result<request::Parts, Stays> {
        head::request(asked, &self.options().paths, &self.options().target)
    }

    /// Asks the upstream. The head is one that [`Upstream::passes`] made. Whoever drops the
    /// answer ends it.
    ///
    /// # Errors
    ///
    /// [`NoAnswer`].
    pub async fn fetch<B>(
        self: &Arc<Self>,
        head: request::Parts,
        body: B,
    ) -> Result<Response<FromBehind>, NoAnswer>
    where
        B: Body + Send + Unpin + 'static,
        B::Data: Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let patience = self.options().patience;
        // What the client takes its time to send is not the upstream's.
        let pace = Arc::new(Pace::new(Instant::now() + patience));
        let body = Paced::new(body, Arc::clone(&pace), patience, patience);
        let answered = tokio::select! {
            answered = self.ask(Request::from_parts(head, body)) => answered,
            () = pace.over() => Err(NoAnswer::Late(patience)),
        };
        self.answered(answered)
    }

    async fn ask<B>(self: &Arc<Self>, request: Request<B>) -> Result<Response<FromBehind>, NoAnswer>
    where
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let options = self.options();
        let patience = Patience {
            connection: options.patience,
            handshake: options.patience,
            call: options.patience,
        };
        let (stream, _) = dial(&options.target, options.trust, patience).await?;
        let (mut sender, connection) = Builder::new()
            .max_buf_size(MOST_HELD)
            .handshake(TokioIo::new(stream))
            .await?;
        let mut running = JoinSet::new();
        running.spawn(async {
            // How it ends is told where the answer is waited for.
            let _ = connection.await;
        });
        let answer = sender.send_request(request).await?;
        if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
            return Err(NoAnswer::Switches);
        }
        let (mut head, body) = answer.into_parts();
        head::answer(&mut head.headers, &options.target);
        let body = FromBehind {
            body,
            upstream: Arc::clone(self),
            next: Box::pin(sleep_until(Instant::now() + options.patience)),
            _connection: running,
        };
        Ok(Response::from_parts(head, body))
    }
}

impl FromBehind {
    fn patience(&self) -> Duration {
        self.upstream.options().patience
    }
}

impl Body for FromBehind {
    type Data = Bytes;
    type Error = NoAnswer;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, NoAnswer>>> {
        let this = self.get_mut();
        let broke = match Pin::new(&mut this.body).poll_frame(context) {
            Poll::Ready(Some(Err(error))) => NoAnswer::BrokeOff(error),
            Poll::Ready(frame) => {
                let next = Instant::now() + this.patience();
                this.next.as_mut().reset(next);
                return Poll::Ready(frame.map(|frame| frame.map_err(NoAnswer::BrokeOff)));
            }
            Poll::Pending => {
                ready!(this.next.as_mut().poll(context));
                NoAnswer::Stopped(this.patience())
            }
        };
        Poll::Ready(Some(this.upstream.answered(Err(broke))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Why the upstream gives no answer over HTTP, or not all of it.
#[derive(Debug, thiserror::Error)]
pub enum NoAnswer {
    /// It is not there.
    #[error("{}", crate::relay::error::words(.0))]
    Away(#[from] ClientError),
    /// It took too long.
    #[error("it did not answer a request within {}", humantime::format_duration(*.0))]
    Late(Duration),
    /// The client did not send all of its request.
    #[error("the client did not send all of its request")]
    NotSent(hyper::Error),
    /// It closed the connection in place of an answer, or what it says is no HTTP.
    #[error("it gives no answer in HTTP: {}", told(.0))]
    NoHttp(hyper::Error),
    /// It goes on in another protocol, which nobody asked it for.
    #[error("it answers a request with 101, for which it was not asked")]
    Switches,
    /// It was gone in the middle.
    #[error("it broke off in the middle of an answer: {}", told(.0))]
    BrokeOff(hyper::Error),
    /// It said nothing more in the middle.
    #[error("it stopped for {} in the middle of an answer", humantime::format_duration(*.0))]
    Stopped(Duration),
}

/// The client's doing is told apart from the upstream's.
impl From<hyper::Error> for NoAnswer {
    fn from(error: hyper::Error) -> Self {
        match error.is_user() {
            true => NoAnswer::NotSent(error),
            false => NoAnswer::NoHttp(error),
        }
    }
}

/// With what is behind it, which the library does not say by itself.
fn told(error: &hyper::Error) -> String {
    use std::error::Error as _;
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
