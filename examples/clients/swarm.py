"""A swarm in Python: registers, borrows an agent, submits a task and watches it to its end.

    python swarm.py ADDRESS KEYFILE TYPE

What it imports from hivebus.* is made from proto/ by grpcio-tools; see README.md. Its key is made on first use.
"""

import base64
import hashlib
import json
import pathlib
import sys
import time

import grpc
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from google.protobuf import json_format, struct_pb2
from hivebus.pool.v1 import pool_pb2, pool_pb2_grpc
from hivebus.registry.v1 import registry_pb2, registry_pb2_grpc

SWARM = "python"


def key_of(file: pathlib.Path) -> Ed25519PrivateKey:
    if file.exists():
        return serialization.load_pem_private_key(file.read_bytes(), password=None)
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.touch(mode=0o600)
    file.write_bytes(pem)
    return key


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def token(key: Ed25519PrivateKey, subject: str, federation: str = "main") -> str:
    """A JWT of five minutes (EdDSA); it carries the public key, which the first registration binds the name to."""
    public = key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    kid = base64url(hashlib.sha256(public).digest())[:22]
    jwk = {"kty": "OKP", "crv": "Ed25519", "x": base64url(public)}
    now = int(time.time())
    head = {"alg": "EdDSA", "typ": "JWT", "kid": kid, "jwk": jwk}
    body = {"iss": subject, "sub": subject, "aud": federation, "iat": now, "exp": now + 300}
    signed = ".".join(base64url(json.dumps(part).encode()) for part in (head, body))
    return f"{signed}.{base64url(key.sign(signed.encode()))}"


def main(address: str, key_file: str, agent_type: str) -> None:
    key = key_of(pathlib.Path(key_file))
    metadata = [("authorization", f"Bearer {token(key, f'swarm:{SWARM}')}")]
    with grpc.insecure_channel(address) as channel:
        registry = registry_pb2_grpc.RegistryServiceStub(channel)
        pool = pool_pb2_grpc.ResourcePoolServiceStub(channel)

        registered = registry.RegisterSwarm(registry_pb2.RegisterSwarmRequest(name=SWARM), metadata=metadata)
        print(f"swarm {SWARM} is {'new' if registered.created else 'known'}")
        lease = pool.RequestAgent(pool_pb2.RequestAgentRequest(swarm=SWARM, type=agent_type), metadata=metadata).lease
        print(f"borrowed {lease.agent}")

        payload = json_format.ParseDict({"text": "hello"}, struct_pb2.Value())
        spec = pool_pb2.TaskSpec(swarm=SWARM, type=agent_type, payload=payload)
        task = pool.SubmitTask(pool_pb2.SubmitTaskRequest(spec=spec), metadata=metadata).task
        print(f"submitted {task.id}")
        ended = watch(pool, task.id, task.revision)
        print(f"{pool_pb2.TaskState.Name(ended.state)} {json_format.MessageToJson(ended.result, indent=None)}")
        pool.ReleaseLease(pool_pb2.ReleaseLeaseRequest(lease=lease.id), metadata=metadata)


def watch(pool: pool_pb2_grpc.ResourcePoolServiceStub, task: str, revision: int) -> pool_pb2.Task:
    """Every change after a revision: nothing is missed between submitting and watching."""
    request = pool_pb2.WatchTasksRequest(id=task, from_revision=revision)
    for change in pool.WatchTasks(request, timeout=60):
        for now in change.changed:
            print(f"  {pool_pb2.TaskState.Name(now.state)}")
            if now.HasField("ended_at"):
                return now
    raise RuntimeError("the watch ended before the task did")


if __name__ == "__main__":
    try:
        main(*sys.argv[1:4])
    except grpc.RpcError as error:
        # Every refusal says what was wrong; the metadata key hive-error has it as JSON, with field, value and rule.
        sys.exit(f"{error.code().name}: {error.details()}")
