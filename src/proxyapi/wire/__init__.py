"""HTTP/1.1 on raw transports: the only package that opens sockets. It knows nothing of AI or money.

    server.py      listens; one `Exchange` per request, given to one handler coroutine
    connection.py  one client connection: heads, bodies, pipelining, deadlines, half-close
    host.py        what a client connection needs of the server
    exchange.py    one request and its answer, as the handler sees them
    inherited.py   an exchange whose answer somebody else gets too
    client.py      `Pool` of upstream connections, `Response`
    upstream.py    one upstream connection
    outlet.py      writes wait for the end of the event loop's turn
    http1.py       heads and responses, without I/O (heads are split by llhttp)
    chunks.py      chunked framing, without I/O
    errors.py      what can go wrong on either side

Bytes flow in callbacks, decisions are taken in coroutines: a streamed answer wakes no coroutine per chunk. Each side
has one coarse timer that sweeps its connections for passed deadlines; nothing is scheduled per request.
"""
