"""The signed file of published keys: Google's layout, checked with Google's own protobuf library, and whoever changes a byte is found out."""

from __future__ import annotations

import io
import zipfile
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.security.exposure import wire
from tocsin.security.exposure.export import (
    BIN,
    HEADER,
    SIG,
    DiagnosisKey,
    Export,
    ExportKey,
    read_export,
    write_export,
)
from tocsin.security.exposure.identifiers import DayKey
from tocsin.vocabulary import InputError, Refused

KEY = ExportKey.new()


def layout() -> dict[str, Any]:
    """export.proto as Google's library knows it: numbers and types of the published file."""
    file = descriptor_pb2.FileDescriptorProto(name="export.proto", syntax="proto2")
    kinds = descriptor_pb2.FieldDescriptorProto

    def message(name: str, *rows: tuple[str, int, int, str, bool]) -> None:
        made = file.message_type.add(name=name)
        for field, number, kind, other, many in rows:
            label = kinds.LABEL_REPEATED if many else kinds.LABEL_OPTIONAL
            made.field.add(name=field, number=number, type=kind, label=label, **({"type_name": f".{other}"} if other else {}))

    text, num, data, inside = kinds.TYPE_STRING, kinds.TYPE_INT32, kinds.TYPE_BYTES, kinds.TYPE_MESSAGE
    message(
        "SignatureInfo",
        ("app_bundle_id", 1, text, "", False),
        ("android_package", 2, text, "", False),
        ("verification_key_version", 3, text, "", False),
        ("verification_key_id", 4, text, "", False),
        ("signature_algorithm", 5, text, "", False),
    )
    message(
        "TemporaryExposureKey",
        ("key_data", 1, data, "", False),
        ("transmission_risk_level", 2, num, "", False),
        ("rolling_start_interval_number", 3, num, "", False),
        ("rolling_period", 4, num, "", False),
        ("report_type", 5, num, "", False),
        ("days_since_onset_of_symptoms", 6, kinds.TYPE_SINT32, "", False),
    )
    message(
        "TemporaryExposureKeyExport",
        ("start_timestamp", 1, kinds.TYPE_FIXED64, "", False),
        ("end_timestamp", 2, kinds.TYPE_FIXED64, "", False),
        ("region", 3, text, "", False),
        ("batch_num", 4, num, "", False),
        ("batch_size", 5, num, "", False),
        ("signature_infos", 6, inside, "SignatureInfo", True),
        ("keys", 7, inside, "TemporaryExposureKey", True),
    )
    message(
        "TEKSignature",
        ("signature_info", 1, inside, "SignatureInfo", False),
        ("batch_num", 2, num, "", False),
        ("batch_size", 3, num, "", False),
        ("signature", 4, data, "", False),
    )
    message("TEKSignatureList", ("signatures", 1, inside, "TEKSignature", True))
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {m.name: message_factory.GetMessageClass(pool.FindMessageTypeByName(m.name)) for m in file.message_type}


GOOGLE = layout()


def some(count: int) -> Export:
    rng = np.random.default_rng(5)
    keys = [
        DiagnosisKey(
            DayKey(rng.bytes(16), 2_642_976 + 144 * (n % 14), 1 + n % 144), 1 + n % 3, None if n % 5 == 0 else n % 29 - 14
        )
        for n in range(count)
    ]
    return Export(1_585_785_600, 1_585_872_000, "XY", tuple(keys))


def parts(archive: bytes) -> tuple[bytes, bytes]:
    with zipfile.ZipFile(io.BytesIO(archive)) as files:
        return files.read(BIN), files.read(SIG)


