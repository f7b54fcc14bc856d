"""Who an agent is: an Ed25519 key and the short-lived tokens (JWT, EdDSA) that it signs."""

import base64
import hashlib
import json
import pathlib
import time

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

LIFETIME_S = 300  # ten minutes at most are taken


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Key:
    """A swarm's key. It signs for the swarm itself and for the swarm's own agents."""

    def __init__(self, private: Ed25519PrivateKey, federation: str = "main"):
        self.private = private
        self.federation = federation
        raw = (serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        self.public = private.public_key().public_bytes(*raw)

    @staticmethod
    def of(file: pathlib.Path) -> "Key":
        """The key of a file (PKCS 8 PEM), which is made when there is none."""
        if file.exists():
            return Key(serialization.load_pem_private_key(file.read_bytes(), password=None))
        private = Ed25519PrivateKey.generate()
        pem = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        file.touch(mode=0o600)
        file.write_bytes(private.private_bytes(*pem))
        return Key(private)

    def token(self, swarm: str, agent: str = "") -> str:
        """Proves the swarm, or one of its agents, for five minutes."""
        owner = f"swarm:{swarm}"
        now = int(time.time())
        jwk = {"kty": "OKP", "crv": "Ed25519", "x": base64url(self.public)}
        kid = base64url(hashlib.sha256(self.public).digest())[:22]
        head = {"alg": "EdDSA", "typ": "JWT", "kid": kid, "jwk": jwk}
        subject = f"agent:{swarm}/{agent}" if agent else owner
        body = {"iss": owner, "sub": subject, "aud": self.federation, "iat": now, "exp": now + LIFETIME_S}
        signed = ".".join(base64url(json.dumps(part).encode()) for part in (head, body))
        return f"{signed}.{base64url(self.private.sign(signed.encode()))}"


class Keys:
    """The keys of swarms on this host: that of `swarm` in `file`, others beside it, with their names in place of its own."""

    def __init__(self, file: pathlib.Path, swarm: str):
        self.file = file
        self.swarm = swarm
        self.own = Key.of(file)

    def of(self, swarm: str) -> Key:
        """Raises FileNotFoundError when this host does not have it: then no agent of that swarm can be here."""
        if swarm == self.swarm:
            return self.own
        file = self.file.with_name(self.file.name.replace(self.swarm, swarm))
        if file == self.file or not file.exists():
            raise FileNotFoundError(f"the key of swarm {swarm} is not at {file}")
        return Key.of(file)
