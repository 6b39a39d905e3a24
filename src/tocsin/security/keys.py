"""Ed25519 keys: a person's, which only the password opens, and a node's, which signs the ledger's heads.

A person's private key is sealed with AES-256-GCM under a key that Argon2id makes of the password. The encrypted PKCS8
that would be the usual choice takes a far cheaper function (in `cryptography` 50: PBKDF2 with 2,048 rounds, 0.4 ms a guess where
Argon2id takes 150 ms): whoever stole the file would try passwords on the private key, and the hash would protect nothing.
"""

from __future__ import annotations

import hashlib
import secrets

import msgspec
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from tocsin.security.passwords import SALT_BYTES, Cost, Passwords
from tocsin.vocabulary.errors import InputError, Refused, Unavailable

KEY_BYTES, SIGNATURE_BYTES, NONCE_BYTES = 32, 64, 12


class SigningKey:
    """A private key in use. It prints as its fingerprint, so that it does not end in a log."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        self.public_key = private.public_key().public_bytes_raw().hex()

    @classmethod
    def new(cls) -> SigningKey:
        """A fresh key, from the machine's own randomness: a key that a seed could repeat would be no secret."""
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def from_pem(cls, pem: bytes, *, where: str) -> SigningKey:
        """Read a key that `to_pem` wrote."""
        try:
            private = load_pem_private_key(pem, None)
        except (ValueError, TypeError) as fault:
            raise InputError(f"{where}: is no private key in PEM: {fault}; put the right file back") from fault
        if not isinstance(private, Ed25519PrivateKey):
            raise InputError(f"{where}: is a {type(private).__name__}; wanted Ed25519")
        return cls(private)

    def to_pem(self) -> bytes:
        """The key as PKCS8 in PEM, not encrypted: for a file that only the platform may read."""
        return self._private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def sign(self, message: bytes) -> str:
        """The signature, in hexadecimal."""
        return self._private.sign(message).hex()

    def raw(self) -> bytes:
        """The private key itself, 32 bytes: for sealing only."""
        return self._private.private_bytes_raw()

    def __repr__(self) -> str:
        return f"SigningKey({fingerprint(self.public_key)})"


def signature_holds(public_key: str, signature: str, message: bytes) -> bool:
    """True if the owner of `public_key` signed `message`; both in hexadecimal. Nonsense does not hold."""
    try:
        key, sign = bytes.fromhex(public_key), bytes.fromhex(signature)
    except ValueError:
        return False
    if len(key) != KEY_BYTES or len(sign) != SIGNATURE_BYTES:
        return False
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(sign, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def fingerprint(public_key: str) -> str:
    """A key's name for people: eight groups of four, the first 128 bits of its SHA-256.

    >>> fingerprint("00" * 32)
    '6668-7aad-f862-bd77-6c8f-c18b-8e9f-8e20'
    """
    told = hashlib.sha256(bytes.fromhex(public_key)).hexdigest()[:32]
    return "-".join(told[k : k + 4] for k in range(0, 32, 4))


class SealedKey(msgspec.Struct, frozen=True):
    """A person's private key, which the password opens."""

    owner: str
    public_key: str
    cost: Cost
    salt: bytes
    nonce: bytes
    sealed: bytes

    def _bound_to(self) -> bytes:
        return f"tocsin key of {self.owner} {self.public_key}".encode()

    def open(self, password: str, passwords: Passwords) -> SigningKey:
        """The key; raises Refused where the password is wrong."""
        opener = passwords.derive(password, self.salt, self.cost)
        try:
            raw = AESGCM(opener).decrypt(self.nonce, self.sealed, self._bound_to())
        except InvalidTag as fault:
            raise Refused(f"key of {self.owner}: the password does not open it; type it again") from fault
        key = SigningKey(Ed25519PrivateKey.from_private_bytes(raw))
        if key.public_key != self.public_key:
            raise Unavailable(f"key of {self.owner}: private and public key do not belong together; set a new password")
        return key


def seal(key: SigningKey, *, owner: str, password: str, passwords: Passwords) -> SealedKey:
    """Close a key with a password. Salt and nonce come from `secrets`: they must not be repeatable."""
    salt, nonce = secrets.token_bytes(SALT_BYTES), secrets.token_bytes(NONCE_BYTES)
    empty = SealedKey(owner, key.public_key, passwords.cost, salt, nonce, b"")
    opener = passwords.derive(password, salt, passwords.cost)
    return msgspec.structs.replace(empty, sealed=AESGCM(opener).encrypt(nonce, key.raw(), empty._bound_to()))
