//! The port over real sockets.

use tokio::net::TcpStream;
use tokio::sync::oneshot;

use super::*;
use crate::{Addr, MasterView};

fn view(primary: Option<u16>) -> SentinelView {
    let addr = |port| Addr { ip: "127.0.0.1".into(), port, runid: "r".into() };
    let master =
        MasterView { name: "shop".into(), primary: primary.map(addr), ..MasterView::default() };
    SentinelView { masters: vec![master], me: addr(26379) }
}

async fn expect(stream: &mut TcpStream, want: &str) {
    let mut got = vec![0; want.len()];
    timeout(Duration::from_secs(10), stream.read_exact(&mut got)).await.unwrap().unwrap();
    assert_eq!(String::from_utf8(got).unwrap(), want);
}

#[tokio::test]
async fn a_listener_hears_of_a_switch_and_then_is_told_the_new_address() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let (feed, fed) = watch::channel(view(Some(1)));
    let (stop, stopped) = oneshot::channel::<()>();
    let failover: Failover =
        Arc::new(|name| Box::pin(async move { Err(format!("NOGOODSLAVE {name}")) }));
    let settings = SentinelSettings { password: None, tls: None, failover };
    let served = tokio::spawn(serve(listener, fed, settings, async {
        stopped.await.unwrap_or(());
    }));

    let mut listening = TcpStream::connect(at).await.unwrap();
    listening.write_all(b"HELLO 3\r\nSUBSCRIBE +switch-master\r\n").await.unwrap();
    let mut hello =
        String::from("%6\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$5\r\n7.2.4\r\n");
    hello.push_str("$5\r\nproto\r\n:3\r\n$2\r\nid\r\n:1\r\n$4\r\nmode\r\n$8\r\nsentinel\r\n");
    hello.push_str(
        "$7\r\nmodules\r\n*0\r\n>3\r\n$9\r\nsubscribe\r\n$14\r\n+switch-master\r\n:1\r\n",
    );
    expect(&mut listening, &hello).await;

    feed.send_replace(view(Some(2)));
    let said =
        ">3\r\n$7\r\nmessage\r\n$14\r\n+switch-master\r\n$28\r\nshop 127.0.0.1 1 127.0.0.1 2\r\n";
    expect(&mut listening, said).await;
    let said = said.replace("$28\r\nshop", "$32\r\nmymaster");
    expect(&mut listening, &said).await;
    listening.write_all(b"SENTINEL get-master-addr-by-name shop\r\n").await.unwrap();
    expect(&mut listening, "*2\r\n$9\r\n127.0.0.1\r\n$1\r\n2\r\n").await;
    listening.write_all(b"SENTINEL FAILOVER mymaster\r\n").await.unwrap();
    expect(&mut listening, "-NOGOODSLAVE shop\r\n").await;

    // Too many words: an error, and the end.
    listening.write_all(b"*300\r\n").await.unwrap();
    expect(&mut listening, "-ERR Protocol error: invalid multibulk length\r\n").await;
    assert_eq!(listening.read(&mut [0; 8]).await.unwrap(), 0);

    stop.send(()).unwrap();
    served.await.unwrap();
}
