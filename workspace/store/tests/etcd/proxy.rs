//! A network between a client and etcd that loses what it is told to.

use std::io;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What becomes of bytes on their way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Network {
    /// They arrive.
    Whole,
    /// What the client says arrives; the answers are lost.
    NoAnswers,
    /// Nothing arrives.
    Down,
}

pub(crate) struct Proxy {
    pub(crate) endpoint: String,
    network: watch::Sender<Network>,
}

impl Proxy {
    pub(crate) async fn before(endpoint: &str) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (network, told) = watch::channel(Network::Whole);
        let proxy = Proxy { endpoint: listener.local_addr().unwrap().to_string(), network };
        let endpoint: Arc<str> = endpoint.into();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, Arc::clone(&endpoint), told.clone()));
            }
        });
        proxy
    }

    /// Connections from before a [`Network::Whole`] are broken by it: what was lost stays lost.
    pub(crate) fn set(&self, network: Network) {
        self.network.send_replace(network);
    }
}

async fn carry(client: TcpStream, endpoint: Arc<str>, mut network: watch::Receiver<Network>) {
    let Ok(server) = TcpStream::connect(&*endpoint).await else { return };
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    let there = copy(from_client, to_server, network.clone(), |network| network != Network::Down);
    let back = copy(from_server, to_client, network.clone(), |network| network == Network::Whole);
    let mended = async {
        let _ = network.wait_for(|network| *network != Network::Whole).await;
        let _ = network.wait_for(|network| *network == Network::Whole).await;
    };
    tokio::select! {
        _ = there => {}
        _ = back => {}
        () = mended => {}
    }
}

async fn copy(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    network: watch::Receiver<Network>,
    arrives: fn(Network) -> bool,
) -> io::Result<()> {
    let mut buffer = vec![0; 1 << 16];
    loop {
        let count = from.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        let now = *network.borrow();
        if arrives(now) {
            to.write_all(&buffer[..count]).await?;
        }
    }
}