def packed(plain: bytes, signature: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as files:
        files.writestr(BIN, plain)
        files.writestr(SIG, signature)
    return out.getvalue()


def test_googles_library_reads_what_we_write() -> None:
    export = some(60)
    plain, listed = parts(write_export(export, KEY, key_id="XY"))
    assert plain[:16] == HEADER
    read = GOOGLE["TemporaryExposureKeyExport"].FromString(plain[16:])
    assert (read.start_timestamp, read.end_timestamp, read.region) == (export.start_s, export.end_s, "XY")
    assert (read.batch_num, read.batch_size, read.signature_infos[0].signature_algorithm) == (1, 1, "1.2.840.10045.4.3.2")
    told = [
        (
            k.key_data,
            k.rolling_start_interval_number,
            k.rolling_period,
            k.report_type,
            k.days_since_onset_of_symptoms if k.HasField("days_since_onset_of_symptoms") else None,
        )
        for k in read.keys
    ]
    assert told == sorted((k.day.key, k.day.start, k.day.period, k.report, k.days_since_onset) for k in export.keys)
    assert GOOGLE["TEKSignatureList"].FromString(listed).signatures[0].signature_info.verification_key_id == "XY"


def test_we_read_what_googles_library_writes_fields_of_later_versions_too() -> None:
    theirs = GOOGLE["TemporaryExposureKeyExport"](start_timestamp=7, end_timestamp=8, region="Zürich")
    theirs.keys.add(
        key_data=b"k" * 16,
        rolling_start_interval_number=2_642_976,
        report_type=2,
        days_since_onset_of_symptoms=-3,
        transmission_risk_level=-1,
    )
    plain = HEADER + theirs.SerializeToString() + wire.piece(8, b"revised keys") + wire.fixed64(9, 1)
    listed = GOOGLE["TEKSignatureList"]()
    listed.signatures.add(signature=KEY.sign(plain))
    read = read_export(packed(plain, listed.SerializeToString()), KEY.public_pem)
    assert read == Export(7, 8, "Zürich", (DiagnosisKey(DayKey(b"k" * 16, 2_642_976, 144), 2, -3),))


def test_a_file_comes_back_as_it_was_with_its_keys_in_the_order_of_their_bytes() -> None:
    export = some(200)
    read = read_export(write_export(export, KEY, key_id="XY"), KEY.public_pem)
    assert read.keys == tuple(sorted(export.keys, key=lambda k: k.day.key))
    assert set(read.keys) == set(export.keys)


@settings(deadline=None)
@given(st.integers(0, 10_000))
def test_whoever_changes_a_byte_of_the_keys_is_found_out(at: int) -> None:
    plain, listed = parts(write_export(some(3), KEY, key_id="XY"))
    place = at % len(plain)
    changed = plain[:place] + bytes([plain[place] ^ 1]) + plain[place + 1 :]
    with pytest.raises(Refused, match="take none of its keys"):
        read_export(packed(changed, listed), KEY.public_pem)


def test_a_file_that_another_key_signed_is_refused() -> None:
    with pytest.raises(Refused):
        read_export(write_export(some(3), KEY, key_id="XY"), ExportKey.new().public_pem)


@pytest.mark.parametrize("archive", [b"", b"PK", b"no zip at all", packed(b"x", b"\xff\xff")])
def test_what_is_no_export_is_refused_in_words(archive: bytes) -> None:
    with pytest.raises(InputError, match="export"):
        read_export(archive, KEY.public_pem)


@settings(deadline=None)
@given(st.binary(max_size=60))
def test_a_damaged_message_is_an_input_error_and_nothing_else(message: bytes) -> None:
    with suppress(InputError):
        list(wire.fields(message, where="x"))


@settings(deadline=None)
@given(st.integers(-(2**31), 2**31 - 1))
def test_numbers_come_back(value: int) -> None:
    ((_, told),) = wire.fields(wire.number(3, value), where="x")
    assert isinstance(told, int)
    assert wire.int32(told) == value
    ((_, told),) = wire.fields(wire.signed(6, value), where="x")
    assert isinstance(told, int)
    assert wire.unsigned_zigzag(told) == value


def test_no_key_is_told_twice() -> None:
    twice = some(1)
    with pytest.raises(InputError, match="no key twice"):
        write_export(Export(0, 1, "XY", twice.keys * 2), KEY, key_id="XY")


def test_a_key_comes_back_from_its_file_and_prints_nothing_secret() -> None:
    again = ExportKey.from_pem(KEY.to_pem(), where="file")
    assert again.public_pem == KEY.public_pem
    assert "PRIVATE" not in repr(again)
    with pytest.raises(InputError, match="file: is no private key"):
        ExportKey.from_pem(b"nonsense", where="file")
