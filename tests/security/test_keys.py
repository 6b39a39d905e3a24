"""Keys: a signature is a person's own, and only the password makes it."""

from __future__ import annotations

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tocsin.security import SigningKey, fingerprint, signature_holds
from tocsin.security.keys import SealedKey, seal
from tocsin.security.passwords import Cost, Passwords
from tocsin.vocabulary import InputError, Refused

CHEAPEST = Cost(passes=5, memory_kib=7 * 1024, lanes=1)
PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def passwords() -> Passwords:
    return Passwords(CHEAPEST)


def test_ed25519_is_that_of_rfc_8032() -> None:
    # RFC 8032, section 7.1, test 2.
    public = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
    signature = (
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    )
    assert signature_holds(public, signature, b"\x72")
    assert not signature_holds(public, signature, b"\x73")


@pytest.mark.parametrize("nonsense", ["", "zz", "00" * 31, "00" * 64, "é"])
def test_nonsense_is_no_signature(nonsense: str) -> None:
    key = SigningKey.new()
    assert not signature_holds(key.public_key, nonsense, b"x")
    assert not signature_holds(nonsense, key.sign(b"x"), b"x")


def test_another_key_does_not_pass_for_this_one() -> None:
    assert not signature_holds(SigningKey.new().public_key, SigningKey.new().sign(b"x"), b"x")


def test_a_sealed_key_opens_with_its_password_and_signs(passwords: Passwords) -> None:
    key = SigningKey.new()
    sealed = seal(key, owner="ada", password=PASSWORD, passwords=passwords)
    kept = msgspec.json.decode(msgspec.json.encode(sealed), type=SealedKey)
    opened = kept.open(PASSWORD, passwords)
    assert signature_holds(key.public_key, opened.sign(b"x"), b"x")
    assert key.raw() not in sealed.sealed


def test_a_wrong_password_opens_no_key(passwords: Passwords) -> None:
    sealed = seal(SigningKey.new(), owner="ada", password=PASSWORD, passwords=passwords)
    with pytest.raises(Refused, match="key of ada: the password does not open it"):
        sealed.open("incorrect horse", passwords)


@pytest.mark.parametrize("change", [{"owner": "bob"}, {"public_key": SigningKey.new().public_key}, {"nonce": bytes(12)}])
def test_a_sealed_key_belongs_to_one_person_and_one_public_key(passwords: Passwords, change: dict[str, object]) -> None:
    sealed = seal(SigningKey.new(), owner="ada", password=PASSWORD, passwords=passwords)
    with pytest.raises(Refused):
        msgspec.structs.replace(sealed, **change).open(PASSWORD, passwords)


def test_a_key_does_not_print_itself() -> None:
    key = SigningKey.new()
    assert repr(key) == f"SigningKey({fingerprint(key.public_key)})"
    assert key.raw().hex() not in repr(key)


def test_a_node_key_goes_to_its_file_and_back() -> None:
    key = SigningKey.new()
    assert SigningKey.from_pem(key.to_pem(), where="node.key").public_key == key.public_key


def test_what_is_no_ed25519_key_is_said_so() -> None:
    other = rsa.generate_private_key(65537, 2048).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with pytest.raises(InputError, match="wanted Ed25519"):
        SigningKey.from_pem(other, where="node.key")
    with pytest.raises(InputError, match=r"node\.key: is no private key"):
        SigningKey.from_pem(b"rubbish", where="node.key")
