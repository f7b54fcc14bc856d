"""A session with the pool that outlives its streams: what was not answered is repeated under its number."""

import queue
import random
import secrets
import sys
import threading
import time
from typing import Callable, Iterator

import grpc
from hivebus.pool.v1 import pool_pb2, session_pb2, session_pb2_grpc

# After these another stream would end the same way.
FINAL = (
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.ABORTED,  # another instance has this agent's name
    grpc.StatusCode.FAILED_PRECONDITION,  # it has moved to another swarm
    grpc.StatusCode.UNIMPLEMENTED,
)
FIRST_DELAY_S = 0.1
MAX_DELAY_S = 2.0
RENEW_S = 120  # tokens last five minutes
WINDOW = 64
MAX_WAITING = 10_000
# A server that is gone without a word is noticed by pings.
KEEPALIVE = [("grpc.keepalive_time_ms", 30_000), ("grpc.keepalive_timeout_ms", 10_000)]


def later(seconds: float, do: Callable, *arguments) -> None:
    """Does it after a while; keeps no program from ending."""
    timer = threading.Timer(max(0, seconds), do, arguments)
    timer.daemon = True
    timer.start()


Answered = Callable[[session_pb2.SessionAnswer], None]


class Session:
    """An agent's line to the pool. `call` may be used from any thread; answers come on the session's own."""

    def __init__(self, addresses: list[str], agent: pool_pb2.RegisterAgentRequest, token: Callable[[], str]):
        self.addresses = addresses
        self.token = token
        # The same in all streams of this run: by them the pool knows the agent and its calls again.
        self.open = session_pb2.SessionOpen(
            client=f"py-{secrets.token_hex(8)}",
            window=WINDOW,
            agent=agent,
            log_seed=secrets.token_urlsafe(32),
        )
        self.lock = threading.Lock()
        self.number = 0
        self.unanswered: dict[int, tuple[session_pb2.SessionCall, Answered]] = {}
        self.outgoing: queue.SimpleQueue = queue.SimpleQueue()
        self.closing = False

    def call(self, answered: Answered, **request) -> None:
        """Makes one call, e.g. `report_task=…`. One beyond the window is refused, and asked again like any that may pass."""
        with self.lock:
            self.number += 1
            call = session_pb2.SessionCall(number=self.number, **request)
            self.unanswered[self.number] = (call, answered)
            self.outgoing.put(session_pb2.SessionRequest(calls=[call]))

    def log(self, line: pool_pb2.LogLine) -> None:
        if self.outgoing.qsize() < MAX_WAITING:  # a line that is not kept leaves a gap in the numbers
            self.outgoing.put(session_pb2.SessionRequest(lines=[line]))

    def close(self) -> None:
        """Ends it, when what was called has been answered."""
        self.closing = True
        self.outgoing.put(None)

    def messages(self, heartbeat: Callable[[], session_pb2.SessionHeartbeat]) -> Iterator[session_pb2.SessionResponse]:
        """What the pool says, over as many streams as it takes. Raises grpc.RpcError for what is final."""
        delay = FIRST_DELAY_S
        for turn in range(sys.maxsize):
            try:
                for message in self.stream(self.addresses[turn % len(self.addresses)], heartbeat):
                    delay = FIRST_DELAY_S
                    yield message
                if self.closing:
                    return
            except grpc.RpcError as error:
                if error.code() in FINAL:
                    raise
                print(f"the session broke: {error.code().name}: {error.details()}; trying again", flush=True)
            time.sleep(delay * random.uniform(0.5, 1))
            delay = min(2 * delay, MAX_DELAY_S)

    def stream(self, address: str, heartbeat: Callable[[], session_pb2.SessionHeartbeat]) -> Iterator[session_pb2.SessionResponse]:
        over = threading.Event()
        with grpc.insecure_channel(address, options=KEEPALIVE) as channel:
            stub = session_pb2_grpc.PoolSessionServiceStub(channel)
            metadata = [("authorization", f"Bearer {self.token()}")]
            try:
                for message in stub.Session(self.requests(over), metadata=metadata):
                    if message.HasField("opened"):
                        beat = (message.opened.heartbeat_ms / 1000, heartbeat, over)
                        threading.Thread(target=self.beat, args=beat, daemon=True).start()
                    self.answers(message)
                    yield message
            finally:
                over.set()
                self.outgoing.put(session_pb2.SessionRequest())  # wakes the sender, which sees that it is over

    def requests(self, over: threading.Event) -> Iterator[session_pb2.SessionRequest]:
        """Opens, repeats what was not answered, then sends what comes: all that is there in one message."""
        with self.lock:
            calls = [call for call, _ in self.unanswered.values()]
        yield session_pb2.SessionRequest(open=self.open)
        for at in range(0, len(calls), WINDOW):
            yield session_pb2.SessionRequest(calls=calls[at : at + WINDOW])
        while True:
            request = self.outgoing.get()
            if over.is_set():  # the next stream's, then
                self.outgoing.put(request)
                return
            while request is not None and not self.outgoing.empty() and len(request.calls) < WINDOW:
                more = self.outgoing.get()
                if more is None:
                    self.outgoing.put(None)
                    break
                request.MergeFrom(more)
            if request is None:
                return
            yield request

    def beat(self, every: float, heartbeat: Callable[[], session_pb2.SessionHeartbeat], over: threading.Event) -> None:
        renewed = time.monotonic()
        while not over.wait(every):
            request = session_pb2.SessionRequest(heartbeat=heartbeat())
            if time.monotonic() - renewed > RENEW_S:
                request.token = self.token()
                renewed = time.monotonic()
            self.outgoing.put(request)

    def answers(self, message: session_pb2.SessionResponse) -> None:
        for answer in message.answers:
            if answer.refusal.retryable:
                later(max(0.1, answer.refusal.retry_after_ms / 1000), self.again, answer.number)
                continue
            with self.lock:
                _, answered = self.unanswered.pop(answer.number, (None, None))
            if answered:
                answered(answer)

    def again(self, number: int) -> None:
        with self.lock:
            if number in self.unanswered:
                self.outgoing.put(session_pb2.SessionRequest(calls=[self.unanswered[number][0]]))
