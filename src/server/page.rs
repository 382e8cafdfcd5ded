//! What is asked over HTTP and answered by the upstream: the guards that a WebSocket passes, and
//! then bodies both ways, each at the pace of whoever takes it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http_body_util::Either;
use hyper::Request;
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::http::request;

use super::connection::{Doorway, What, guarded, whose};
use super::http::{self, Answer};
use super::metrics::Over;
use super::waiting::Place;
use crate::relay::Upstream;
use crate::relay::http::{FromBehind, NoAnswer, Pace, Paced, Path, Stays};

/// What the gateway answers itself, whatever is listed.
const OWN: [&str; 3] = ["/healthz", "/readyz", "/metrics"];

/// How long a connection is kept for another request. A browser asks for the parts of a page at
/// once; but the last of an answer may still be on its way to a slow one.
const KEPT: Duration = Duration::from_secs(10);

/// How often the upstream's own time a connection has: the upstream is found out first.
const TIMES: u32 = 3;

/// The body of an answer of the upstream. Its client counts as one that waits until it is over.
pub(super) struct Passing {
    body: Paced<FromBehind>,
    _place: Place,
}

/// Answers a request that asks for no WebSocket.
pub(super) async fn answer(
    door: &Doorway<'_>,
    pace: &Arc<Pace>,
    request: Request<Incoming>,
) -> Answer {
    let shared = door.shared;
    let upstream = shared.upstream();
    let upstream = upstream.filter(|upstream| !upstream.options().paths.is_empty());
    let Some(upstream) = upstream.filter(|_| !OWN.contains(&request.uri().path())) else {
        return http::page(shared, door.socket, &request);
    };
    let mut judged = http::head(&request);
    let (asked, body) = request.into_parts();
    let head = match head(&upstream, &asked) {
        Ok(head) => head,
        Err(stays) => return http::stays(&stays),
    };
    // What the policy judges is what the server behind is asked for, however it was spelled.
    judged.path = head.uri.to_string().into();
    let (upgrade, _, place) = match guarded(door, &judged, What::Page) {
        Ok(passed) => passed,
        Err(refusal) => return http::refused(&refusal, door.id),
    };
    if let Some(seat) = door.seat {
        seat.is_of(whose(&upgrade));
    }
    let patience = upstream.options().patience * TIMES;
    let body = Paced::new(body, Arc::clone(pace), patience, patience);
    let answer = upstream.fetch(head, body).await;
    let metrics = &shared.record.metrics;
    metrics.upstream_asked(Over::Http, answer.is_ok());
    match answer {
        Ok(answer) => answer.map(|body| {
            Either::Right(Box::new(Passing {
                body: Paced::new(body, Arc::clone(pace), patience, KEPT),
                _place: place,
            }))
        }),
        Err(error) => http::no_answer(&error),
    }
}

/// The head that goes to the upstream.
fn head(upstream: &Upstream, asked: &request::Parts) -> Result<request::Parts, Stays> {
    let is_own = |path: Path| OWN.iter().any(|own| path.is_within(own));
    if Path::parse(asked.uri.path()).is_ok_and(is_own) {
        return Err(Stays::NotListed);
    }
    upstream.passes(asked)
}

impl Body for Passing {
    type Data = Bytes;
    type Error = NoAnswer;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, NoAnswer>>> {
        Pin::new(&mut self.get_mut().body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
