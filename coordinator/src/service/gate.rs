//! The one door: what comes in goes to the engine here, or to the coordinator that leads.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::{Arc, PoisonError, RwLock},
    task::{Context, Poll},
};

use axum::{
    Router,
    body::Body,
    http::{Request, Response},
};
use tonic::{Status, transport::Channel};
use tower::{Service, ServiceExt};

/// Where requests go.
#[derive(Clone)]
enum Role {
    /// This coordinator leads.
    Lead(Router),
    /// Another one does.
    Follow(Channel),
    /// Nobody does, for now.
    Nobody,
}

/// The one door of a coordinator: a follower passes everything on to the leader, reads, writes and
/// workers' sessions alike, so whoever knows one address of many gets along.
#[derive(Clone)]
pub(super) struct Gate {
    role: Arc<RwLock<Role>>,
}

impl Gate {
    pub(super) fn new() -> Gate {
        Gate { role: Arc::new(RwLock::new(Role::Nobody)) }
    }

    /// This coordinator leads: `router` answers.
    pub(super) fn lead(&self, router: Router) {
        self.set(Role::Lead(router));
    }

    /// The coordinator at the other end leads.
    pub(super) fn follow(&self, channel: Channel) {
        self.set(Role::Follow(channel));
    }

    /// Nobody leads.
    pub(super) fn close(&self) {
        self.set(Role::Nobody);
    }

    fn set(&self, role: Role) {
        *self.role.write().unwrap_or_else(PoisonError::into_inner) = role;
    }
}

impl Service<Request<Body>> for Gate {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let role = self.role.read().unwrap_or_else(PoisonError::into_inner).clone();
        Box::pin(async move {
            match role {
                Role::Lead(router) => router.oneshot(request).await,
                Role::Follow(leader) => match leader.oneshot(request.map(tonic::body::Body::new)).await {
                    Ok(response) => Ok(response.map(Body::new)),
                    Err(why) => {
                        Ok(unavailable(&format!("the coordinator that leads does not answer: {why}")))
                    }
                },
                Role::Nobody => Ok(unavailable("no coordinator leads at the moment; ask again")),
            }
        })
    }
}

fn unavailable(why: &str) -> Response<Body> {
    Status::unavailable(why).into_http()
}
