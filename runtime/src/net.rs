//! TCP as all parts of a node name it.
//! Knows nothing of what is sent.

#[cfg(not(feature = "simulation"))]
pub use tokio::net::{
    TcpListener, TcpStream,
    tcp::{OwnedReadHalf, OwnedWriteHalf},
};
#[cfg(feature = "simulation")]
pub use turmoil::net::{
    TcpListener, TcpStream,
    tcp::{OwnedReadHalf, OwnedWriteHalf},
};

/// Listens at an address. For each connection made there the system keeps about so many bytes that the other side has not taken.
#[cfg(not(feature = "simulation"))]
pub async fn listen(address: std::net::SocketAddr, unsent_max: u32) -> std::io::Result<TcpListener> {
    /// Connections that wait to be accepted.
    const WAITING_MAX: u32 = 1024;
    let socket = match address {
        std::net::SocketAddr::V4(_) => tokio::net::TcpSocket::new_v4()?,
        std::net::SocketAddr::V6(_) => tokio::net::TcpSocket::new_v6()?,
    };
    // As a plain bind does; accepted connections inherit both.
    socket.set_reuseaddr(true)?;
    socket.set_send_buffer_size(unsent_max)?;
    socket.bind(address)?;
    socket.listen(WAITING_MAX)
}

/// Listens at an address; a simulated system keeps what it likes.
#[cfg(feature = "simulation")]
pub async fn listen(address: std::net::SocketAddr, _unsent_max: u32) -> std::io::Result<TcpListener> {
    TcpListener::bind(address).await
}
