"""The file with published day keys: the layout that phones in the field read, signed, so that nobody on the way can add or remove a key.

A zip archive with `export.bin` (16 bytes of header, then a TemporaryExposureKeyExport) and `export.sig` (a TEKSignatureList: ECDSA on P-256 with
SHA-256 over export.bin). The keys are sorted by their bytes, so their order says nothing of who brought them.

Source: Google, "Exposure Key Export File Format and Verification", and exposure-notifications-server, internal/pb/export/export.proto (v1.5 fields:
report_type 5, days_since_onset_of_symptoms 6).
"""

from __future__ import annotations

import io
import zipfile

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from tocsin.security.exposure import wire
from tocsin.security.exposure.identifiers import ROLLING_PERIOD, DayKey
from tocsin.vocabulary.errors import InputError, Refused

HEADER = b"EK Export v1    "
BIN, SIG = "export.bin", "export.sig"
ALGORITHM = "1.2.840.10045.4.3.2"  # ECDSA with SHA-256
FILE_BYTES_MAX = 64 << 20
KEYS_MOST = 750_000  # of 28 bytes and a few more each
ONSET_DAYS_MOST = 14
CONFIRMED_TEST, CLINICAL, SELF_REPORT = 1, 2, 3
REPORTS = {"confirmed test": CONFIRMED_TEST, "clinical diagnosis": CLINICAL, "self report": SELF_REPORT}


class DiagnosisKey(msgspec.Struct, frozen=True):
    """A day's key of a person who tested positive: how that is known, and how many days after the first symptoms the day was (None: not told)."""

    day: DayKey
    report: int = CONFIRMED_TEST
    days_since_onset: int | None = None

    def __post_init__(self) -> None:
        if self.report not in REPORTS.values():
            raise InputError(f"diagnosis key: report type {self.report}; wanted one of {sorted(REPORTS.values())}")
        if self.days_since_onset is not None and abs(self.days_since_onset) > ONSET_DAYS_MOST:
            raise InputError(
                f"diagnosis key: {self.days_since_onset} days since onset; wanted -{ONSET_DAYS_MOST} to {ONSET_DAYS_MOST}"
            )


class Export(msgspec.Struct, frozen=True):
    """What is in a file: the span in which the keys arrived (s since 1970, whole hours), the region, and the keys."""

    start_s: int
    end_s: int
    region: str
    keys: tuple[DiagnosisKey, ...]


class ExportKey:
    """The private key that signs exports, on P-256, because phones know no other. It prints as its public part."""

    def __init__(self, private: ec.EllipticCurvePrivateKey) -> None:
        self._private = private

    @classmethod
    def new(cls) -> ExportKey:
        """A fresh key, from the machine's own randomness."""
        return cls(ec.generate_private_key(ec.SECP256R1()))

    @classmethod
    def from_pem(cls, pem: bytes, *, where: str) -> ExportKey:
        """Read a key that `to_pem` wrote."""
        try:
            private = load_pem_private_key(pem, None)
        except (ValueError, TypeError) as fault:
            raise InputError(f"{where}: is no private key in PEM: {fault}; put the right file back") from fault
        if not isinstance(private, ec.EllipticCurvePrivateKey) or not isinstance(private.curve, ec.SECP256R1):
            raise InputError(f"{where}: is a {type(private).__name__}; wanted one on P-256")
        return cls(private)

    def to_pem(self) -> bytes:
        """For a file that only the platform may read."""
        return self._private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    @property
    def public_pem(self) -> str:
        """What phones need to check a file."""
        return self._private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    def sign(self, message: bytes) -> bytes:
        """X9.62 (ASN.1) signature."""
        return self._private.sign(message, ec.ECDSA(SHA256()))

    def __repr__(self) -> str:
        return f"ExportKey({self.public_pem!r})"


def signed_by(public_pem: str, signature: bytes, message: bytes, *, where: str) -> bool:
    """True if the owner of this public key signed; raises InputError where it is no key on P-256."""
    try:
        key = load_pem_public_key(public_pem.encode())
    except (ValueError, TypeError) as fault:
        raise InputError(f"{where}: is no public key in PEM: {fault}") from fault
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise InputError(f"{where}: is a {type(key).__name__}; wanted one on P-256")
    try:
        key.verify(signature, message, ec.ECDSA(SHA256()))
    except InvalidSignature:
        return False
    return True


