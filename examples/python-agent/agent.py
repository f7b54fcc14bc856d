"""An agent in Python: registers, works on what it is given, and goes on when the server does not.

    python agent.py ADDRESS[,ADDRESS...] KEYFILE SWARM NAME TYPE [SLOTS]

Its work is to shout: a task `{"text": "hello", "seconds": 2}` takes two seconds and comes to `{"text": "HELLO"}`; each second
is a checkpoint. Put your own into `work`. What it imports from hivebus.* is made from proto/ by grpcio-tools; see README.md.
"""

import pathlib
import secrets
import signal
import sys
import threading
import time

import grpc
from google.protobuf import json_format
from hivebus.pool.v1 import pool_pb2, session_pb2
from hivebus.registry.v1 import registry_pb2, registry_pb2_grpc
from identity import Key, Keys
from session import Session, later


class Cancelled(Exception):
    """The task shall end."""


def work(task: "Attempt") -> dict:
    """Does one task: gives its result, or raises. Ends soon when `task.ends` is set.

    `task.leaves` is set while the agent is taken out of service: what is not done until then goes on elsewhere, from the last
    checkpoint. Here each second is one, so there is nothing else to do.
    """
    done = int(task.last or 0)
    task.log(f"shouting {task.payload['text']}" + (f", from second {done} on" if done else ""))
    seconds = int(task.payload.get("seconds", 0))
    for second in range(done, seconds):
        task.checkpoint(second)
        task.progress(100 * second // seconds, f"second {second}")
        if task.ends.wait(1):
            raise Cancelled
    return {"text": task.payload["text"].upper()}


class Attempt:
    """One attempt at a task, from its assignment to its report: what `work` has in hand."""

    def __init__(self, agent: "Agent", assignment: pool_pb2.Assignment):
        self.agent = agent
        self.assignment = assignment
        self.named = {"task": assignment.task, "attempt": assignment.attempt, "instance": agent.instance}
        self.payload = json_format.MessageToDict(assignment.spec.payload)
        self.last = None  # the last checkpoint of the attempt before
        self.ends = threading.Event()
        self.leaves = agent.leaves
        self.superseded = False  # it is another's by now: nothing is reported
        self.confirmed = False
        self.claimed_until = 0.0
        self.lines = 0
        self.said = None  # how far it is

    def log(self, text: str) -> None:
        self.lines += 1
        line = pool_pb2.LogLine(stream=pool_pb2.LOG_STREAM_STDOUT, text=text, number=self.lines)
        line.task, line.attempt = self.assignment.task, self.assignment.attempt
        self.agent.session.log(line)

    def progress(self, percent: int, text: str = "") -> None:
        """How far it is, for people: goes with the next heartbeat."""
        attempt = {"task": self.assignment.task, "attempt": self.assignment.attempt}
        self.said = pool_pb2.TaskProgress(**attempt, percent=percent, text=text)

    def checkpoint(self, data) -> None:
        """Any JSON: the next attempt has it as `last`. Kept of tasks that resume; others need none."""
        if self.assignment.spec.continuity.resume:
            request = json_format.ParseDict({"data": data}, pool_pb2.SaveCheckpointRequest(**self.named))
            self.agent.session.call(lambda _: None, save_checkpoint=request)

    def supersede(self) -> None:
        self.superseded = True
        self.ends.set()


class Agent:
    def __init__(self, addresses: list[str], keys: Keys, swarm: str, name: str, kind: str, slots: int = 1):
        self.addresses = addresses
        self.keys = keys
        self.instance = secrets.token_hex(8)  # names this run of the agent
        self.registration = pool_pb2.RegisterAgentRequest(
            swarm=swarm, name=name, type=kind, slots=slots, instance=self.instance
        )
        self.session = self.session_of(self.registration)
        self.lock = threading.Lock()
        self.leaves = threading.Event()  # it is given nothing new, and what it runs has some time left
        self.attempts: dict[tuple[str, int], Attempt] = {}

    def session_of(self, registration: pool_pb2.RegisterAgentRequest) -> Session:
        key = self.keys.of(registration.swarm)
        return Session(self.addresses, registration, lambda: key.token(registration.swarm, registration.name))

    def run(self) -> None:
        """Works, in one swarm after the other where it is moved."""
        move = self.serve()
        while move:
            print(f"moves to swarm {move.swarm}", flush=True)
            here = self.registration
            self.registration = pool_pb2.RegisterAgentRequest()
            self.registration.CopyFrom(here)
            self.registration.swarm, self.registration.name = move.swarm, move.name
            self.registration.migration = move.migration
            why = ""
            try:
                self.session = self.session_of(self.registration)
                move = self.serve()
            except (grpc.RpcError, OSError) as error:
                why = error.details() if isinstance(error, grpc.RpcError) else str(error)
            if why:
                print(f"cannot move to swarm {move.swarm}: {why}", flush=True)
                self.registration = here
                self.session = self.session_of(here)
                refusal = pool_pb2.CancelMigrationRequest(id=move.migration, reason=why[:256])
                self.session.call(lambda _: None, cancel_migration=refusal)
                move = self.serve()

    def serve(self) -> pool_pb2.AgentMove | None:
        """Works until the end, or until it shall go to another swarm."""
        move = None
        for message in self.session.messages(self.heartbeat):
            if message.HasField("opened"):
                print(f"{self.registration.swarm}/{self.registration.name} is ready", flush=True)
            if message.HasField("inventory"):
                self.compare(message.inventory)
                self.heed(message.inventory)
                if message.inventory.HasField("move") and not move:
                    move = message.inventory.move
                    threading.Thread(target=self.depart, daemon=True).start()
            for assignment in message.assignments:
                self.take(assignment)
        return move

    def heartbeat(self) -> session_pb2.SessionHeartbeat:
        with self.lock:
            said = [attempt.said for attempt in self.attempts.values() if attempt.said]
            return session_pb2.SessionHeartbeat(busy=len(self.attempts), progress=said)

    def heed(self, inventory) -> None:
        """Whether it is being taken out of service."""
        if inventory.HasField("drain") == self.leaves.is_set():
            return
        if inventory.HasField("drain"):
            print(f"is given nothing new: {inventory.drain.reason}", flush=True)
            self.leaves.set()
        else:
            self.leaves.clear()

    def depart(self) -> None:
        """The pool counts nothing here any more: what still ends here ends first, so that it never meets its next attempt."""
        while self.attempts:
            time.sleep(0.05)
        self.session.close()

    def stop(self) -> None:
        """Leaves the pool: what runs here is given to others."""
        with self.lock:
            for attempt in self.attempts.values():
                attempt.supersede()
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
                    attempt.supersede()

    def take(self, assignment: pool_pb2.Assignment) -> None:
        """An assignment may come more than once. It is confirmed before it is started."""
        key = (assignment.task, assignment.attempt)
        with self.lock:
            known = self.attempts.get(key)
            if assignment.cancel and known:
                known.ends.set()
            if known:
                return
            attempt = self.attempts[key] = Attempt(self, assignment)
        self.confirm(attempt)

    def confirm(self, attempt: Attempt) -> None:
        sent_at = time.monotonic()
        request = pool_pb2.ConfirmAssignmentRequest(**attempt.named)
        self.session.call(lambda answer: self.confirmed(attempt, answer, sent_at), confirm_assignment=request)

    def confirmed(self, attempt: Attempt, answer, sent_at: float) -> None:
        """The pool's word: a refusal, or go, or end it. Of a task with a claim it is said three times a term."""
        if answer.HasField("refusal"):
            attempt.supersede()
            return None if attempt.confirmed else self.forget(attempt, answer.refusal.message)
        said = answer.confirm_assignment
        if said.cancel:
            attempt.ends.set()
        if said.claim_ms > 0:
            attempt.claimed_until = sent_at + said.claim_ms / 1000 * 0.98 - 0.1  # clocks drift
            later(said.claim_ms / 3000, self.renew, attempt)
            later(attempt.claimed_until - time.monotonic(), self.look, attempt)
        if attempt.confirmed:
            return None
        attempt.confirmed = True
        if not said.checkpoint:
            return self.start(attempt)
        request = pool_pb2.GetCheckpointRequest(task=attempt.assignment.task, min_revision=said.revision)
        self.session.call(lambda found: self.start(attempt, found), get_checkpoint=request)

    def renew(self, attempt: Attempt) -> None:
        if self.attempts.get((attempt.assignment.task, attempt.assignment.attempt)) is attempt:
            self.confirm(attempt)

    def look(self, attempt: Attempt) -> None:
        """A claim that could not be renewed in time is over, and so is the work."""
        if time.monotonic() >= attempt.claimed_until:
            attempt.supersede()

    def start(self, attempt: Attempt, found=None) -> None:
        if found is not None and found.get_checkpoint.HasField("checkpoint"):
            attempt.last = json_format.MessageToDict(found.get_checkpoint.checkpoint.data)
        threading.Thread(target=self.do, args=[attempt], daemon=True).start()

    def do(self, attempt: Attempt) -> None:
        print(f"{attempt.assignment.task} starts", flush=True)
        report = pool_pb2.ReportTaskRequest(**attempt.named)
        try:
            json_format.ParseDict(work(attempt), report.result)
            report.outcome = pool_pb2.OUTCOME_SUCCEEDED
        except Cancelled:
            report.outcome, report.reason = pool_pb2.OUTCOME_CANCELLED, "cancelled"
        except Exception as error:  # whatever the work raises is this attempt's outcome, and not the agent's end
            report.outcome, report.reason = pool_pb2.OUTCOME_FAILED, repr(error)[:1024]
        if attempt.superseded:
            return self.forget(attempt, "it is another's by now")
        return self.session.call(lambda answer: self.reported(attempt, report, answer), report_task=report)

    def reported(self, attempt: Attempt, report, answer) -> None:
        refused = answer.refusal.message if answer.HasField("refusal") else ""
        self.forget(attempt, refused or pool_pb2.Outcome.Name(report.outcome))

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
    keys = Keys(pathlib.Path(key_file), swarm)
    register_swarm(addresses.split(",")[0], keys.of(swarm), swarm)
    agent = Agent(addresses.split(","), keys, swarm, name, kind, int(slots))
    for wanted in (signal.SIGTERM, signal.SIGINT):
        signal.signal(wanted, lambda *_: threading.Thread(target=agent.stop).start())
    agent.run()


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except grpc.RpcError as error:
        sys.exit(f"{error.code().name}: {error.details()}")
