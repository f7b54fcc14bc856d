"""An agent in Python: registers, works on what it is given, and goes on when the server does not.

    python agent.py ADDRESS[,ADDRESS...] KEYFILE SWARM NAME TYPE [SLOTS]

Its work is to shout: a task `{"text": "hello", "seconds": 2}` takes two seconds and comes to `{"text": "HELLO"}`. Put your
own into `work`. What it imports from hivebus.* is made from proto/ by grpcio-tools; see README.md.
"""

import pathlib
import secrets
import signal
import sys
import threading

import grpc
from google.protobuf import json_format
from hivebus.pool.v1 import pool_pb2
from hivebus.registry.v1 import registry_pb2, registry_pb2_grpc
from identity import Key
from session import Session


class Cancelled(Exception):
    """The task shall end."""


def work(payload: dict, log, cancelled: threading.Event) -> dict:
    """Does one task: gives its result, or raises. Ends soon when `cancelled` is set."""
    log(f"shouting {payload['text']}")
    if cancelled.wait(payload.get("seconds", 0)):
        raise Cancelled
    return {"text": payload["text"].upper()}


class Attempt:
    """One attempt at a task: from its assignment to its report."""

    def __init__(self, assignment: pool_pb2.Assignment):
        self.assignment = assignment
        self.cancelled = threading.Event()
        self.superseded = False
        self.confirmed = False
        self.lines = 0


class Agent:
    def __init__(self, addresses: list[str], key: Key, swarm: str, name: str, kind: str, slots: int = 1):
        self.instance = secrets.token_hex(8)  # names this run of the agent
        registration = pool_pb2.RegisterAgentRequest(
            swarm=swarm, name=name, type=kind, slots=slots, instance=self.instance
        )
        self.session = Session(addresses, registration, lambda: key.token(swarm, name))
        self.registration = registration
        self.lock = threading.Lock()
        self.attempts: dict[tuple[str, int], Attempt] = {}

    def run(self) -> None:
        for message in self.session.messages(lambda: len(self.attempts)):
            if message.HasField("opened"):
                print("is ready", flush=True)
            if message.HasField("inventory"):
                self.compare(message.inventory)
            for assignment in message.assignments:
                self.take(assignment)

    def stop(self) -> None:
        """Leaves the pool: what runs here is given to others."""
        with self.lock:
            for attempt in self.attempts.values():
                attempt.superseded = True
                attempt.cancelled.set()
        leaving = pool_pb2.DeregisterAgentRequest(
            swarm=self.registration.swarm, name=self.registration.name, instance=self.instance
        )
        self.session.call(lambda _: self.session.close(), deregister_agent=leaving)

    def compare(self, inventory) -> None:
        """What the pool does not count among ours is another's by now."""
        ours = {(held.task, held.attempt) for held in inventory.attempts}
        with self.lock:
            for key, attempt in self.attempts.items():
                if key not in ours and attempt.confirmed:
                    attempt.superseded = True
                    attempt.cancelled.set()

    def take(self, assignment: pool_pb2.Assignment) -> None:
        """An assignment may come more than once. It is confirmed before it is started."""
        key = (assignment.task, assignment.attempt)
        with self.lock:
            known = self.attempts.get(key)
            if assignment.cancel and known:
                known.cancelled.set()
            if known:
                return
            attempt = self.attempts[key] = Attempt(assignment)
        confirmation = pool_pb2.ConfirmAssignmentRequest(
            task=assignment.task, attempt=assignment.attempt, instance=self.instance
        )
        self.session.call(lambda answer: self.confirmed(attempt, answer), confirm_assignment=confirmation)

    def confirmed(self, attempt: Attempt, answer) -> None:
        if answer.HasField("refusal"):
            return self.forget(attempt, answer.refusal.message)
        attempt.confirmed = True
        if answer.confirm_assignment.cancel:
            attempt.cancelled.set()
        threading.Thread(target=self.do, args=[attempt], daemon=True).start()

    def do(self, attempt: Attempt) -> None:
        task = attempt.assignment.task
        print(f"{task} starts", flush=True)
        report = pool_pb2.ReportTaskRequest(task=task, attempt=attempt.assignment.attempt, instance=self.instance)
        try:
            payload = json_format.MessageToDict(attempt.assignment.spec.payload)
            result = work(payload, lambda text: self.log(attempt, text), attempt.cancelled)
            report.outcome = pool_pb2.OUTCOME_SUCCEEDED
            json_format.ParseDict(result, report.result)
        except Cancelled:
            report.outcome, report.reason = pool_pb2.OUTCOME_CANCELLED, "cancelled"
        except Exception as error:  # whatever the work raises is this attempt's outcome, and not the agent's end
            report.outcome, report.reason = pool_pb2.OUTCOME_FAILED, repr(error)[:1024]
        if attempt.superseded:
            return self.forget(attempt, "it is another's by now")
        self.session.call(lambda answer: self.reported(attempt, report, answer), report_task=report)

    def reported(self, attempt: Attempt, report, answer) -> None:
        refused = answer.refusal.message if answer.HasField("refusal") else ""
        self.forget(attempt, refused or pool_pb2.Outcome.Name(report.outcome))

    def log(self, attempt: Attempt, text: str) -> None:
        attempt.lines += 1
        line = pool_pb2.LogLine(
            task=attempt.assignment.task,
            attempt=attempt.assignment.attempt,
            stream=pool_pb2.LOG_STREAM_STDOUT,
            text=text,
            number=attempt.lines,
        )
        self.session.log(line)

    def forget(self, attempt: Attempt, why: str) -> None:
        with self.lock:
            self.attempts.pop((attempt.assignment.task, attempt.assignment.attempt), None)
        print(f"{attempt.assignment.task} ends: {why}", flush=True)


def register_swarm(address: str, key: Key, swarm: str) -> None:
    """The first registration binds the swarm's name to the key; later ones change nothing."""
    with grpc.insecure_channel(address) as channel:
        metadata = [("authorization", f"Bearer {key.token(swarm)}")]
        request = registry_pb2.RegisterSwarmRequest(name=swarm)
        registry_pb2_grpc.RegistryServiceStub(channel).RegisterSwarm(
            request, metadata=metadata, wait_for_ready=True, timeout=30
        )


def main(addresses: str, key_file: str, swarm: str, name: str, kind: str, slots: str = "1") -> None:
    key = Key.of(pathlib.Path(key_file))
    register_swarm(addresses.split(",")[0], key, swarm)
    agent = Agent(addresses.split(","), key, swarm, name, kind, int(slots))
    for wanted in (signal.SIGTERM, signal.SIGINT):
        signal.signal(wanted, lambda *_: threading.Thread(target=agent.stop).start())
    agent.run()


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except grpc.RpcError as error:
        sys.exit(f"{error.code().name}: {error.details()}")
