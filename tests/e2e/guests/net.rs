//! Sockets of Rust's standard library: `tcp ADDRESS` and `udp ADDRESS` talk to an echo, `serve N` answers N clients,
//! `name HOST:PORT` looks up.
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream, ToSocketAddrs, UdpSocket};

fn tcp(to: &str) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(to)?;
    println!("connected to {} of {}", stream.peer_addr()?, to);
    stream.set_nodelay(true).ok();
    let text: Vec<u8> = (0..500_000u32).map(|i| (i * 7 >> 3) as u8).collect();
    for part in text.chunks(50_000) {
        stream.write_all(part)?;
        let mut back = vec![0; part.len()];
        stream.read_exact(&mut back)?;
        assert_eq!(back, part);
    }
    stream.shutdown(Shutdown::Write)?;
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest)?;
    println!("echoed {} bytes, {} behind", text.len(), rest.len());
    Ok(())
}

fn udp(to: &str) -> std::io::Result<()> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.connect(to)?;
    socket.send(b"datagram")?;
    let mut buffer = [0; 100];
    let n = socket.recv(&mut buffer)?;
    println!("echoed {:?}", std::str::from_utf8(&buffer[..n]).unwrap());
    Ok(())
}

fn serve(count: usize) -> std::io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("listening {}", listener.local_addr()?);
    for stream in listener.incoming().take(count) {
        let mut stream = stream?;
        let mut buffer = [0; 5000];
        loop {
            let n = stream.read(&mut buffer)?;
            if n == 0 {
                break;
            }
            stream.write_all(&buffer[..n])?;
        }
    }
    Ok(())
}

fn name(host: &str) -> std::io::Result<()> {
    for address in host.to_socket_addrs()? {
        println!("{address}");
    }
    Ok(())
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let done = match args[1].as_str() {
        "tcp" => tcp(&args[2]),
        "udp" => udp(&args[2]),
        "serve" => serve(args[2].parse().unwrap()),
        _ => name(&args[2]),
    };
    if let Err(error) = done {
        println!("error {:?}", error.kind());
        std::process::exit(1);
    }
}