def write_export(export: Export, key: ExportKey, *, key_id: str, key_version: str = "v1") -> bytes:
    """The zip archive; `key_id` (the region) and `key_version` tell phones which public key to take."""
    if len(export.keys) > KEYS_MOST or len({k.day.key for k in export.keys}) != len(export.keys):
        raise InputError(f"export: {len(export.keys)} keys; wanted at most {KEYS_MOST:,}, no key twice")
    info = wire.piece(3, key_version.encode()) + wire.piece(4, key_id.encode()) + wire.piece(5, ALGORITHM.encode())
    body = [
        HEADER,
        wire.fixed64(1, export.start_s),
        wire.fixed64(2, export.end_s),
        wire.piece(3, export.region.encode()),
        wire.number(4, 1),
        wire.number(5, 1),
        wire.piece(6, info),
    ]
    body += [wire.piece(7, _key_message(k)) for k in sorted(export.keys, key=lambda k: k.day.key)]
    plain = b"".join(body)
    signature = wire.piece(1, info) + wire.number(2, 1) + wire.number(3, 1) + wire.piece(4, key.sign(plain))
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:  # random bytes do not get smaller
        for name, content in ((BIN, plain), (SIG, wire.piece(1, signature))):
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), content)
    return out.getvalue()


def _key_message(key: DiagnosisKey) -> bytes:
    made = (
        wire.piece(1, key.day.key) + wire.number(3, key.day.start) + wire.number(4, key.day.period) + wire.number(5, key.report)
    )
    return made if key.days_since_onset is None else made + wire.signed(6, key.days_since_onset)


def read_export(archive: bytes, public_pem: str, *, where: str = "export") -> Export:
    """The keys of a file that the owner of `public_pem` signed; raises Refused where it was changed, InputError where it is none."""
    plain, signatures = _parts(archive, where)
    if not any(signed_by(public_pem, signature, plain, where=f"{where}: public key") for signature in signatures):
        raise Refused(f"{where}: is not signed by the platform's export key, or was changed on the way; take none of its keys")
    if not plain.startswith(HEADER):
        raise InputError(f"{where}: {BIN} begins with {plain[:16]!r}; wanted {HEADER!r}")
    start_s = end_s = 0
    region, keys = "", list[DiagnosisKey]()
    for field, value in wire.fields(plain[len(HEADER) :], where=f"{where}: {BIN}"):
        match field, value:
            case 1, int():
                start_s = value
            case 2, int():
                end_s = value
            case 3, bytes():
                region = value.decode(errors="replace")
            case 7, bytes():
                if len(keys) >= KEYS_MOST:
                    raise InputError(f"{where}: over {KEYS_MOST:,} keys")
                keys.append(_read_key(value, f"{where}: key {len(keys) + 1}"))
            case _:
                pass  # what a later layout adds is not for this reader
    return Export(start_s, end_s, region, tuple(keys))


def _parts(archive: bytes, where: str) -> tuple[bytes, list[bytes]]:
    if len(archive) > FILE_BYTES_MAX:
        raise InputError(f"{where}: {len(archive):,} bytes; wanted at most {FILE_BYTES_MAX:,}")
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as files:
            held = {i.filename: i.file_size for i in files.infolist()}
            if not {BIN, SIG} <= held.keys() or sum(held.values()) > FILE_BYTES_MAX:
                raise InputError(
                    f"{where}: holds {', '.join(held)[:200]}; wanted {BIN} and {SIG}, {FILE_BYTES_MAX:,} bytes at most"
                )
            plain, listed = files.read(BIN), files.read(SIG)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as fault:
        if isinstance(fault, InputError):
            raise
        raise InputError(f"{where}: is no zip archive that can be read: {fault}; download it again") from fault
    found = []
    for field, value in wire.fields(listed, where=f"{where}: {SIG}"):
        if field == 1 and isinstance(value, bytes):
            found += [v for f, v in wire.fields(value, where=f"{where}: {SIG}") if f == 4 and isinstance(v, bytes)]
    return plain, found[:8]


def _read_key(message: bytes, where: str) -> DiagnosisKey:
    data, start, period, report, onset = b"", 0, ROLLING_PERIOD, CONFIRMED_TEST, None
    for field, value in wire.fields(message, where=where):
        match field, value:
            case 1, bytes():
                data = value
            case 3, int():
                start = wire.int32(value)
            case 4, int():
                period = wire.int32(value)
            case 5, int():
                report = wire.int32(value)
            case 6, int():
                onset = wire.unsigned_zigzag(value)
            case _:
                pass
    return DiagnosisKey(DayKey(data, start, period), report, onset)
